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
    /// The unpacked snapshot lies in a file without a name, which is gone whatever happens: memory stays flat, and so
    /// does the directory. It lies beside the packed one, or where that partition has no room in the node's `/var/tmp`.
    /// - Parameter length: bytes of the snapshot with the digest behind it.
    /// - Throws: ``ScratchFailure`` when it is that file which fails, and not the snapshot.
    func inspect(
        length: Int64,
        _ node: Node,
        jobs: Int,
        progress: (_ bytes: Int64) -> Void = { _ in }
    ) throws -> SnapshotReport {
        let unpacked: UnnamedFile
        do {
            unpacked = try ScratchPlace.file(for: path, lengthBytes: length, node)
        } catch {
            throw ScratchFailure(cause: error)
        }
        let fault = try unpack(
            node,
            length: length,
            jobs: jobs,
            { piece in
                do throws(FilesError) { try unpacked.write(piece) } catch { throw ScratchFailure(cause: error) }
            },
            progress: progress
        )
        if let fault { return SnapshotReport(faults: [fault], status: nil) }
        do {
            return try node.etcd.inspectSnapshot(
                unpacked.descriptor,
                isDigestProved: false,
                cancellation: node.cancellation
            )
        } catch {
            // What is wrong with the snapshot is in the report: this is about reading the file.
            throw ScratchFailure(cause: error)
        }
    }

    /// Reads the file back and compares the snapshot in it with its own digest.
    ///
    /// Enough for one that was looked at when it came: with that digest it is the very same.
    /// - Parameter length: bytes of the snapshot with the digest behind it.
    /// - Returns: What is wrong with it; `nil` for a good one.
    func compare(
        length: Int64,
        _ node: Node,
        jobs: Int,
        progress: (_ bytes: Int64) -> Void = { _ in }
    ) throws -> String? {
        var hasher = SHA256Hasher()
        var trailer: [UInt8] = []
        guard length > 32 else { return "a snapshot of \(length) bytes is none" }
        var left = length - 32
        let fault = try unpack(
            node,
            length: length,
            jobs: jobs,
            { piece in
                let count = min(left, Int64(piece.count))
                hasher.update(UnsafeRawBufferPointer(rebasing: piece.prefix(Int(count))))
                left -= count
                let rest = piece.dropFirst(Int(count))
                if trailer.count + rest.count <= 32 { trailer += rest }
            },
            progress: progress
        )
        if let fault { return fault }
        guard left == 0, hasher.finish().bytes == trailer else {
            return "what it unpacks to is not the snapshot that was packed: its own SHA-256 differs"
        }
        return nil
    }

    /// Hands on what the file unpacks to, and compares the file with the manifest.
    ///
    /// Ends at the first byte behind the `length` that the manifest lists.
    private func unpack(
        _ node: Node,
        length: Int64,
        jobs: Int,
        _ body: (UnsafeRawBufferPointer) throws -> Void,
        progress: (_ bytes: Int64) -> Void
    ) throws -> String? {
        let reader = try FrameReader(path: path, jobs: jobs, cancellation: node.cancellation)
        var unpacked: Int64 = 0
        while let piece = try reader.next() {
            unpacked += Int64(piece.count)
            guard unpacked <= length else {
                return "it unpacks to more than the \(length) bytes that the manifest lists"
            }
            try body(piece)
            progress(Int64(piece.count))
        }
        guard let totals = reader.totals, totals.fileBytes == expected.sizeBytes,
            totals.fileDigest == expected.sha256
        else { return "it is not the file that the manifest lists: its digest differs" }
        return nil
    }
}
