import CLinux
import Glibc
public import SystemPackage

/// Writes files that are either whole or not there: written beside, synced, renamed, and the directory synced.
public enum AtomicFile {
    /// Puts a file of these bytes under a name, in the place of what was there.
    /// - Parameter reservedBytes: room that the file keeps for itself, so that it can grow that far on a full disk;
    ///   without effect on file systems that have no such thing.
    public static func write(
        _ bytes: some Collection<UInt8>,
        to name: FilePath.Component,
        in directory: Directory,
        mode: UInt32 = 0o600,
        reservedBytes: Int64 = 0
    ) throws(FilesError) {
        let bytes = Array(bytes)
        try replace(name, in: directory, mode: mode) { file throws(FilesError) in
            try file.writeAll(bytes[...], path: directory.text(of: name))
            guard reservedBytes > 0, CLinux_reserve(file.rawValue, reservedBytes) != 0 else { return }
            let error = FilesError.last("reserve space for", directory.text(of: name))
            if error.isForWantOfSpace { throw error }
        }
    }

    /// Puts a file under a name, in the place of what was there, that `content` writes.
    ///
    /// When `content` throws, or the power goes, the old file is still there; a kill in between may leave a whole
    /// file `.NAME.XXXXXXXX` beside it.
    /// - Parameter content: gets the new file, open for reading and writing.
    /// - Throws: what `content` throws, otherwise ``FilesError``.
    public static func write(
        to name: FilePath.Component,
        in directory: Directory,
        mode: UInt32 = 0o600,
        content: (FileDescriptor) throws -> Void
    ) throws {
        var failure: (any Error)?
        do {
            try replace(name, in: directory, mode: mode) { file throws(FilesError) in
                do {
                    try content(file)
                } catch {
                    failure = error
                    throw FilesError(operation: "write", path: directory.text(of: name), errno: .ioError)
                }
            }
        } catch {
            throw failure ?? error
        }
    }

    /// Puts a copy of an open file under a name, in the place of what was there; on file systems that can, it shares
    /// the blocks.
    public static func copy(
        _ source: FileDescriptor,
        to name: FilePath.Component,
        in directory: Directory,
        mode: UInt32 = 0o600
    ) throws(FilesError) {
        try replace(name, in: directory, mode: mode) { file throws(FilesError) in
            if CLinux_ficlone(file.rawValue, source.rawValue) == 0 { return }
            try copyBytes(from: source, to: file, path: directory.text(of: name))
        }
    }

    /// Puts a symbolic link under a name, in the place of what was there; nothing is written when it is there already.
    public static func link(
        to target: FilePath,
        as name: FilePath.Component,
        in directory: Directory
    ) throws(FilesError) {
        // ignored: what is no link, or is not there, is replaced
        let present = try? name.withPlatformString { try linkTarget(at: directory.raw, $0, path: "") }
        if let present, FilePath(bytes: present) == target { return }
        let beside = temporaryName(for: name)
        guard target.withPlatformString({ symlinkat($0, directory.raw, beside) }) == 0 else {
            throw .last("create a link beside", directory.text(of: name))
        }
        guard name.withPlatformString({ renameat(directory.raw, beside, directory.raw, $0) }) == 0 else {
            let error = FilesError.last("replace", directory.text(of: name))
            _ = unlinkat(directory.raw, beside, 0)  // ignored: the first error tells more
            throw error
        }
        try directory.sync()
    }

    private static func replace(
        _ name: FilePath.Component,
        in directory: Directory,
        mode: UInt32,
        content: (FileDescriptor) throws(FilesError) -> Void
    ) throws(FilesError) {
        let text = directory.text(of: name)
        let beside = temporaryName(for: name)
        // without a name until it is whole; not every file system can do that
        var descriptor = CLinux_open_unnamed(procPath(of: directory.raw))
        let isNamed = descriptor < 0
        if isNamed {
            descriptor = openFile(at: directory.raw, beside, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        }
        guard descriptor >= 0 else { throw FilesError.last("create a file beside", text) }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        do throws(FilesError) {
            try content(file.descriptor)
            guard fchmod(descriptor, mode) == 0 else { throw FilesError.last("set the mode of", text) }
            guard fsync(descriptor) == 0 else { throw FilesError.last("sync", text) }
            if !isNamed {
                guard linkat(AT_FDCWD, procPath(of: descriptor), directory.raw, beside, AT_SYMLINK_FOLLOW) == 0 else {
                    throw FilesError.last("give a name to", text)
                }
            }
            guard name.withPlatformString({ renameat(directory.raw, beside, directory.raw, $0) }) == 0 else {
                throw FilesError.last("replace", text)
            }
        } catch {
            _ = unlinkat(directory.raw, beside, 0)  // ignored: the first error tells more
            throw error
        }
        try file.close(path: text)
        try directory.sync()
    }

    private static func copyBytes(
        from source: FileDescriptor,
        to file: FileDescriptor,
        path: String
    ) throws(FilesError) {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while true {
            let count = pread(source.rawValue, &buffer, buffer.count, offset)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .last("read the source of", path) }
            if count == 0 { return }
            try file.writeAll(buffer[..<count], path: path)
            offset += count
        }
    }

    /// `.NAME.XXXXXXXX` with a random number, so that two writers never meet.
    private static func temporaryName(for name: FilePath.Component) -> [CChar] {
        let bytes = name.withPlatformString { Array(UnsafeBufferPointer(start: $0, count: strlen($0))) }
        let number = String(UInt32.random(in: .min ... .max), radix: 16)
        return [0x2E] + bytes.prefix(240) + ".\(number)".utf8.map { CChar(bitPattern: $0) } + [0]
    }
}
