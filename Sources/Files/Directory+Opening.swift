import Glibc
public import SystemPackage

extension OwnedDescriptor {
    /// Opens a file of this machine for reading, following symbolic links.
    public init(reading path: FilePath) throws(FilesError) {
        let descriptor = path.withPlatformString { openFile(at: AT_FDCWD, $0, O_RDONLY | O_NONBLOCK | O_NOCTTY) }
        guard descriptor >= 0 else { throw .last("open", path.operatorText) }
        self.init(owning: FileDescriptor(rawValue: descriptor))
    }

    /// Opens a file of this machine that exists for writing from its start, following symbolic links; empties it.
    ///
    /// For files that only another program may make or replace; ``AtomicFile`` is for all others.
    public init(overwriting path: FilePath) throws(FilesError) {
        let flags = O_WRONLY | O_TRUNC | O_NONBLOCK | O_NOCTTY
        let descriptor = path.withPlatformString { openFile(at: AT_FDCWD, $0, flags) }
        guard descriptor >= 0 else { throw .last("open", path.operatorText) }
        self.init(owning: FileDescriptor(rawValue: descriptor))
    }
}

extension FileDescriptor {
    /// Waits until the content of an open file is on the disk.
    /// - Parameter path: the file's name for the error.
    public func sync(path: @autoclosure () -> String) throws(FilesError) {
        guard fsync(rawValue) == 0 else { throw .last("sync", path()) }
    }

    /// Gives an open file to another owner.
    /// - Parameter path: the file's name for the error.
    public func setOwner(uid: UInt32, gid: UInt32, path: @autoclosure () -> String) throws(FilesError) {
        guard fchown(rawValue, uid, gid) == 0 else { throw .last("set the owner of", path()) }
    }
}

extension Directory {
    /// Sets the directory's own permission bits.
    public func setMode(_ mode: UInt32) throws(FilesError) {
        guard fchmod(descriptor.rawValue, mode) == 0 else { throw .last("set the mode of", path.operatorText) }
    }
}

extension SHA256Hasher {
    /// The digest of a file from its first byte to its last, whatever its offset is.
    /// - Parameter path: the file's name for the error.
    public static func digest(
        of file: FileDescriptor,
        path: @autoclosure () -> String
    ) throws(FilesError) -> SHA256Digest {
        var hasher = SHA256Hasher()
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        var offset = 0
        while true {
            let count = pread(file.rawValue, &buffer, buffer.count, offset)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .last("read", path()) }
            if count == 0 { return hasher.finish() }
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            offset += count
        }
    }
}
