import Glibc
internal import Reporting
internal import SystemPackage

/// Makes the files and directories of a restore: private to their owner, and on the disk before they are used.
struct SnapshotFiles {
    /// For messages.
    let snapshot: String
    let owner: SnapshotRestoreOptions.Owner

    /// Makes a directory that must not exist.
    func makeDirectory(_ path: FilePath) throws(SnapshotError) {
        try check("make the directory", path) { mkdir($0, 0o700) }
        try own(path)
    }

    /// Makes a directory with its parents, as far as they are missing.
    func makeParents(of path: FilePath) throws(SnapshotError) {
        let parent = Self.parent(of: path)
        guard Self.kind(of: parent) == nil else { return }
        try makeParents(of: parent)
        try check("make the directory", parent) { mkdir($0, 0o700) }
        try sync(Self.parent(of: parent))
    }

    /// Makes a file that must not exist, lets `write` fill it, and waits until it is on the disk.
    func makeFile<Result>(_ path: FilePath, _ write: (FileDescriptor) throws -> Result) throws -> Result {
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(
                path,
                .readWrite,
                options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
                permissions: [.ownerReadWrite]
            )
        } catch {
            throw SnapshotError(snapshot: snapshot, .system(operation: "create", path, error as? Errno ?? .ioError))
        }
        return try file.closeAfter {
            let result: Result
            do {
                result = try write(file)
            } catch let error as Errno {
                throw SnapshotError(snapshot: snapshot, .system(operation: "write", path, error))
            }
            try own(path)
            guard fsync(file.rawValue) == 0 else { throw failure("sync", path) }
            return result
        }
    }

    /// Waits until the names in a directory are on the disk.
    func sync(_ directory: FilePath) throws(SnapshotError) {
        let descriptor = directory.withPlatformString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw failure("open", directory) }
        let status = fsync(descriptor)
        let error = errno
        close(descriptor)
        if status != 0 {
            throw SnapshotError(snapshot: snapshot, .system(operation: "sync", directory, Errno(rawValue: error)))
        }
    }

    /// Gives a finished directory its name and waits until that is on the disk.
    func rename(_ from: FilePath, to: FilePath) throws(SnapshotError) {
        let status = from.withPlatformString { from in to.withPlatformString { Glibc.rename(from, $0) } }
        if status != 0 { throw failure("put in place", to) }
        try sync(Self.parent(of: to))
    }

    /// Removes a directory with everything in it, if it is there; follows no link.
    func removeTree(_ path: FilePath) throws(SnapshotError) {
        switch Self.kind(of: path) {
        case nil: return
        case S_IFDIR:
            for name in try names(in: path) { try removeTree(path.appending(name)) }
            try check("remove", path) { rmdir($0) }
        default: try check("remove", path) { unlink($0) }
        }
    }

    /// The names in a directory, without `.` and `..`.
    func names(in directory: FilePath) throws(SnapshotError) -> [FilePath.Component] {
        guard let stream = directory.withPlatformString({ opendir($0) }) else { throw failure("read", directory) }
        defer { closedir(stream) }
        var names = [FilePath.Component]()
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { FilePath.Component(platformString: $0) }
            }
            if let name, name.kind == .regular { names.append(name) }
            errno = 0
        }
        if errno != 0 { throw failure("read", directory) }
        return names
    }

    /// Refuses when the file system of `path` has less than `needed` bytes.
    func checkSpace(for path: FilePath, needed: Int64) throws(SnapshotError) {
        var place = path
        while Self.kind(of: place) == nil, !place.isEmpty { place = Self.parent(of: place) }
        var space = statvfs()
        try check("measure the free space of", place) { statvfs($0, &space) }
        let (free, overflow) = UInt64(space.f_bavail).multipliedReportingOverflow(by: UInt64(space.f_frsize))
        if !overflow, free < UInt64(clamping: needed) {
            throw SnapshotError(
                snapshot: snapshot,
                .noSpace(path, needed: ByteCount(needed), free: ByteCount(Int64(clamping: free)))
            )
        }
    }

    /// The type of what is there, such as `S_IFDIR`, of a link the link's own; `nil` when there is nothing.
    static func kind(of path: FilePath) -> mode_t? {
        var status = stat()
        return path.withPlatformString { lstat($0, &status) } == 0 ? status.st_mode & S_IFMT : nil
    }

    /// Who is to own what is made at `path`: the owner of the directory that it is made in; ourselves, when we are not
    /// root and cannot give files away.
    static func defaultOwner(for path: FilePath) -> SnapshotRestoreOptions.Owner {
        geteuid() == 0 ? owner(of: parent(of: path)) : SnapshotRestoreOptions.Owner(uid: geteuid(), gid: getegid())
    }

    /// Who owns the directory `path`, or the nearest one above it that exists.
    private static func owner(of path: FilePath) -> SnapshotRestoreOptions.Owner {
        var status = stat()
        if path.withPlatformString({ stat($0, &status) }) == 0 {
            return SnapshotRestoreOptions.Owner(uid: status.st_uid, gid: status.st_gid)
        }
        let parent = parent(of: path)
        return parent == path ? SnapshotRestoreOptions.Owner(uid: getuid(), gid: getgid()) : owner(of: parent)
    }

    /// The directory that a path is in; `.` for a bare name.
    static func parent(of path: FilePath) -> FilePath {
        let parent = path.removingLastComponent()
        return parent.isEmpty ? "." : parent
    }

    private func own(_ path: FilePath) throws(SnapshotError) {
        if owner.uid == geteuid(), owner.gid == getegid() { return }
        try check("change the owner of", path) { lchown($0, owner.uid, owner.gid) }
    }

    private func check(
        _ operation: String,
        _ path: FilePath,
        _ call: (UnsafePointer<CInterop.PlatformChar>) -> Int32
    ) throws(SnapshotError) {
        if path.withPlatformString(call) != 0 { throw failure(operation, path) }
    }

    private func failure(_ operation: String, _ path: FilePath) -> SnapshotError {
        SnapshotError(snapshot: snapshot, .system(operation: operation, path, Errno(rawValue: errno)))
    }
}
