internal import Files

/// Follows a snapshot stream and holds it to its own statements.
///
/// etcd sends pieces of the database, each with the number of bytes that remain behind it; then one piece more, the
/// 32 bytes of the SHA-256 of all that came before, with 0 remaining. Source: etcd `v3rpc/maintenance.go`, `Snapshot`,
/// the same from 3.4 to 3.7.
struct EtcdSnapshotCheck: ~Copyable {
    /// What is wrong with a stream.
    enum Fault: Error, Equatable {
        case notASnapshot
        case empty
        case tooLarge
        case wrongRemaining(stated: UInt64, expected: Int64)
        case cannotRead
        case trailerOf(bytes: Int)
        case afterTheTrailer
        case digest
        case unfinished
    }

    /// The database's bytes as the first piece states them; 0 before it.
    private(set) var total: Int64 = 0
    /// Bytes that came, the trailer's among them.
    private(set) var received: Int64 = 0

    private var hasBegun = false
    private var emptyInARow = 0
    private var digest = SHA256Hasher()

    /// Takes the next piece.
    mutating func take(_ blob: UnsafeRawBufferPointer, remaining: UInt64) throws(Fault) {
        let count = Int64(blob.count)
        if !hasBegun {
            hasBegun = true
            // Room for the trailer too, so that no sum below can overflow.
            guard let rest = Int64(exactly: remaining), rest < Int64.max - count - 32 else { throw .tooLarge }
            guard rest + count > 0 else { throw .empty }
            total = rest + count
        }
        guard received < total else { return try takeTrailer(blob, remaining: remaining) }
        let expected = total - received - count
        guard expected >= 0, remaining == UInt64(expected) else {
            throw .wrongRemaining(stated: remaining, expected: expected)
        }
        // The server ignores the error of its own read and then sends empty pieces without end.
        emptyInARow = blob.isEmpty ? emptyInARow + 1 : 0
        guard emptyInARow < 3 else { throw .cannotRead }
        digest.update(blob)
        received += count
    }

    /// The number of bytes of the whole snapshot, once the stream has ended well.
    mutating func finish() throws(Fault) -> Int64 {
        guard hasBegun, received == total + 32 else { throw .unfinished }
        return received
    }

    private mutating func takeTrailer(_ blob: UnsafeRawBufferPointer, remaining: UInt64) throws(Fault) {
        guard received == total else { throw .afterTheTrailer }
        guard blob.count == 32 else { throw .trailerOf(bytes: blob.count) }
        guard remaining == 0 else { throw .wrongRemaining(stated: remaining, expected: 0) }
        guard digest.finish() == SHA256Digest(bytes: blob) else { throw .digest }
        received += 32
    }

    /// A fault with the stream's figures.
    func described(_ fault: Fault) -> EtcdError.Fault {
        switch fault {
        case .notASnapshot: .undecodable("Maintenance/Snapshot")
        case .empty: .inconsistent("it announces a database of 0 bytes")
        case .tooLarge: .inconsistent("it announces a database larger than any file can be")
        case .wrongRemaining(let stated, let expected) where expected < 0:
            .inconsistent("\(stated) bytes are said to remain where \(-expected) more than announced have come")
        case .wrongRemaining(let stated, let expected):
            .inconsistent("\(stated) bytes are said to remain where it must be \(expected)")
        case .cannotRead: .serverCannotRead(received: received, total: total)
        case .trailerOf(let bytes): .inconsistent("a digest of \(bytes) bytes instead of 32 at the end")
        case .afterTheTrailer: .inconsistent("more comes after the digest")
        case .digest: .digestMismatch
        case .unfinished: .endedEarly(received: received, total: total + 32, cause: nil)
        }
    }
}
