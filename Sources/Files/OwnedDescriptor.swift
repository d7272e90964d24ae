import CLinux
import Glibc
public import SystemPackage

/// A file descriptor that is closed exactly once: at the latest when its owner goes away.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// For reading, writing and `fstat`; not to be closed, and not valid for longer than this value.
    ///
    /// Give the value a name before asking for it: `try open(path).descriptor` is closed at once.
    public let descriptor: FileDescriptor

    /// Takes over a descriptor that nobody else closes.
    public init(owning descriptor: FileDescriptor) {
        self.descriptor = descriptor
    }

    deinit {
        // ignored: whoever has written to it calls close(), which tells
        _ = Glibc.close(descriptor.rawValue)
    }

    /// Closes it now and tells what the file system had to say about it, as NFS and quotas may.
    /// - Parameter path: the file's name for the error.
    public consuming func close(path: @autoclosure () -> String) throws(FilesError) {
        let number = descriptor.rawValue
        discard self
        // Linux has closed it whatever it returns, EINTR too; trying again could close somebody else's
        if Glibc.close(number) != 0, Glibc.errno != EINTR { throw .last("close", path()) }
    }
}

/// The one way in which this module opens files: `openat2(2)`, close-on-exec, repeated when a signal comes in between,
/// and when a rename or a mount elsewhere kept the kernel from proving that the path stays within its bounds (`EAGAIN`).
///
/// Returns -1 with `errno` set at failure, as the kernel does.
func openFile(at directory: Int32, _ name: UnsafePointer<CChar>, _ flags: Int32, mode: UInt32 = 0, resolve: UInt64 = 0)
    -> Int32
{
    var attempts = 0
    while true {
        let descriptor = CLinux_openat2(directory, name, UInt64(UInt32(bitPattern: flags)), UInt64(mode), resolve)
        if descriptor < 0, errno == EINTR { continue }
        if descriptor < 0, errno == EAGAIN, resolve != 0, attempts < mostAttempts {
            attempts += 1
            sched_yield()
            continue
        }
        return descriptor
    }
}

/// A bound against a node on which something renames all the time: each attempt is a path's look-up.
private let mostAttempts = 10_000

/// The name under which `/proc` reaches an open file, even one that is open for its path only.
func procPath(of descriptor: Int32) -> String { "/proc/self/fd/\(descriptor)" }
