public import Files
internal import Reporting

/// What a recovery point holds and how to prove it: the file `manifest.json`, written last.
///
/// The JSON keys are these names in snake case; `docs/recovery-point-format.md` describes them for people. It can grow: a
/// reader ignores keys that it does not know, keeps components and roles that it does not know as text, and reads a later
/// `format_version` whose ``readerFormatVersion`` it knows. Paths in it are text with bytes that are not printable UTF-8 as
/// `\ooo`, a backslash as `\\`.
public struct Manifest: Codable, Sendable, Equatable {
    /// The version that this program writes.
    public static let currentFormatVersion = 1
    /// The versions that a reader may be asked to know, of those that this program can read.
    public static let readableFormatVersions = 1...currentFormatVersion
    /// The manifest's name inside a recovery point.
    public static let fileName = "manifest.json"

    /// 1 for every recovery point so far.
    public var formatVersion: Int
    /// The version that a reader must know to make use of it; absent when it is ``formatVersion``.
    ///
    /// A program that only adds keys, components or roles writes the version before its own here.
    public var readerFormatVersion: Int?
    /// The recovery point's ordinal, equal to its directory's name.
    public var generation: Int
    /// When it was started: UTC, ISO 8601, `2026-11-21T02:37:05Z`; ``taken`` is the same as a time.
    public var createdAt: String
    /// From start to commit, verification included.
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
    /// Whether the deployment's pin is ours: it goes with the last recovery point that needs it.
    ///
    /// Absent when somebody else made it, when that is not known, and without a deployment.
    public var ownsPin: Bool?
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

    /// Components that the node had and that are not in it; empty for a whole recovery point.
    public var lacking: [SkippedComponent] { skipped.filter(\.isLacking) }

    /// Whether it has every component that the node had when it was taken.
    public var isWhole: Bool { lacking.isEmpty }

    /// Whether it has an etcd snapshot.
    public var hasEtcd: Bool { component(.etcd)?.file(.snapshot) != nil }

    /// What a newer program has written into it and this one cannot restore, in the order of the plan: names of
    /// components, or `COMPONENT/FILE` for a file in a role that is not known; empty most of the time.
    public var unknownParts: [String] {
        components.flatMap { entry -> [String] in
            entry.component == nil ? [entry.name] : entry.unknownFiles.map { "\(entry.name)/\($0.name)" }
        }
    }

    /// When it was started; `nil` when the text is not a time.
    public var taken: FileTime? { FileTime(iso8601: createdAt) }

    /// The entry of a component; `nil` when the recovery point does not have it.
    public func component(_ name: ComponentName) -> ComponentEntry? {
        component(named: name.rawValue)
    }

    /// The entry of a component by the name on disk, also of one that this program does not know.
    public func component(named name: String) -> ComponentEntry? {
        components.first { $0.name == name }
    }

    /// Bytes of the files that were backed up, before compression.
    public var sourceBytes: Int64 { components.reduce(0) { $0.addingSaturated($1.sourceBytes) } }

    /// Bytes that the recovery point takes, files shared with earlier ones counted in full.
    public var storedBytes: Int64 { components.flatMap(\.files).reduce(0) { $0.addingSaturated($1.sizeBytes) } }

    enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case readerFormatVersion = "reader_format_version"
        case generation
        case createdAt = "created_at"
        case durationSeconds = "duration_seconds"
        case toolVersion = "tool_version"
        case node, profile, components, skipped, etcd, deployment
        case failedState = "failed_state"
        case ownsPin = "owns_pin"
    }
}

/// That a recovery point is the state that a recovery found, its undo point.
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
    /// The generation that first wrote these files, when they are shared with it; absent when written again.
    public var sharedWith: Int?
    /// What is in the component's trees and was left out on purpose, and why.
    public var leftOut: [PathNote]
    /// Files that kept changing while they were read; what is stored is one moment of each or a mix of two.
    public var unstable: [PathNote]
    /// Files that could not be read and were left out because the operator said so.
    public var unreadable: [PathNote]
    /// The subtrees that it was taken of, relative to the node's root, where links lead out of the usual ones; absent
    /// otherwise.
    public var places: [String]?
    /// How many more there are of each of the three lists than the manifest has room for; absent for none.
    public var leftOutMore: Int?
    /// The same of ``unstable``.
    public var unstableMore: Int?
    /// The same of ``unreadable``.
    public var unreadableMore: Int?

    /// An entry made of its parts.
    public init(
        name: String,
        files: [StoredFile],
        sourceFiles: Int64,
        sourceBytes: Int64,
        sharedWith: Int? = nil,
        leftOut: [PathNote] = [],
        unstable: [PathNote] = [],
        unreadable: [PathNote] = [],
        places: [String]? = nil
    ) {
        self.name = name
        self.files = files
        self.sourceFiles = sourceFiles
        self.sourceBytes = sourceBytes
        self.sharedWith = sharedWith
        self.leftOut = leftOut
        self.unstable = unstable
        self.unreadable = unreadable
        self.places = places
    }

    /// The file with this role; `nil` when the component has none.
    public func file(_ role: StoredFile.Role) -> StoredFile? {
        files.first { $0.role == role }
    }

    /// Its files in roles that this program does not know.
    public var unknownFiles: [StoredFile] {
        files.filter { if case .unknown = $0.role { true } else { false } }
    }

    /// How many paths were left out.
    public var leftOutCount: Int { leftOut.count.saturatedSum(leftOutMore ?? 0) }
    /// How many files kept changing.
    public var unstableCount: Int { unstable.count.saturatedSum(unstableMore ?? 0) }
    /// How many files could not be read.
    public var unreadableCount: Int { unreadable.count.saturatedSum(unreadableMore ?? 0) }

    enum CodingKeys: String, CodingKey {
        case name, files, unstable, unreadable, places
        case sourceFiles = "source_files"
        case sourceBytes = "source_bytes"
        case sharedWith = "shared_with"
        case leftOut = "left_out"
        case leftOutMore = "left_out_more"
        case unstableMore = "unstable_more"
        case unreadableMore = "unreadable_more"
    }
}

/// A file inside a recovery point.
public struct StoredFile: Codable, Sendable, Equatable {
    /// What a file is for.
    public enum Role: RawRepresentable, Codable, Sendable, Equatable {
        /// A tar archive, compressed with zstd.
        case archive
        /// The list of an archive's files with their digests, compressed with zstd.
        case index
        /// An etcd snapshot, compressed with zstd.
        case snapshot
        /// A JSON document.
        case document
        /// What a newer program calls something that this one does not know.
        case unknown(String)

        /// The role of a name on disk.
        public init(rawValue: String) {
            switch rawValue {
            case "archive": self = .archive
            case "index": self = .index
            case "snapshot": self = .snapshot
            case "document": self = .document
            default: self = .unknown(rawValue)
            }
        }

        /// The name on disk.
        public var rawValue: String {
            switch self {
            case .archive: "archive"
            case .index: "index"
            case .snapshot: "snapshot"
            case .document: "document"
            case .unknown(let name): name
            }
        }
    }

    /// Its name, without a directory.
    public var name: String
    /// What it is for.
    public var role: Role
    /// Its length in bytes.
    public var sizeBytes: Int64
    /// SHA-256 of its bytes as they are on disk; 64 hexadecimal digits in JSON.
    public var sha256: SHA256Digest

    /// A stored file.
    public init(name: String, role: Role, sizeBytes: Int64, sha256: SHA256Digest) {
        self.name = name
        self.role = role
        self.sizeBytes = sizeBytes
        self.sha256 = sha256
    }

    enum CodingKeys: String, CodingKey {
        case name, role, sha256
        case sizeBytes = "size_bytes"
    }

    /// Reads it, with the digest as text.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(String.self, forKey: .name)
        role = try values.decode(Role.self, forKey: .role)
        sizeBytes = try values.decode(Int64.self, forKey: .sizeBytes)
        guard let digest = SHA256Digest(hex: try values.decode(String.self, forKey: .sha256)) else {
            throw DecodingError.dataCorruptedError(forKey: .sha256, in: values, debugDescription: "not a digest")
        }
        sha256 = digest
    }

    /// Writes it, with the digest as text.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(role, forKey: .role)
        try values.encode(sizeBytes, forKey: .sizeBytes)
        try values.encode(sha256.hex, forKey: .sha256)
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
    /// Whether the node has it and it was left out of this recovery point alone, which is partial then; absent in points of
    /// earlier versions.
    public var makesPartial: Bool?

    /// A skipped component.
    public init(name: String, reason: String, makesPartial: Bool? = nil) {
        self.name = name
        self.reason = reason
        self.makesPartial = makesPartial
    }

    /// Reasons of earlier versions for components that the node may well have had.
    private static let choices: Set<String> = ["not asked for", "left out as asked"]

    /// Whether the recovery point lacks it: the node has it, or may have had it.
    public var isLacking: Bool { makesPartial ?? Self.choices.contains(reason) }

    enum CodingKeys: String, CodingKey {
        case name, reason
        case makesPartial = "makes_partial"
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
    /// The members of its cluster as the member itself lists them, those stored in the snapshot when it was not asked; absent
    /// in recovery points of earlier versions.
    public var members: [EtcdMemberEntry]?
    /// The version of the storage, `3.6.0`; absent for servers before 3.6.
    public var storageVersion: String?
    /// The version of the cluster, `3.5.0`; absent when it was never set.
    public var clusterVersion: String?
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
        members: [EtcdMemberEntry]? = nil,
        storageVersion: String? = nil,
        clusterVersion: String? = nil,
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
        self.members = members
        self.storageVersion = storageVersion
        self.clusterVersion = clusterVersion
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

/// A member of the cluster that a snapshot was taken from.
public struct EtcdMemberEntry: Codable, Sendable, Equatable {
    /// Its name; empty for one that never started.
    public var name: String
    /// Where its peers reach it.
    public var peerURLs: [String]
    /// Whether it is a learner, which has no vote.
    public var isLearner: Bool

    /// An entry made of its parts.
    public init(name: String, peerURLs: [String], isLearner: Bool) {
        self.name = name
        self.peerURLs = peerURLs
        self.isLearner = isLearner
    }

    enum CodingKeys: String, CodingKey {
        case name
        case peerURLs = "peer_urls"
        case isLearner = "is_learner"
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
