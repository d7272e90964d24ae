import CLinux
import Glibc
public import SystemPackage

/// The directory that stands for the node's `/`, as `--root DIR` names it.
///
/// Paths below it are resolved as if it were the root: an absolute symbolic link inside it stays inside, and `..`
/// does not leave it (`openat2(2)` with `RESOLVE_IN_ROOT`, Linux 5.6). `/etc/hosts` and `etc/hosts` are the same.
/// Links that only `/proc` makes (`/proc/self/exe`) are refused with `ELOOP`.
public final class RootDirectory: Sendable {
    /// Its own path, for messages and for programs that are told where the node is.
    public let path: FilePath
    private let directory: OwnedDescriptor

    /// Opens the directory.
    public init(path: FilePath) throws(FilesError) {
        let descriptor = path.withPlatformString { openFile(at: AT_FDCWD, $0, O_RDONLY | O_DIRECTORY) }
        guard descriptor >= 0 else { throw .last("open", path.operatorText) }
        self.path = path
        directory = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
    }

    /// The path of `path` as this machine sees it, root included; symbolic links are not resolved.
    public func fullPath(of path: FilePath) -> FilePath {
        self.path.appending(path.components)
    }

    /// The path of `path` as text for messages.
    public func text(of path: TreePath) -> String {
        self.path.appending(path).operatorText
    }

    /// Opens a file for reading, following symbolic links inside the root.
    ///
    /// A FIFO without a writer does not block.
    public func open(_ path: FilePath) throws(FilesError) -> OwnedDescriptor {
        try open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, "open")
    }

    /// Reads a whole file.
    /// - Parameter limitBytes: the most that it may be; a larger file is `EFBIG`.
    public func readFile(_ path: FilePath, limitBytes: Int) throws(FilesError) -> [UInt8] {
        let file = try open(path)
        return try file.descriptor.readAll(limitBytes: limitBytes, path: fullPath(of: path).operatorText)
    }

    /// Looks at a file, following symbolic links inside the root.
    /// - Parameter followsLink: `false` looks at a link that is the last component itself.
    public func stat(_ path: FilePath, followsLink: Bool = true) throws(FilesError) -> FileStat {
        let file = try open(path, CLinux_O_PATH | (followsLink ? 0 : O_NOFOLLOW), "examine")
        return try FileStat(of: file.descriptor, path: fullPath(of: path).operatorText)
    }

    /// Whether there is a file; a symbolic link that leads nowhere is none.
    /// - Throws: when the kernel cannot tell, as in a directory that must not be searched.
    public func exists(_ path: FilePath) throws(FilesError) -> Bool {
        do {
            _ = try open(path, CLinux_O_PATH, "look for")
            return true
        } catch {
            guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory else { throw error }
            return false
        }
    }

    /// The names in a directory, sorted by their bytes, without `.` and `..`.
    public func names(in path: FilePath) throws(FilesError) -> [FilePath.Component] {
        let directory = try open(path, O_RDONLY | O_DIRECTORY, "open")
        return try DirectoryNames(of: directory.descriptor.rawValue, path: fullPath(of: path).operatorText).components
    }

    /// Where a path below the root really is, every link on the way and at its end followed inside the root.
    ///
    /// On RHCOS `/usr/local` leads to `/var/usrlocal`.
    /// - Returns: relative to the root.
    /// - Throws: `ENOENT` when it is not there.
    public func resolve(_ path: FilePath) throws(FilesError) -> TreePath {
        let file = try open(path, CLinux_O_PATH, "look for")
        let text = fullPath(of: path).operatorText
        let top = try linkTarget(at: AT_FDCWD, "/proc/self/fd/\(directory.descriptor.rawValue)", path: text)
        let place = try linkTarget(at: AT_FDCWD, "/proc/self/fd/\(file.descriptor.rawValue)", path: text)
        let prefix = top == [UInt8(ascii: "/")] ? [] : top
        guard place.starts(with: prefix), let resolved = TreePath(validating: place.dropFirst(prefix.count)) else {
            throw FilesError(operation: "look for", path: text, errno: .noSuchFileOrDirectory)
        }
        return resolved
    }

    /// Opens a directory for looking up names in it, which needs no permission to list them.
    func openDirectory(_ path: TreePath) throws(FilesError) -> OwnedDescriptor {
        try open(FilePath(path), CLinux_O_PATH | O_DIRECTORY, "open")
    }

    func open(_ path: FilePath, _ flags: Int32, _ operation: String) throws(FilesError) -> OwnedDescriptor {
        let descriptor = (path.isEmpty ? "." : path).withPlatformString { name in
            openFile(at: directory.descriptor.rawValue, name, flags, resolve: CLinux_RESOLVE_IN_ROOT)
        }
        guard descriptor >= 0 else { throw .last(operation, fullPath(of: path).operatorText) }
        return OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
    }
}

extension DirectoryNames {
    /// The names one by one.
    var components: [FilePath.Component] {
        // a name from the kernel is always one component
        (0..<count).compactMap { FilePath.Component(platformString: self[$0].map { CChar(bitPattern: $0) } + [0]) }
    }
}

/// Reads where the symbolic link `name` in `directory` points, byte for byte; an empty `name` is the link that
/// `directory` itself is open for.
func linkTarget(
    at directory: Int32,
    _ name: UnsafePointer<CChar>,
    path: @autoclosure () -> String
) throws(FilesError) -> [UInt8] {
    // the kernel's own bound for a target is PATH_MAX, 4096 with the NUL
    let target: [UInt8]? = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
        let count = readlinkat(directory, name, buffer.baseAddress!, buffer.count)
        return count < 0 ? nil : buffer[..<count].map { UInt8(bitPattern: $0) }
    }
    guard let target else { throw .last("read the link", path()) }
    return target
}
