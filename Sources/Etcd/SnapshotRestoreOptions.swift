public import SystemPackage

/// What `snapshot restore` can be told; the names, meanings and defaults are `etcdutl`'s where it has them.
public struct SnapshotRestoreOptions: Sendable, Hashable {
    /// The member's name; it has to be in ``initialCluster``.
    public var name = "default"
    /// `NAME=URL,NAME=URL`: the members of the new cluster.
    public var initialCluster = "default=http://localhost:2380"
    /// Keeps clusters apart that have the same peer URLs.
    public var token = "etcd-cluster"
    /// The member's own peer URLs; the same as in ``initialCluster``.
    public var advertisedPeerURLs = ["http://localhost:2380"]
    /// Where the write-ahead log goes when not into the data directory; must not exist.
    public var walDirectory: FilePath?
    /// How far the revision is raised; 0 leaves it.
    public var bumpRevision: UInt64 = 0
    /// With ``bumpRevision``: the highest revision that anyone can have seen; it is raised above that one when the
    /// snapshot's own is lower.
    public var revisionFloor: Int64 = 0
    /// Whether a snapshot that lists several members may not become a cluster of one; otherwise that is a warning.
    ///
    /// Before 3.6 a list can have members that are long gone: with such data it is a warning in any case.
    public var refusesSeveralMembers = false
    /// Whether everything up to the raised revision is marked as compacted, so that every watcher has to list again;
    /// required with ``bumpRevision``, refused without.
    public var markCompacted = false
    /// Whether a snapshot without a good digest is taken, such as a copy of a database file.
    public var skipHashCheck = false
    /// Whether NOSPACE alarms are left out; a CORRUPT alarm stays.
    public var clearAlarms = false
    /// Whether data may be newer than ``serverVersion``.
    public var allowOlderServer = false
    /// The version of the etcd that is to run on the result, `3.5.21`; `nil` when it is not known.
    public var serverVersion: String?
    /// User and group for what is made; `nil` takes those of the directory that it is made in.
    public var owner: Owner?

    /// Numeric user and group.
    public struct Owner: Sendable, Hashable {
        /// The user.
        public var uid: UInt32
        /// The group.
        public var gid: UInt32

        /// A user and a group.
        public init(uid: UInt32, gid: UInt32) {
            self.uid = uid
            self.gid = gid
        }
    }

    /// The defaults.
    public init() {}
}

/// What became of a restore.
public struct RestoredSnapshot: Sendable, Hashable {
    /// The data directory, complete and on the disk.
    public var dataDirectory: FilePath
    /// The number of the member that the directory is for.
    public var memberID: UInt64
    /// The number of the cluster.
    public var clusterID: UInt64
    /// The revision at which the server will start.
    public var revision: Int64
    /// What the snapshot said.
    public var contents: SnapshotContents
    /// Bytes of the new database file; the snapshot's free pages are not in it.
    public var databaseSizeBytes: Int64
    /// What an operator should know, such as an alarm that was kept.
    public var warnings: [String]
}
