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
    private var revision = SnapshotRevision(main: 0)
    /// The highest revision whose record is empty, as a raised revision's mark is.
    private var markRevision: Int64 = 0
    private var pairs: Int64 = 0
    private var pairsOfBucket = 0
    private var live = SnapshotLiveKeys()
    private var bucket = SnapshotBucket.other
    private var seen: Set<SnapshotBucket> = []
    private var unknownBuckets: [String] = []
    private var buckets = 0

    init(_ file: BoltFile) { sizes = SnapshotSizes(pageSize: file.meta.pageSize) }

    /// Walks the whole file; what is wrong is among the walk's faults afterwards.
    mutating func run(_ walk: BoltWalk, progress: (Int) -> Void) throws {
        var nextReport = 0
        while true {
            switch try walk.next() {
            case .bucket: beginBucket(walk)
            case .pair: try readPair(walk)
            case .end:
                finish(walk)
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
            revision: revision.main,
            totalKeys: Int64(live.count),
            totalPairs: pairs,
            totalSizeBytes: Int64(clamping: file.meta.pageCount) * Int64(file.meta.pageSize),
            version: contents.storageVersion,
            currentRevision: max(revision.main, contents.compactRevision, 1),
            alarms: contents.alarms.map(\.name),
            consistentIndex: contents.consistentIndex,
            clusterVersion: contents.clusterVersion,
            downgradeTarget: contents.downgradeTarget,
            members: contents.members,
            restoredSizeBytes: SnapshotRestore.sizeOfPlainRestore(sizes, contents)
        )
    }

    private mutating func beginBucket(_ walk: BoltWalk) {
        let name = walk.bucket ?? []
        name.withUnsafeBytes { hash.update($0) }
        bucket = SnapshotBucket(name: name)
        pairsOfBucket = 0
        buckets += 1
        guard buckets <= Self.bucketLimit else { return }
        sizes.beginBucket(name)
        seen.insert(bucket)
        if bucket == .other { unknownBuckets.append(FileName.text(of: name)) }
    }

    /// What only the whole of it shows.
    private func finish(_ walk: BoltWalk) {
        let missing = SnapshotBucket.standard.filter { !seen.contains($0) }.map { "'\($0.rawValue)'" }
        if !missing.isEmpty {
            let unknown = unknownBuckets.prefix(5).map { "'\($0)'" }.joined(separator: ", ")
            walk.report(
                "this is not etcd's database: it has no bucket \(missing.joined(separator: ", "))"
                    + (unknown.isEmpty ? "" : ", but \(unknown), which etcd does not have")
            )
        }
        if buckets > Self.bucketLimit { walk.report("it has \(buckets) buckets, where etcd has ten") }
        if markRevision > contents.compactRevision {
            walk.report("bucket 'key': the record of revision \(markRevision) is empty")
        }
        for (what, number) in [("revision", revision.main), ("compacted revision", contents.compactRevision)]
        where number == .max {
            walk.report("the \(what) \(number) leaves no room for another change")
        }
    }

    private mutating func readPair(_ walk: BoltWalk) throws {
        pairs += 1
        hash.update(walk.key)
        guard buckets <= Self.bucketLimit else { return try walk.forEachPieceOfValue { hash.update($0) } }
        if bucket == .key { return try readChange(walk) }
        try walk.forEachPieceOfValue { hash.update($0) }
        pairsOfBucket += 1
        if let limit = bucket.pairLimit, pairsOfBucket > limit {
            if pairsOfBucket == limit + 1 { walk.report("it has more than \(limit) pairs, which etcd never writes") }
            return
        }
        sizes.add(key: walk.key, valueCount: walk.valueCount)
        if bucket != .other { try readSmallPair(walk) }
    }

    // MARK: - The keys' history

    private mutating func readChange(_ walk: BoltWalk) throws {
        sizes.add(key: walk.key, valueCount: walk.valueCount)
        var keyValue = SnapshotKeyValue()
        try walk.forEachPieceOfValue { piece in
            hash.update(piece)
            keyValue.feed(piece)
        }
        guard let (revision, isDeletion) = SnapshotRevision.parse(walk.key) else {
            return walk.report("the key '\(FileName.text(of: walk.key))' is not a revision of etcd")
        }
        // The mark of a deletion is behind the revision: two changes of one revision would be in order.
        guard pairsOfBucket == 0 || self.revision < revision else {
            return walk.report("there are two records of \(revision)")
        }
        pairsOfBucket = 1
        self.revision = revision
        guard let keyHash = keyValue.keyHash else { return walk.report("the record of \(revision) cannot be read") }
        if isDeletion { live.remove(keyHash) } else { live.insert(keyHash) }
        if walk.valueCount == 0 {
            // With an empty record a restore raises the revision: good as long as it is compacted.
            markRevision = revision.main
        } else if isDeletion {
            if keyValue.keyCount == 0 { walk.report("the record of \(revision) deletes no key") }
        } else if keyValue.keyCount == 0 {
            walk.report("the record of \(revision) has no key")
        } else if keyValue.modRevision != revision.main {
            walk.report("the record of \(revision) says that it is of revision \(keyValue.modRevision)")
        } else if keyValue.createRevision < 1 || keyValue.createRevision > revision.main || keyValue.version < 1 {
            walk.report(
                "the record of \(revision) says that it is version \(keyValue.version) of a key made at revision "
                    + "\(keyValue.createRevision)"
            )
        }
    }

    // MARK: - Small buckets

    /// More buckets than this are not etcd's.
    private static let bucketLimit = 64

    private mutating func readSmallPair(_ walk: BoltWalk) throws {
        let key = FileName.text(of: walk.key)
        guard walk.valueCount <= bucket.valueLimit else {
            return walk.report("'\(key)' has a value of \(walk.valueCount) bytes")
        }
        var value = [UInt8]()
        value.reserveCapacity(walk.valueCount)
        try walk.forEachPieceOfValue { value += $0 }
        switch bucket {
        case .lease:
            contents.leases += 1
            check("the lease '\(hexadecimal(walk.key))'", SnapshotMessages.fault(ofLease:key:), value, walk)
        case .authUsers: check("the user '\(key)'", SnapshotMessages.fault(ofUser:key:), value, walk)
        case .authRoles: check("the role '\(key)'", SnapshotMessages.fault(ofRole:key:), value, walk)
        case .meta: readMeta(key, value, walk)
        case .cluster: readCluster(key, value, walk)
        case .members: readMember(key, value, walk)
        case .membersRemoved:
            if Self.memberID(walk.key) == nil { walk.report("'\(key)' is not the number of a member") }
            contents.removedMembers.append(key)
        case .alarm: readAlarm(key, walk)
        case .auth: readAuth(key, value, walk)
        case .key, .other: break
        }
    }

    private func check(
        _ what: @autoclosure () -> String,
        _ fault: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> String?,
        _ value: [UInt8],
        _ walk: BoltWalk
    ) {
        if let fault = value.withUnsafeBytes({ fault($0, walk.key) }) { walk.report("\(what()) \(fault)") }
    }

    private func hexadecimal(_ key: UnsafeRawBufferPointer) -> String {
        key.count == 8
            ? SnapshotMessages.hex(Int64(bigEndian: key.loadUnaligned(as: Int64.self))) : FileName.text(of: key)
    }

    private mutating func readMeta(_ key: String, _ value: [UInt8], _ walk: BoltWalk) {
        switch key {
        case "consistent_index", "term":
            guard value.count == 8 else { return walk.report("'\(key)' has \(value.count) bytes, not 8") }
            let number = value.reduce(0) { $0 << 8 | UInt64($1) }
            if key == "term" { contents.term = number } else { contents.consistentIndex = number }
        case "scheduledCompactRev", "finishedCompactRev":
            guard let (revision, isDeletion) = value.withUnsafeBytes({ SnapshotRevision.parse($0) }), !isDeletion else {
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
            guard let version = plausibleVersion(value, "the storage version", walk) else { return }
            contents.storageVersion = version.description
        default: break
        }
    }

    private mutating func readCluster(_ key: String, _ value: [UInt8], _ walk: BoltWalk) {
        switch key {
        case "clusterVersion":
            guard let version = plausibleVersion(value, "the cluster version", walk) else { return }
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
            guard downgrade.enabled == true else { return }
            let target = Array((downgrade.target ?? "").utf8)
            guard let version = plausibleVersion(target, "the version that a downgrade goes to", walk) else { return }
            contents.downgradeTarget = version.description
        default: break
        }
    }

    /// A version as etcd stores it, with the patch level 0, of a major version that this program knows.
    private func plausibleVersion(_ value: [UInt8], _ what: String, _ walk: BoltWalk) -> SnapshotVersion? {
        guard let version = SnapshotVersion(value), version.description.utf8.elementsEqual(value) else {
            walk.report("\(what) cannot be read: '\(value.withUnsafeBytes { FileName.text(of: $0) })'")
            return nil
        }
        guard version.major == 3, version.minor < 100, version.patch == 0 else {
            walk.report("\(what) \(version) is none that etcd stores")
            return nil
        }
        return version
    }

    private mutating func readAuth(_ key: String, _ value: [UInt8], _ walk: BoltWalk) {
        switch key {
        case "authEnabled":
            // Anything but 1 would switch the passwords off.
            guard value == [0] || value == [1] else {
                let text = value.map { String($0) }.joined(separator: " ")
                return walk.report("'authEnabled' is neither 0 nor 1, but \(value.isEmpty ? "empty" : text)")
            }
            contents.isAuthEnabled = value == [1]
        case "authRevision":
            if value.count != 8 { walk.report("'authRevision' has \(value.count) bytes, not 8") }
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
        guard let id = Self.memberID(walk.key), id == stored.id else {
            return walk.report("the member '\(key)' says that it is member \(String(stored.id, radix: 16))")
        }
        contents.members.append(
            EtcdClusterMember(
                id: stored.id,
                name: stored.name ?? "",
                peerURLs: stored.peerURLs ?? [],
                isLearner: stored.isLearner ?? false
            )
        )
    }

    /// The number of a member, hexadecimal with lower-case letters and without zeros in front.
    private static func memberID(_ key: UnsafeRawBufferPointer) -> UInt64? {
        let text = String(decoding: key, as: UTF8.self)
        guard let id = UInt64(text, radix: 16), id != 0, String(id, radix: 16) == text else { return nil }
        return id
    }

    private mutating func readAlarm(_ key: String, _ walk: BoltWalk) {
        guard let (memberID, kind) = SnapshotMessages.alarm(walk.key) else {
            return walk.report("the alarm '\(key)' cannot be read")
        }
        // A later etcd may have some more kinds.
        guard (0...15).contains(kind) else { return walk.report("the alarm '\(key)' is of the unknown kind \(kind)") }
        let name =
            switch kind {
            case 0: "NONE"
            case 1: "NOSPACE"
            case 2: "CORRUPT"
            default: "alarm \(kind)"
            }
        contents.alarms.append(SnapshotContents.Alarm(memberID: memberID, name: name))
    }
}
