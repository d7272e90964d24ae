/// What a recovery point holds and how to prove it: the file `manifest.json`, written last.
///
/// The JSON keys are these names in snake case; `docs/recovery-point-format.md` describes them for people. A reader
/// refuses a `format_version` that it does not know and ignores keys that it does not know. Paths in it are text with
/// bytes that are not printable UTF-8 as `\ooo`, a backslash as `\\`.
public struct Manifest: Codable, Sendable, Equatable {
    /// The version that this program writes.
    public static let currentFormatVersion = 1
    /// The manifest's name inside a recovery point.
    public static let fileName = "manifest.json"

    /// 1 for every recovery point so far.
    public var formatVersion: Int
    /// The recovery point's ordinal, equal to its directory's name.
    public var generation: Int
    /// When it was begun: UTC, ISO 8601, `2026-11-21T02:37:05Z`.
    public var createdAt: String
    /// From begin to commit, verification included.
    public var durationSeconds: Double
    /// The program's version, `node-recovery 0.1.0`.
    public var toolVersion: String
    /// The machine that it is of; recovery refuses another one's.
    public var node: NodeIdentity
    /// `openshift`, `kubeadm` or `plain`.
    public var profile: String
    /// The components in it, in the order of the plan.
    public var components: [ComponentEntry]
    /// Components that were not taken, and why.
    public var skipped: [SkippedComponent]
    /// The etcd snapshot; absent without the component `etcd`.
    public var etcd: EtcdEntry?
    /// Checksum and serial of the deployment that was booted, `CHECKSUM.SERIAL`; absent on nodes without ostree.
    public var deployment: String?
    /// Set in a recovery point that a recovery took of the failed state before it changed anything; absent otherwise.
    public var failedState: FailedStateEntry?

    /// A manifest made of its parts.
    public init(
        generation: Int,
        createdAt: String,
        durationSeconds: Double,
        toolVersion: String,
        node: NodeIdentity,
        profile: String,
        components: [ComponentEntry],
        skipped: [SkippedComponent],
        etcd: EtcdEntry?,
        deployment: String?,
        failedState: FailedStateEntry? = nil
    ) {
        formatVersion = Self.currentFormatVersion
        self.generation = generation
        self.createdAt = createdAt
        self.durationSeconds = durationSeconds
        self.toolVersion = toolVersion
        self.node = node
        self.profile = profile
        self.components = components
        self.skipped = skipped
        self.etcd = etcd
        self.deployment = deployment
        self.failedState = failedState
    }

    /// The entry of a component; `nil` when the recovery point does not have it.
    public func component(_ name: ComponentName) -> ComponentEntry? {
        component(named: name.rawValue)
    }

    /// The entry of a component by the name on disk, also of one that this program does not know.
    public func component(named name: String) -> ComponentEntry? {
        components.first { $0.name == name }
    }

    /// Bytes of the files that were backed up, before compression.
    public var sourceBytes: Int64 { components.reduce(0) { $0 + $1.sourceBytes } }

    /// Bytes that the recovery point takes, files shared with earlier ones counted in full.
    public var storedBytes: Int64 { components.flatMap(\.files).reduce(0) { $0 + $1.sizeBytes } }

    enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case generation
        case createdAt = "created_at"
        case durationSeconds = "duration_seconds"
        case toolVersion = "tool_version"
        case node, profile, components, skipped, etcd, deployment
        case failedState = "failed_state"
    }
}

/// That a recovery point is the state that a recovery found, the way back out of it.
public struct FailedStateEntry: Codable, Sendable, Equatable {
    /// The identity of the recovery, 16 hexadecimal digits.
    public var recovery: String
    /// The generation that the recovery brings the node to.
    public var target: Int

    /// An entry.
    public init(recovery: String, target: Int) {
        self.recovery = recovery
        self.target = target
    }
}

/// Which machine a recovery point is of.
public struct NodeIdentity: Codable, Sendable, Equatable {
    /// The node's name: its host name, unless the kubelet was given another one.
    public var name: String
    /// `/etc/machine-id`; absent when the file is empty or not there.
    public var machineID: String?

    /// An identity.
    public init(name: String, machineID: String?) {
        self.name = name
        self.machineID = machineID
    }

    enum CodingKeys: String, CodingKey {
        case name
        case machineID = "machine_id"
    }
}

/// One component of a recovery point.
public struct ComponentEntry: Codable, Sendable, Equatable {
    /// Its name in the plan, such as `etc`.
    public var name: String
    /// Its files in the recovery point.
    public var files: [StoredFile]
    /// Number of files, directories and links in it (1 for a snapshot).
    public var sourceFiles: Int64
    /// Bytes of content before compression.
    public var sourceBytes: Int64
    /// The generation that first wrote these files, when they are shared with it; absent when written anew.
    public var sharedWith: Int?
    /// What lies in the component's trees and was left out on purpose, and why.
    public var leftOut: [PathNote]
    /// Files that kept changing while they were read; what is stored is one moment of each or a mix of two.
    public var unstable: [PathNote]
    /// Files that could not be read and were left out because the operator said so.
    public var unreadable: [PathNote]

    /// An entry made of its parts.
    public init(
        name: String,
        files: [StoredFile],
        sourceFiles: Int64,
        sourceBytes: Int64,
        sharedWith: Int? = nil,
        leftOut: [PathNote] = [],
        unstable: [PathNote] = [],
        unreadable: [PathNote] = []
    ) {
        self.name = name
        self.files = files
        self.sourceFiles = sourceFiles
        self.sourceBytes = sourceBytes
        self.sharedWith = sharedWith
        self.leftOut = leftOut
        self.unstable = unstable
        self.unreadable = unreadable
    }

    /// The file with this role; `nil` when the component has none.
    public func file(_ role: StoredFile.Role) -> StoredFile? {
        files.first { $0.role == role }
    }

    enum CodingKeys: String, CodingKey {
        case name, files, unstable, unreadable
        case sourceFiles = "source_files"
        case sourceBytes = "source_bytes"
        case sharedWith = "shared_with"
        case leftOut = "left_out"
    }
}

/// A file inside a recovery point.
public struct StoredFile: Codable, Sendable, Equatable {
    /// What a file is for.
    public enum Role: String, Codable, Sendable {
        /// A tar archive, compressed with zstd.
        case archive
        /// The list of an archive's files with their digests, compressed with zstd.
        case index
        /// An etcd snapshot, compressed with zstd.
        case snapshot
        /// A JSON document.
        case document
    }

    /// Its name, without a directory.
    public var name: String
    /// What it is for.
    public var role: Role
    /// Its length in bytes.
    public var sizeBytes: Int64
    /// SHA-256 of its bytes as they lie on disk, 64 hexadecimal digits.
    public var sha256: String

    /// A stored file.
    public init(name: String, role: Role, sizeBytes: Int64, sha256: String) {
        self.name = name
        self.role = role
        self.sizeBytes = sizeBytes
        self.sha256 = sha256
    }

    enum CodingKeys: String, CodingKey {
        case name, role, sha256
        case sizeBytes = "size_bytes"
    }
}

/// A path and what is to be said about it.
public struct PathNote: Codable, Sendable, Equatable {
    /// Relative to the node's root.
    public var path: String
    /// Why it is on its list.
    public var reason: String

    /// A note.
    public init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }
}

/// A component that was not taken.
public struct SkippedComponent: Codable, Sendable, Equatable {
    /// Its name in the plan.
    public var name: String
    /// Why.
    public var reason: String

    /// A skipped component.
    public init(name: String, reason: String) {
        self.name = name
        self.reason = reason
    }
}

/// The etcd snapshot of a recovery point.
public struct EtcdEntry: Codable, Sendable, Equatable {
    /// Where it was streamed from.
    public var endpoint: String
    /// The server's version.
    public var serverVersion: String
    /// Sixteen hexadecimal digits at most, as etcd prints it.
    public var clusterID: String
    /// Sixteen hexadecimal digits at most, as etcd prints it.
    public var memberID: String
    /// Length of the snapshot before compression, digest trailer included.
    public var snapshotBytes: Int64
    /// As `etcdutl snapshot status` prints it.
    public var hash: UInt32
    /// As `etcdutl snapshot status` prints it.
    public var revision: Int64
    /// Distinct live keys.
    public var totalKeys: Int64
    /// The database's length.
    public var totalSizeBytes: Int64
    /// The revision that the store is really at.
    public var currentRevision: Int64
    /// Alarms stored in it.
    public var alarms: [String]
    /// Where the member stood; absent when it had gone on by the time that the snapshot was complete.
    public var standstill: EtcdStandstill?
    /// The version of the storage, `3.6.0`; absent for servers before 3.6.
    public var storageVersion: String?
    /// The version of the cluster, `3.5.0`; absent when it was never set.
    public var clusterVersion: String?
    /// The names of the cluster's members as the member itself lists them; absent when it was not asked.
    public var members: [String]?
    /// Bytes of the database that a recovery makes of it; absent when it was not computed.
    public var restoredSizeBytes: Int64?

    /// An entry made of its parts.
    public init(
        endpoint: String,
        serverVersion: String,
        clusterID: String,
        memberID: String,
        snapshotBytes: Int64,
        hash: UInt32,
        revision: Int64,
        totalKeys: Int64,
        totalSizeBytes: Int64,
        currentRevision: Int64,
        alarms: [String],
        standstill: EtcdStandstill? = nil,
        storageVersion: String? = nil,
        clusterVersion: String? = nil,
        members: [String]? = nil,
        restoredSizeBytes: Int64? = nil
    ) {
        self.endpoint = endpoint
        self.serverVersion = serverVersion
        self.clusterID = clusterID
        self.memberID = memberID
        self.snapshotBytes = snapshotBytes
        self.hash = hash
        self.revision = revision
        self.totalKeys = totalKeys
        self.totalSizeBytes = totalSizeBytes
        self.currentRevision = currentRevision
        self.alarms = alarms
        self.standstill = standstill
        self.storageVersion = storageVersion
        self.clusterVersion = clusterVersion
        self.members = members
        self.restoredSizeBytes = restoredSizeBytes
    }

    enum CodingKeys: String, CodingKey {
        case endpoint, hash, revision, alarms, standstill, members
        case storageVersion = "storage_version"
        case clusterVersion = "cluster_version"
        case restoredSizeBytes = "restored_size_bytes"
        case serverVersion = "server_version"
        case clusterID = "cluster_id"
        case memberID = "member_id"
        case snapshotBytes = "snapshot_bytes"
        case totalKeys = "total_keys"
        case totalSizeBytes = "total_size_bytes"
        case currentRevision = "current_revision"
    }
}

/// Where an etcd member stood while and after its snapshot was taken: as long as it stands there, the snapshot is what
/// a new one would be.
public struct EtcdStandstill: Codable, Sendable, Equatable {
    /// The term of the raft log.
    public var raftTerm: UInt64
    /// The index of the raft log: of the snapshot, and of all that was settled and applied.
    public var raftIndex: UInt64
    /// The member's own checksum over all keys (`HashKV`).
    public var hashKV: UInt32
    /// What that checksum leaves out: the revision of the last compaction; -1 for none.
    public var compactRevision: Int64

    /// A place to stand at.
    public init(raftTerm: UInt64, raftIndex: UInt64, hashKV: UInt32, compactRevision: Int64) {
        self.raftTerm = raftTerm
        self.raftIndex = raftIndex
        self.hashKV = hashKV
        self.compactRevision = compactRevision
    }

    enum CodingKeys: String, CodingKey {
        case raftTerm = "raft_term"
        case raftIndex = "raft_index"
        case hashKV = "hash_kv"
        case compactRevision = "compact_revision"
    }
}
