import Archives
import Etcd
import Files
import Reporting
import SystemPackage

/// A snapshot that was named on the command line: as etcd sent it, or packed with zstd as in a recovery point.
struct SnapshotInput: ~Copyable {
    private let file: OwnedDescriptor
    private let unpacked: UnnamedFile?

    /// Opens a snapshot; one that is packed is unpacked into a scratch file without a name.
    /// - Parameter scratch: where the scratch file takes its space: the target's file system for a restore.
    init(_ name: String, scratch: FilePath, cancellation: Cancellation) throws {
        let path = FilePath(name)
        let file = try OwnedDescriptor(reading: path)
        var unpacked: UnnamedFile?
        if try Self.isPacked(file.descriptor) {
            let scratch = try UnnamedFile(in: scratch)
            let reader = try FrameReader(path: path, jobs: Session.processors, cancellation: cancellation)
            while let piece = try reader.next() { try scratch.write(piece) }
            unpacked = scratch
        }
        self.unpacked = unpacked
        self.file = file
    }

    /// The snapshot's bytes; valid for as long as this value.
    var descriptor: FileDescriptor { unpacked?.descriptor ?? file.descriptor }

    /// Looks at a snapshot from its first byte to its last.
    static func inspect(_ name: String, skipHashCheck: Bool, cancellation: Cancellation) throws -> SnapshotInspection {
        let scratch = directory(of: FilePath(name))
        let input = try SnapshotInput(name, scratch: scratch, cancellation: cancellation)
        return try SnapshotInspector(rule: skipHashCheck ? .optional : .required, cancellation: cancellation)
            .inspect(input.descriptor)
    }

    /// The directory that a path lies in, `.` for a lone name.
    static func directory(of path: FilePath) -> FilePath {
        let parent = path.removingLastComponent()
        return parent.isEmpty ? "." : parent
    }

    /// Whether a file begins with the magic number of a zstd frame.
    private static func isPacked(_ file: FileDescriptor) throws -> Bool {
        var magic: [UInt8] = [0, 0, 0, 0]
        let count = try magic.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: 0, into: $0) }
        return count == 4 && magic == [0x28, 0xB5, 0x2F, 0xFD]
    }
}
