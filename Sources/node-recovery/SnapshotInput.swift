import Archives
import Etcd
import Files
import NodeInterface
import Reporting
import SystemPackage

/// A snapshot that was named on the command line: as etcd sent it, or packed with zstd as in a recovery point.
enum SnapshotInput {
    /// Looks at a snapshot from its first byte to its last.
    static func inspect(_ file: String, skipHashCheck: Bool, cancellation: Cancellation) throws -> SnapshotInspection {
        let path = FilePath(file)
        let input = try OwnedDescriptor(reading: path)
        let inspector = SnapshotInspector(rule: skipHashCheck ? .optional : .required, cancellation: cancellation)
        guard try isPacked(input.descriptor) else { return try inspector.inspect(input.descriptor) }
        let parent = path.removingLastComponent()
        let unpacked = try UnnamedFile(in: parent.isEmpty ? "." : parent)
        let reader = try FrameReader(path: path, jobs: Session.processors, cancellation: cancellation)
        while let chunk = try reader.next() { try unpacked.write(chunk) }
        return try inspector.inspect(unpacked.descriptor)
    }

    /// Whether a file begins with the magic number of a zstd frame.
    private static func isPacked(_ file: FileDescriptor) throws -> Bool {
        var magic: [UInt8] = [0, 0, 0, 0]
        let count = try magic.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: 0, into: $0) }
        return count == 4 && magic == [0x28, 0xB5, 0x2F, 0xFD]
    }
}
