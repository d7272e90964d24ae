internal import CLinux
import Glibc
public import SystemPackage

/// A scratch file without a name: it takes space on a file system and is gone when it is closed, whatever happens.
public final class UnnamedFile: Sendable {
    private let file: OwnedDescriptor
    private let directory: FilePath

    /// For reading and writing; not to be closed.
    public var descriptor: FileDescriptor { file.descriptor }

    /// Makes an empty one on the file system of `directory` (`O_TMPFILE`, Linux 3.11).
    ///
    /// A file system that has no such files gets one that is named and unlinked at once.
    public init(in directory: FilePath) throws(FilesError) {
        self.directory = directory
        var number = directory.withPlatformString { CLinux_open_unnamed($0) }
        if number < 0, errno == EOPNOTSUPP || errno == EISDIR {
            var template = Array(directory.appending(".scratch.XXXXXX").string.utf8CString)
            number = mkstemp(&template)
            if number >= 0 {
                unlink(template)
                _ = fcntl(number, F_SETFD, FD_CLOEXEC)
            }
        }
        guard number >= 0 else { throw .last("make a scratch file in", directory.operatorText) }
        file = OwnedDescriptor(owning: FileDescriptor(rawValue: number))
    }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FilesError) {
        try descriptor.writeAll(bytes, path: "\(directory.operatorText)/(scratch file)")
    }
}
