public import NodeInterface

/// What a snapshot says about the cluster that it was taken from, beside its keys.
public struct SnapshotContents: Sendable, Hashable {
    /// An alarm that was raised.
    public struct Alarm: Sendable, Hashable {
        /// The member that raised it.
        public var memberID: UInt64
        /// In etcd's words: `NOSPACE`, `CORRUPT`; `alarm 7` for a number that has none.
        public var name: String
    }

    /// Bytes of a page.
    public var pageSize = 0
    /// Pages that hold nothing; a restore gives them back.
    public var freePages = 0
    /// The members in the bucket `members`, by number; etcd 3.4 writes them but never reads them.
    public var members: [EtcdClusterMember] = []
    /// The bucket `members_removed`: numbers in hexadecimal.
    public var removedMembers: [String] = []
    /// The cluster's version, `3.5.0`; empty when it was never set.
    public var clusterVersion = ""
    /// The version of the storage, `3.6.0`; empty for servers before 3.6.
    public var storageVersion = ""
    /// Whether a downgrade was under way, and to which version.
    public var downgradeTarget: String?
    /// Alarms, by member.
    public var alarms: [Alarm] = []
    /// The raft log's index that the data stands at.
    public var consistentIndex: UInt64 = 0
    /// The raft log's term; 0 for servers before 3.5.
    public var term: UInt64 = 0
    /// Everything before this revision has been compacted away, or is to be; 0 for never.
    public var compactRevision: Int64 = 0
    /// Whether the bucket `meta` has a raft configuration, as servers from 3.5 on write it.
    public var hasConfState = false
    /// Whether users have to prove who they are.
    public var isAuthEnabled = false
    /// Number of leases.
    public var leases = 0

    /// The contents of an empty snapshot.
    public init() {}
}
