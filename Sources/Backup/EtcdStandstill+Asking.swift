import NodeInterface
import RecoveryPoints

/// When a snapshot can be shared with the recovery point before.
///
/// The raft log orders everything that ever changes a database: keys, leases, alarms, members, users, compactions. A
/// snapshot carries the index that it stands at. When all that is settled has been applied and ends at that index, in
/// the same term of the same member, a new snapshot would hold the same. The settled index counts and not only the
/// applied one, as a client may have its answer a moment before the latter moves.
///
/// Three more things must be the same for what the index alone would miss: the revision (servers before 3.5.3 could
/// store an index ahead of its change), the size, and the member's checksum over all keys (a member that was made anew
/// under its old identity counts from the beginning, and may come to stand at the same index).
///
/// What errs, errs towards a new snapshot: a restart begins a new term, a lease that is renewed through the log moves
/// the index, and servers before 3.5 store the index with changes of keys only. The checksum is asked for only where
/// nothing has moved, so a busy member never has to compute it.
/// Source: etcd `server/etcdserver/server.go` `applyEntryNormal`, `api/v3rpc/maintenance.go` `Status`, `HashKV`.
extension EtcdStandstill {
    /// The longest that the member may take for its checksum.
    private static let limit: Duration = .seconds(10)

    /// Asks the member whether it stands at this index of the log and this revision, where a snapshot of it does; `nil`
    /// when it has gone on, or does not answer.
    init?(at index: UInt64, revision: Int64, _ endpoint: EtcdEndpoint, _ node: Node) {
        // ignored: without an answer nothing is shared, which is never wrong
        guard let status = try? node.etcd.status(of: endpoint, limit: Self.limit),
            status.stands(at: index, revision: revision),
            let hash = try? node.etcd.hashKV(of: endpoint, revision: status.revision, limit: Self.limit)
        else { return nil }
        self.init(
            raftTerm: status.raftTerm,
            raftIndex: status.raftIndex,
            hashKV: hash.hash,
            compactRevision: hash.compactRevision
        )
    }
}

extension EtcdEntry {
    /// Whether a new snapshot of the member would hold what this one holds.
    func isStill(of status: EtcdMemberStatus, _ endpoint: EtcdEndpoint, _ node: Node) -> Bool {
        guard let standstill, status.stands(at: standstill.raftIndex, revision: currentRevision),
            status.raftTerm == standstill.raftTerm, memberID == String(status.memberID, radix: 16),
            clusterID == String(status.clusterID, radix: 16), serverVersion == status.serverVersion,
            snapshotBytes == status.databaseSizeBytes + 32
        else { return false }
        return EtcdStandstill(at: standstill.raftIndex, revision: currentRevision, endpoint, node) == standstill
    }
}

extension EtcdMemberStatus {
    /// Whether everything that was promised to anybody has been applied, and ends there.
    fileprivate func stands(at index: UInt64, revision: Int64) -> Bool {
        index > 0 && raftIndex == index && raftAppliedIndex == index && self.revision == revision && raftTerm > 0
    }
}
