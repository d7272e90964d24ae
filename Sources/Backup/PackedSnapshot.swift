import Archives
import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// An etcd snapshot as it lies in a recovery point, packed with zstd.
struct PackedSnapshot {
    let path: FilePath
    /// What the file must be, byte for byte.
    let expected: StoredFile

    /// Reads the file back, unpacks it and looks at the snapshot from its first byte to its last.
    ///
    /// The unpacked snapshot lies in a file without a name beside it, which is gone whatever happens: memory stays
    /// flat, and so does the directory.
    func inspect(
        _ node: Node,
        jobs: Int,
        progress: (_ bytes: Int64) -> Void = { _ in }
    ) throws -> SnapshotReport {
        let unpacked = try UnnamedFile(in: path.removingLastComponent())
        let reader = try FrameReader(path: path, jobs: jobs, cancellation: node.cancellation)
        while let piece = try reader.next() {
            try unpacked.write(piece)
            progress(Int64(piece.count))
        }
        guard let totals = reader.totals, totals.fileBytes == expected.sizeBytes,
            totals.fileDigest.hex == expected.sha256
        else {
            return SnapshotReport(
                faults: ["it is not the file that the manifest lists: its digest differs"],
                status: nil
            )
        }
        return try node.etcd.inspectSnapshot(unpacked.descriptor, cancellation: node.cancellation)
    }
}
