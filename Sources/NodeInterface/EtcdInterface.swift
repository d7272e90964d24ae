public import Reporting
public import SystemPackage

/// Where an etcd member listens and how to prove who we are.
public struct EtcdEndpoint: Sendable, Hashable {
    /// A numeric address or a host name, without brackets.
    public var host: String
    /// 2379 by custom.
    public var port: UInt16
    /// The files for mutual TLS; `nil` speaks plain text, which only test servers do.
    public var tls: TLSFiles?

    /// An endpoint.
    public init(host: String, port: UInt16, tls: TLSFiles?) {
        self.host = host
        self.port = port
        self.tls = tls
    }

    /// The files of mutual TLS, PEM, as absolute paths that can be opened as they are (the root is part of them).
    public struct TLSFiles: Sendable, Hashable {
        /// Certificates of the authorities that may have signed the server's certificate.
        public var authority: FilePath
        /// Our certificate, its chain behind it.
        public var certificate: FilePath
        /// Our private key.
        public var key: FilePath

        /// Three files.
        public init(authority: FilePath, certificate: FilePath, key: FilePath) {
            self.authority = authority
            self.certificate = certificate
            self.key = key
        }
    }
}

extension EtcdEndpoint: CustomStringConvertible {
    /// As a URL: `https://127.0.0.1:2379`, an IPv6 address in brackets.
    public var description: String {
        "\(tls == nil ? "http" : "https")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }
}

/// What a live etcd member says about itself (`Maintenance.Status` and `Alarm`).
public struct EtcdMemberStatus: Sendable, Hashable {
    /// The server's version, `3.5.21`.
    public var serverVersion: String
    /// Identity of the cluster and of the member.
    public var clusterID: UInt64
    /// Identity of the member.
    public var memberID: UInt64
    /// The store's current revision.
    public var revision: Int64
    /// Size of the database file; a snapshot is this plus 32 bytes.
    public var databaseSizeBytes: Int64
    /// How much of it is in use.
    public var databaseInUseBytes: Int64
    /// Alarms that are raised, in etcd's words: `NOSPACE`, `CORRUPT`.
    public var alarms: [String]
    /// The term of the raft log, which moves with every election.
    public var raftTerm: UInt64
    /// The last index of the raft log that is settled: everything that a client was promised is in it.
    public var raftIndex: UInt64
    /// The index up to which the log has been put into the database.
    public var raftAppliedIndex: UInt64
    /// Errors that the member reports, such as `etcdserver: no leader`; a snapshot works all the same.
    public var errors: [String]

    /// A status made of its parts.
    public init(
        serverVersion: String,
        clusterID: UInt64,
        memberID: UInt64,
        revision: Int64,
        databaseSizeBytes: Int64,
        databaseInUseBytes: Int64,
        alarms: [String],
        errors: [String],
        raftTerm: UInt64 = 0,
        raftIndex: UInt64 = 0,
        raftAppliedIndex: UInt64 = 0
    ) {
        self.serverVersion = serverVersion
        self.clusterID = clusterID
        self.memberID = memberID
        self.revision = revision
        self.databaseSizeBytes = databaseSizeBytes
        self.databaseInUseBytes = databaseInUseBytes
        self.alarms = alarms
        self.errors = errors
        self.raftTerm = raftTerm
        self.raftIndex = raftIndex
        self.raftAppliedIndex = raftAppliedIndex
    }
}

/// What a snapshot file holds, read offline.
///
/// `hash`, `revision`, `totalKeys`, `totalSizeBytes` and `version` are
/// those of `etcdutl snapshot status`.
public struct SnapshotStatus: Sendable, Hashable, Codable {
    /// CRC-32C over bucket names, keys and values.
    public var hash: UInt32
    /// Main revision of the last key in the bucket `key`; 0 when there is none.
    public var revision: Int64
    /// Number of distinct live keys, as etcdutl 3.6 counts (3.4 and 3.5 count every pair of every bucket).
    public var totalKeys: Int64
    /// Pairs in all buckets, as etcdctl 3.4 and etcdutl 3.5 count.
    public var totalPairs: Int64
    /// Pages in use times page size; without the digest trailer.
    public var totalSizeBytes: Int64
    /// The storage version (`3.6.0`); empty for files of servers before 3.6.
    public var version: String
    /// The revision that the store is really at, which `revision` can fall behind of after a compaction.
    public var currentRevision: Int64
    /// Alarms that are stored in it, in etcd's words.
    public var alarms: [String]
    /// The index of the raft log that it stands at.
    public var consistentIndex: UInt64
    /// The cluster's version, `3.5.0`; empty when it was never set.
    public var clusterVersion: String
    /// The version that a downgrade was under way to; `nil` without one.
    public var downgradeTarget: String?
    /// The members that are stored in it; etcd before 3.6 writes them but never reads them, so that others may be left.
    public var members: [EtcdClusterMember]
    /// Bytes of the database that a restore makes of it; 0 when that was not computed.
    public var restoredSizeBytes: Int64

    /// Whether a server of 3.6 or later wrote it, whose tools count keys another way and print the storage's version.
    ///
    /// A downgrade to 3.5 takes the storage's version away, but only a server of 3.6 can be on its way there.
    public var isOfRelease36: Bool {
        func minor(_ version: String) -> Int? {
            let parts = version.split(separator: ".")
            return parts.count == 3 && parts[0] == "3" ? Int(parts[1]) : nil
        }
        return !version.isEmpty || minor(clusterVersion) ?? 0 >= 6 || downgradeTarget.flatMap(minor) ?? 0 >= 5
    }

    /// A status made of its parts.
    public init(
        hash: UInt32,
        revision: Int64,
        totalKeys: Int64,
        totalPairs: Int64,
        totalSizeBytes: Int64,
        version: String,
        currentRevision: Int64,
        alarms: [String],
        consistentIndex: UInt64 = 0,
        clusterVersion: String = "",
        downgradeTarget: String? = nil,
        members: [EtcdClusterMember] = [],
        restoredSizeBytes: Int64 = 0
    ) {
        self.hash = hash
        self.revision = revision
        self.totalKeys = totalKeys
        self.totalPairs = totalPairs
        self.totalSizeBytes = totalSizeBytes
        self.version = version
        self.currentRevision = currentRevision
        self.alarms = alarms
        self.consistentIndex = consistentIndex
        self.clusterVersion = clusterVersion
        self.downgradeTarget = downgradeTarget
        self.members = members
        self.restoredSizeBytes = restoredSizeBytes
    }
}

/// A member of an etcd cluster.
public struct EtcdClusterMember: Sendable, Hashable, Codable {
    /// etcd's number for it.
    public var id: UInt64
    /// Its name; empty for a member that never started.
    public var name: String
    /// Where its peers reach it.
    public var peerURLs: [String]
    /// Whether it has no vote.
    public var isLearner: Bool

    /// A member made of its parts.
    public init(id: UInt64, name: String, peerURLs: [String], isLearner: Bool) {
        self.id = id
        self.name = name
        self.peerURLs = peerURLs
        self.isLearner = isLearner
    }

    /// Its name, or what identifies one that has none.
    public var label: String { name.isEmpty ? "\(String(id, radix: 16)) (never started)" : name }
}

/// The result of looking at a snapshot file from its first byte to its last.
public struct SnapshotReport: Sendable, Hashable {
    /// Every fault that was found, in the order of the file's layout, each a line that an operator can read; empty
    /// for a good snapshot.
    public var faults: [String]
    /// What it holds; `nil` when it is too damaged to be read to the end.
    public var status: SnapshotStatus?

    /// A report.
    public init(faults: [String], status: SnapshotStatus?) {
        self.faults = faults
        self.status = status
    }
}

/// A checksum over an etcd store's keys and their history (`Maintenance.HashKV`).
public struct EtcdHash: Sendable, Hashable {
    /// CRC-32C.
    public var hash: UInt32
    /// The revision that the store was compacted at; -1 for never.
    public var compactRevision: Int64

    /// A checksum.
    public init(hash: UInt32, compactRevision: Int64) {
        self.hash = hash
        self.compactRevision = compactRevision
    }
}

/// The etcd member of the node and the snapshots that come from it.
public protocol EtcdInterface: Sendable {
    /// Asks the member what it is and how it feels, within `limit`.
    func status(of endpoint: EtcdEndpoint, limit: Duration) throws -> EtcdMemberStatus

    /// The members of the cluster as this member knows them, within `limit`; it need not have a quorum.
    func members(of endpoint: EtcdEndpoint, limit: Duration) throws -> [EtcdClusterMember]

    /// Asks for a checksum over all keys up to a revision, within `limit`.
    ///
    /// The member reads its whole database for it, some gigabytes a second, and writes nothing meanwhile.
    func hashKV(of endpoint: EtcdEndpoint, revision: Int64, limit: Duration) throws -> EtcdHash

    /// Streams one snapshot: the database's bytes, then the 32 bytes of its SHA-256.
    ///
    /// `sink` gets every piece once, in order. The stream is checked while it runs: lengths, the digest, the end.
    /// Nothing may be kept of what `sink` got when this throws.
    /// - Parameter stallLimit: how long no byte may arrive before the stream is given up.
    /// - Parameter progress: called with the bytes received and the total whenever a piece has arrived.
    /// - Returns: the number of bytes that `sink` got, the trailer's 32 among them.
    func streamSnapshot(
        from endpoint: EtcdEndpoint,
        stallLimit: Duration,
        progress: @escaping (_ done: Int64, _ total: Int64) -> Void,
        sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int64

    /// Reads a whole snapshot file: digest trailer, both meta pages, every page, key order, free list, etcd's keys.
    ///
    /// Memory does not grow with the file. A damaged file is not an error: the faults are in the report.
    /// - Parameter file: open for reading, seekable; its offset is not used.
    /// - Parameter isDigestProved: whether these bytes were compared with the digest already, as
    ///   ``streamSnapshot(from:stallLimit:progress:sink:)`` does.
    func inspectSnapshot(
        _ file: FileDescriptor,
        isDigestProved: Bool,
        cancellation: Cancellation
    ) throws -> SnapshotReport

    /// The revision that the database file of a member is at, read in no time and without checking the file; `nil` when
    /// it holds none.
    ///
    /// - Parameter file: `member/snap/db`, open for reading; a member may be running on it.
    func databaseRevision(_ file: FileDescriptor) throws -> Int64?

    /// Makes a data directory for a fresh cluster of one member out of a snapshot, offline.
    ///
    /// The whole snapshot is checked before the first byte is written, and what was written is compared with it. The
    /// directory is whole and on the disk when this returns, and not there when it throws.
    /// - Parameter snapshot: not packed, open for reading, seekable; its offset is not used.
    func restoreSnapshot(
        _ snapshot: FileDescriptor,
        _ request: EtcdRestoreRequest,
        cancellation: Cancellation
    ) throws -> EtcdRestoreResult
}

extension EtcdInterface {
    /// None: for members that are not asked.
    public func members(of endpoint: EtcdEndpoint, limit: Duration) throws -> [EtcdClusterMember] { [] }

    /// Not known: for databases that are not read.
    public func databaseRevision(_ file: FileDescriptor) throws -> Int64? { nil }

    /// Asks for a snapshot and hangs up at its first byte: whether the member would give one.
    ///
    /// - Throws: what ``streamSnapshot(from:stallLimit:progress:sink:)`` throws when it would not.
    public func tryStreamingSnapshot(from endpoint: EtcdEndpoint, stallLimit: Duration) throws {
        do {
            _ = try streamSnapshot(from: endpoint, stallLimit: stallLimit, progress: { _, _ in }) { _ in
                throw SeenEnough()
            }
        } catch is SeenEnough {}
    }
}

/// The first byte of a snapshot has come.
private struct SeenEnough: Error {}

/// What is to be restored, and as whom.
public struct EtcdRestoreRequest: Sendable, Hashable {
    /// What the snapshot is called in messages.
    public var snapshotName: String
    /// The data directory to make; must not exist, its parent must.
    public var directory: FilePath
    /// The member's name.
    public var memberName: String
    /// The member's own peer URLs.
    public var peerURLs: [String]
    /// Keeps clusters apart that have the same peer URLs.
    public var clusterToken: String
    /// How far the revision is raised, so that no watcher takes the old history for the new one; everything up to it
    /// is marked as compacted.
    public var bumpRevision: UInt64
    /// The highest revision that anyone can have seen of this cluster: it is raised above that one when the snapshot's
    /// own is lower.
    ///
    /// 0 for none.
    public var revisionFloor: Int64
    /// Whether a snapshot of a cluster of several members may become a cluster of one.
    public var forcesNewCluster: Bool

    /// A request made of its parts.
    public init(
        snapshotName: String,
        directory: FilePath,
        memberName: String,
        peerURLs: [String],
        clusterToken: String,
        bumpRevision: UInt64,
        revisionFloor: Int64 = 0,
        forcesNewCluster: Bool = false
    ) {
        self.snapshotName = snapshotName
        self.directory = directory
        self.memberName = memberName
        self.peerURLs = peerURLs
        self.clusterToken = clusterToken
        self.bumpRevision = bumpRevision
        self.revisionFloor = revisionFloor
        self.forcesNewCluster = forcesNewCluster
    }
}

/// What became of a restore.
public struct EtcdRestoreResult: Sendable, Hashable {
    /// Identity of the new cluster.
    public var clusterID: UInt64
    /// Identity of its member.
    public var memberID: UInt64
    /// The revision at which the server starts.
    public var revision: Int64
    /// Bytes of the new database.
    public var databaseSizeBytes: Int64
    /// What the operator should know, such as an alarm that was kept.
    public var warnings: [String]

    /// A result made of its parts.
    public init(clusterID: UInt64, memberID: UInt64, revision: Int64, databaseSizeBytes: Int64, warnings: [String]) {
        self.clusterID = clusterID
        self.memberID = memberID
        self.revision = revision
        self.databaseSizeBytes = databaseSizeBytes
        self.warnings = warnings
    }
}
