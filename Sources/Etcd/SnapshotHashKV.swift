public import Bolt
internal import Files
public import Reporting

/// Computes offline what a server answers to `Maintenance.HashKV`.
///
/// Equal numbers prove that a file holds what the server holds: the keys' whole history since the last compaction.
/// Source: etcd `mvcc/kvstore.go` `hashByRev`, `mvcc/hash.go`.
public enum SnapshotHashKV {
    /// The hash and what it covers.
    public struct Result: Sendable, Hashable {
        /// CRC-32C.
        public var hash: UInt32
        /// The revision up to which changes count.
        public var revision: Int64
        /// Everything before it has been compacted away.
        ///
        /// A server's answer with another one cannot be compared.
        public var compactRevision: Int64
    }

    /// Hashes the database up to `revision`; `nil` for its last.
    ///
    /// Takes memory for every key, some 50 bytes for each, as the server does.
    /// - Precondition: the file has been inspected and has no faults.
    /// - Throws: ``BoltError`` when the system cannot read, ``Stopped``.
    public static func compute(
        _ database: BoltFile,
        contents: SnapshotContents,
        revision: Int64? = nil,
        cancellation: Cancellation
    ) throws -> Result {
        var newest: [UInt64: Change] = [:]
        var last: Int64 = 1
        // First each key's newest change: of what the compaction covers only those remain.
        try forEachChange(database, cancellation) { walk, change, isDeletion in
            last = max(last, change.main)
            guard change.main <= revision ?? .max, let key = try keyHash(walk) else { return }
            newest[key] = isDeletion ? nil : change
        }
        let upTo = revision ?? max(last, contents.compactRevision)
        var hash = CRC32C()
        Array(SnapshotBucket.key.rawValue.utf8).withUnsafeBytes { hash.update($0) }
        try forEachChange(database, cancellation) { walk, change, isDeletion in
            guard change.main <= upTo else { return }
            if change.main <= contents.compactRevision {
                if isDeletion, change.main == contents.compactRevision { return }
                if !newest.isEmpty, try keyHash(walk).map({ newest[$0] }) != change { return }
            }
            hash.update(walk.key)
            try walk.forEachPieceOfValue { hash.update($0) }
        }
        return Result(hash: hash.value, revision: upTo, compactRevision: contents.compactRevision)
    }

    private typealias Change = SnapshotRevision

    private static func keyHash(_ walk: BoltWalk) throws -> UInt64? {
        var keyValue = SnapshotKeyValue()
        try walk.forEachPieceOfValue { keyValue.feed($0) }
        return keyValue.keyHash
    }

    private static func forEachChange(
        _ database: BoltFile,
        _ cancellation: Cancellation,
        _ body: (BoltWalk, Change, _ isDeletion: Bool) throws -> Void
    ) throws {
        let walk = BoltWalk(database, cancellation: cancellation)
        let name = Array(SnapshotBucket.key.rawValue.utf8)
        while true {
            switch try walk.next() {
            case .bucket: continue
            case .pair:
                guard walk.bucket == name, let (change, isDeletion) = SnapshotRevision.parse(walk.key) else { continue }
                try body(walk, change, isDeletion)
            case .end: return
            }
        }
    }
}
