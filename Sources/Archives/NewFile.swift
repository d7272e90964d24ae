internal import Glibc
internal import SystemPackage

/// A file that is being made in a directory; removed again unless it is committed.
struct NewFile: ~Copyable {
    let path: FilePath
    let descriptor: FileDescriptor
    private var isCommitted = false

    /// Creates the file with mode 0600.
    /// - Throws: ``ArchiveError`` with `EEXIST` when there is one already.
    init(_ name: String, in directory: FilePath) throws(ArchiveError) {
        let path = directory.appending(name)
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(
                path,
                .writeOnly,
                options: [.create, .exclusiveCreate, .noFollow, .closeOnExec],
                permissions: [.ownerRead, .ownerWrite]
            )
        } catch {
            throw ArchiveError("create", in: path, .system((error as? Errno)?.rawValue ?? EIO))
        }
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        // ignored: when it is kept, all is on disk; when it is not, whatever went wrong before is what counts
        _ = try? descriptor.close()
        if !isCommitted { _ = path.withPlatformString { unlink($0) } }
    }

    /// Waits until the content is on disk and keeps the file.
    consuming func commit() throws(ArchiveError) {
        guard fsync(descriptor.rawValue) == 0 else { throw ArchiveError("sync", in: path, .system(errno)) }
        isCommitted = true
    }
}
