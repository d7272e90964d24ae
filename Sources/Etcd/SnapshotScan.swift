internal import Bolt
internal import Files
import FoundationEssentials
internal import NodeInterface

/// Reads a snapshot's pairs as etcd would and adds them up to what `etcdutl snapshot status` prints and more.
///
/// Source: etcd `etcdutl/snapshot/v3_snapshot.go` `Status`, `server/storage/schema`, `mvcc/kvstore.go` `restore`.
struct SnapshotScan {
    /// What the small buckets say.
    private(set) var contents = SnapshotContents()
    /// How large everything is.
    private(set) var sizes: SnapshotSizes

    private var hash = CRC32C()
    private var revision: Int64 = 0
    private var pairs: Int64 = 0
    private var live = SnapshotLiveKeys()
    private var bucket = SnapshotBucket.other
    private var seen: Set<SnapshotBucket> = []

    init(_ file: BoltFile) { sizes = SnapshotSizes(pageSize: file.meta.pageSize) }

    /// Walks the whole file; what is wrong is among the walk's faults afterwards.
    mutating func run(_ walk: BoltWalk, progress: (Int) -> Void) throws {
        var nextReport = 0
        while true {
            switch try walk.next() {
            case .bucket:
                let name = walk.bucket ?? []
                name.withUnsafeBytes { hash.update($0) }
                bucket = SnapshotBucket(name: name)
                sizes.beginBucket(name)
                seen.insert(bucket)
            case .pair:
                try readPair(walk)
            case .end:
                for needed in [SnapshotBucket.key, .meta] where !seen.contains(needed) {
                    walk.report("this is not etcd's database: it has no bucket '\(needed.rawValue)'")
                }
                contents.pageSize = walk.file.meta.pageSize
                contents.freePages = walk.freePages
                return
            }
            if walk.usedPages >= nextReport {
                progress(walk.usedPages)
                nextReport = walk.usedPages + 4096
            }
        }
    }

    /// The sums in the form that the rest of the program knows.
    func status(of file: BoltFile) -> SnapshotStatus {
        SnapshotStatus(
            hash: hash.value,
            revision: revision,
            totalKeys: Int64(live.count),
            totalPairs: pairs,
            totalSizeBytes: Int64(clamping: file.meta.pageCount) * Int64(file.meta.pageSize),
            version: contents.storageVersion,
            currentRevision: max(revision, contents.compactRevision, 1),
            alarms: contents.alarms.map(\.name),
            consistentIndex: contents.consistentIndex
        )
    }

    private mutating func readPair(_ walk: BoltWalk) throws {
        pairs += 1
        hash.update(walk.key)
        sizes.add(key: walk.key, valueCount: walk.valueCount)
        guard bucket == .key else {
            try walk.forEachPieceOfValue { hash.update($0) }
            if bucket != .other { try readSmallPair(walk) }
            return
        }
        var keyValue = SnapshotKeyValue()
        try walk.forEachPieceOfValue { piece in
            hash.update(piece)
            keyValue.feed(piece)
        }
        guard let (revision, isDeletion) = SnapshotRevision.parse(walk.key) else {
            return walk.report("the key '\(FileName.text(of: walk.key))' is not a revision of etcd")
        }
        self.revision = revision.main
        guard let keyHash = keyValue.keyHash else {
            return walk.report("the change of revision \(revision.main) cannot be read")
        }
        if isDeletion { live.remove(keyHash) } else { live.insert(keyHash) }
    }

    // MARK: - Small buckets

    /// More than any value outside `key` that is read here can have.
    private static let smallValueLimit = 1 << 20

    private mutating func readSmallPair(_ walk: BoltWalk) throws {
        if bucket == .lease {
            contents.leases += 1
            if walk.key.count != 8 { walk.report("a lease has the number '\(FileName.text(of: walk.key))'") }
            return
        }
        let key = FileName.text(of: walk.key)
        guard walk.valueCount <= Self.smallValueLimit else {
            return walk.report("'\(key)' has a value of \(walk.valueCount) bytes")
        }
        var value = [UInt8]()
        try walk.forEachPieceOfValue { value += $0 }
        switch bucket {
        case .meta: readMeta(key, value, walk)
        case .cluster: readCluster(key, value, walk)
        case .members: readMember(key, value, walk)
        case .membersRemoved: contents.removedMembers.append(key)
        case .alarm: readAlarm(walk)
        case .auth: if key == "authEnabled" { contents.isAuthEnabled = value == [1] }
        case .key, .lease, .authUsers, .authRoles, .other: break
        }
    }

    private mutating func readMeta(_ key: String, _ value: [UInt8], _ walk: BoltWalk) {
        switch key {
        case "consistent_index", "term":
            guard value.count == 8 else { return walk.report("'\(key)' has \(value.count) bytes, not 8") }
            let number = value.reduce(0) { $0 << 8 | UInt64($1) }
            if key == "term" { contents.term = number } else { contents.consistentIndex = number }
        case "scheduledCompactRev", "finishedCompactRev":
            guard let (revision, _) = value.withUnsafeBytes({ SnapshotRevision.parse($0) }) else {
                return walk.report("'\(key)' is not a revision")
            }
            contents.compactRevision = max(contents.compactRevision, revision.main)
        case "confState":
            struct ConfState: Decodable {
                var voters: [UInt64]?
            }
            guard (try? JSONDecoder().decode(ConfState.self, from: Data(value))) != nil else {
                return walk.report("the raft configuration cannot be read")
            }
            contents.hasConfState = true
        case "storageVersion":
            guard let version = SnapshotVersion(value) else { return walk.report("the storage version cannot be read") }
            contents.storageVersion = version.description
        default: break
        }
    }

    private mutating func readCluster(_ key: String, _ value: [UInt8], _ walk: BoltWalk) {
        switch key {
        case "clusterVersion":
            guard let version = SnapshotVersion(value) else { return walk.report("the cluster version cannot be read") }
            contents.clusterVersion = version.description
        case "downgrade":
            struct Downgrade: Decodable {
                var target: String?
                var enabled: Bool?
                enum CodingKeys: String, CodingKey {
                    case target = "target-version"
                    case enabled
                }
            }
            guard let downgrade = try? JSONDecoder().decode(Downgrade.self, from: Data(value)) else {
                return walk.report("the downgrade's state cannot be read")
            }
            if downgrade.enabled == true { contents.downgradeTarget = downgrade.target ?? "" }
        default: break
        }
    }

    private mutating func readMember(_ key: String, _ value: [UInt8], _ walk: BoltWalk) {
        struct Stored: Decodable {
            var id: UInt64
            var name: String?
            var peerURLs: [String]?
            var isLearner: Bool?
        }
        guard let stored = try? JSONDecoder().decode(Stored.self, from: Data(value)) else {
            return walk.report("the member '\(key)' cannot be read")
        }
        contents.members.append(
            SnapshotContents.Member(
                id: stored.id,
                name: stored.name ?? "",
                peerURLs: stored.peerURLs ?? [],
                isLearner: stored.isLearner ?? false
            )
        )
    }

    private mutating func readAlarm(_ walk: BoltWalk) {
        guard let fields = Protobuf.numbers(in: walk.key) else { return walk.report("an alarm cannot be read") }
        let name =
            switch fields[2] ?? 0 {
            case 0: "NONE"
            case 1: "NOSPACE"
            case 2: "CORRUPT"
            case let number: "alarm \(number)"
            }
        contents.alarms.append(SnapshotContents.Alarm(memberID: fields[1] ?? 0, name: name))
    }
}
