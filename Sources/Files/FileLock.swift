import CLinux
import Glibc
public import SystemPackage

/// Holds a file for one run; the kernel lets go of it when the holder ends, however it ends.
///
/// An open file description lock (`fcntl(2)`, `F_OFD_SETLK`): it belongs to the descriptor, which programs that are
/// started do not inherit. Inside the file stands who holds it.
public final class FileLock: Sendable {
    /// How an attempt ended.
    public enum Attempt: Sendable {
        /// The file is held until the lock goes away.
        case held(FileLock)
        /// Somebody else holds it: what stands in the file, such as
        /// `node-backup create (process 4711, since 2026-03-01 02:00:07 UTC)`.
        case heldBy(String)
    }

    private let file: OwnedDescriptor

    private init(file: consuming OwnedDescriptor) {
        self.file = file
    }

    deinit {
        // ignored: an old holder's name in a file that nobody holds does no harm
        _ = ftruncate(file.descriptor.rawValue, 0)
    }

    /// Takes the lock if it is free, and never waits; the file is made when it is missing and never removed.
    ///
    /// A full disk does not keep it from being taken.
    /// - Parameter command: what the holder is doing, for whoever comes second.
    public static func attempt(
        _ name: FilePath.Component,
        in directory: Directory,
        command: String
    ) throws(FilesError) -> Attempt {
        let text = directory.text(of: name)
        let descriptor = name.withPlatformString {
            openFile(at: directory.raw, $0, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        }
        guard descriptor >= 0 else { throw .last("open the lock", text) }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        guard CLinux_ofd_lock(descriptor, 1) == 0 else {
            guard errno == EAGAIN || errno == EACCES else { throw .last("lock", text) }
            let holder = FileName.text(of: try file.descriptor.readAll(limitBytes: 4096, path: text))
            return .heldBy(holder.isEmpty ? "another process" : holder)
        }
        // A container has numbers of its own: the node's process 1 is not who holds it.
        let process = getpid() == 1 ? "process 1 of a container" : "process \(getpid())"
        let holder = Array("\(command) (\(process), since \(timeNow()))".utf8.prefix(4096))
        guard ftruncate(descriptor, 0) == 0 else { throw .last("write", text) }
        do throws(FilesError) {
            try file.descriptor.writeAll(holder[...], path: text)
        } catch {
            // It is held all the same; on a full disk whoever comes second is not told by whom.
            guard error.isForWantOfSpace else { throw error }
        }
        return .held(FileLock(file: file))
    }

    /// Who holds the lock, as in ``Attempt/heldBy(_:)``; `nil` when nobody does.
    ///
    /// Takes nothing and writes nothing.
    public static func holder(_ name: FilePath.Component, in directory: Directory) throws(FilesError) -> String? {
        guard try directory.stat(name) != nil else { return nil }
        let text = directory.text(of: name)
        let file = try directory.open(name)
        switch CLinux_ofd_is_locked(file.descriptor.rawValue) {
        case 0: return nil
        case 1:
            let holder = FileName.text(of: try file.descriptor.readAll(limitBytes: 4096, path: text))
            return holder.isEmpty ? "another process" : holder
        default: throw .last("ask about the lock of", text)
        }
    }

    /// `2026-03-01 02:00:07 UTC`.
    private static func timeNow() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            let count = strftime(buffer.baseAddress!, buffer.count, "%Y-%m-%d %H:%M:%S UTC", &parts)
            return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
