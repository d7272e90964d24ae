import CLinux
import Glibc
public import SystemPackage

/// An open directory, and what is done to the names in it.
///
/// Names are single components and a symbolic link under a name is never followed. Nothing is on the disk for good
/// before ``sync()``.
public final class Directory: Sendable {
    /// Its path, for messages.
    public let path: FilePath
    private let owned: OwnedDescriptor

    /// Valid for as long as this value.
    public var descriptor: FileDescriptor { owned.descriptor }

    /// Opens a directory, following symbolic links.
    public init(path: FilePath) throws(FilesError) {
        let descriptor = path.withPlatformString { openFile(at: AT_FDCWD, $0, O_RDONLY | O_DIRECTORY) }
        guard descriptor >= 0 else { throw .last("open", path.operatorText) }
        self.path = path
        owned = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
    }

    /// - Parameter descriptor: open for reading.
    init(owning descriptor: consuming OwnedDescriptor, path: FilePath) {
        self.path = path
        owned = descriptor
    }

    /// Opens a directory in it.
    public func directory(_ name: FilePath.Component) throws(FilesError) -> Directory {
        let file = try open(name, O_RDONLY | O_DIRECTORY, "open")
        return Directory(owning: OwnedDescriptor(owning: FileDescriptor(rawValue: file)), path: path.appending(name))
    }

    /// Makes a directory in it.
    /// - Throws: `EEXIST` when there is anything under the name.
    public func makeDirectory(_ name: FilePath.Component, mode: UInt32 = 0o700) throws(FilesError) {
        guard name.withPlatformString({ mkdirat(raw, $0, mode) }) == 0 else {
            throw .last("create the directory", text(of: name))
        }
    }

    /// Opens a file for reading; a FIFO does not block.
    public func open(_ name: FilePath.Component) throws(FilesError) -> OwnedDescriptor {
        OwnedDescriptor(owning: FileDescriptor(rawValue: try open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY, "open")))
    }

    /// Makes a file, for reading and writing.
    /// - Throws: `EEXIST` when there is anything under the name.
    public func create(_ name: FilePath.Component, mode: UInt32 = 0o600) throws(FilesError) -> OwnedDescriptor {
        let file = try open(name, O_RDWR | O_CREAT | O_EXCL, "create", mode: mode)
        return OwnedDescriptor(owning: FileDescriptor(rawValue: file))
    }

    /// Looks at a file in it; `nil` when there is none.
    public func stat(_ name: FilePath.Component) throws(FilesError) -> FileStat? {
        var raw = CLinux_stat()
        if name.withPlatformString({ CLinux_statx(self.raw, $0, &raw) }) == 0 { return FileStat(raw) }
        guard errno == ENOENT else { throw .last("examine", text(of: name)) }
        return nil
    }

    /// The names in it, sorted by their bytes, without `.` and `..`.
    public func names() throws(FilesError) -> [FilePath.Component] {
        try DirectoryNames(of: raw, path: path.operatorText).components
    }

    /// What happens to a name that exists already.
    public enum RenameRule: Sendable {
        /// What is there goes away, in the same moment.
        case replace
        /// `EEXIST`.
        case refuse
        /// The two change places; both have to be there.
        case exchange
    }

    /// Renames a file, to a name in this directory or in another one of the same file system.
    public func rename(
        _ name: FilePath.Component,
        to newName: FilePath.Component,
        in other: Directory? = nil,
        rule: RenameRule = .replace
    ) throws(FilesError) {
        let flags: UInt32 =
            switch rule {
            case .replace: 0
            case .refuse: CLinux_RENAME_NOREPLACE
            case .exchange: CLinux_RENAME_EXCHANGE
            }
        let target = other ?? self
        let result = name.withPlatformString { from in
            newName.withPlatformString { CLinux_renameat2(raw, from, target.raw, $0, flags) }
        }
        guard result == 0 else { throw .last("rename '\(text(of: name))' to", target.text(of: newName)) }
    }

    /// Gives a file of this directory a further name, in this directory or in another one of the same file system.
    /// - Throws: `EEXIST` when there is anything under the new name.
    public func link(
        _ name: FilePath.Component,
        as newName: FilePath.Component,
        in other: Directory? = nil
    ) throws(FilesError) {
        let target = other ?? self
        let result = name.withPlatformString { from in
            newName.withPlatformString { linkat(raw, from, target.raw, $0, 0) }
        }
        guard result == 0 else { throw .last("link '\(text(of: name))' to", target.text(of: newName)) }
    }

    /// Removes a file that is not a directory; one that is not there is removed already.
    public func remove(_ name: FilePath.Component) throws(FilesError) {
        guard name.withPlatformString({ unlinkat(raw, $0, 0) }) == 0 || errno == ENOENT else {
            throw .last("remove", text(of: name))
        }
    }

    /// Removes an empty directory; one that is not there is removed already.
    /// - Throws: `ENOTEMPTY` for one that is not empty.
    public func removeDirectory(_ name: FilePath.Component) throws(FilesError) {
        guard name.withPlatformString({ unlinkat(raw, $0, AT_REMOVEDIR) }) == 0 || errno == ENOENT else {
            throw .last("remove", text(of: name))
        }
    }

    /// Runs `body`, which adds or removes names in this directory, and gives the directory its modification time back,
    /// also when `body` fails.
    public func keepingTime<Value>(_ body: () throws(FilesError) -> Value) throws(FilesError) -> Value {
        let before = try FileStat(of: descriptor, path: path.operatorText).modified
        let result: Result<Value, FilesError>
        do throws(FilesError) { result = .success(try body()) } catch { result = .failure(error) }
        let times = [
            // UTIME_OMIT, a macro that Swift does not see: the access time stays
            timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2),
            timespec(tv_sec: Int(before.seconds), tv_nsec: Int(before.nanoseconds)),
        ]
        let failure: FilesError? =
            futimens(raw, times) == 0 ? nil : .last("set the time of", path.operatorText)
        let value = try result.get()
        if let failure { throw failure }
        return value
    }

    /// Waits until the names in it are on the disk.
    public func sync() throws(FilesError) {
        guard fsync(raw) == 0 else { throw .last("sync", path.operatorText) }
    }

    /// Waits until everything on its file system is on the disk.
    public func syncFileSystem() throws(FilesError) {
        guard CLinux_syncfs(raw) == 0 else { throw .last("sync the file system of", path.operatorText) }
    }

    var raw: Int32 { owned.descriptor.rawValue }

    func text(of name: FilePath.Component) -> String { path.appending(name).operatorText }

    private func open(
        _ name: FilePath.Component,
        _ flags: Int32,
        _ operation: String,
        mode: UInt32 = 0
    ) throws(FilesError) -> Int32 {
        let file = name.withPlatformString { openFile(at: raw, $0, flags | O_NOFOLLOW, mode: mode) }
        guard file >= 0 else { throw .last(operation, text(of: name)) }
        return file
    }
}
