/// A revision as etcd keys its history: the number of the change and the place within its transaction.
///
/// On disk 8 bytes big endian, `_`, 8 bytes big endian, and `t` for a deletion. Source: etcd `mvcc/revision.go`.
struct SnapshotRevision: Hashable, Comparable, CustomStringConvertible {
    /// Counts the store's transactions; never negative.
    var main: Int64
    /// Counts the changes of one transaction.
    var sub: Int64 = 0

    /// Reads the key of a pair in the bucket `key`; `nil` when it is not one.
    static func parse(_ bytes: UnsafeRawBufferPointer) -> (revision: SnapshotRevision, isDeletion: Bool)? {
        guard bytes.count == 17 || bytes.count == 18, bytes[8] == UInt8(ascii: "_") else { return nil }
        guard bytes.count == 17 || bytes[17] == UInt8(ascii: "t") else { return nil }
        let main = Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
        let sub = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 9, as: Int64.self))
        guard main >= 0, sub >= 0 else { return nil }
        return (SnapshotRevision(main: main, sub: sub), bytes.count == 18)
    }

    /// `revision 12`, and of a transaction with several changes `revision 12, change 3`.
    var description: String { sub == 0 ? "revision \(main)" : "revision \(main), change \(sub + 1)" }

    /// The 17 bytes.
    var encoded: [UInt8] {
        withUnsafeBytes(of: main.bigEndian) { Array($0) } + [UInt8(ascii: "_")]
            + withUnsafeBytes(of: sub.bigEndian) { Array($0) }
    }

    static func < (left: SnapshotRevision, right: SnapshotRevision) -> Bool {
        (left.main, left.sub) < (right.main, right.sub)
    }
}
