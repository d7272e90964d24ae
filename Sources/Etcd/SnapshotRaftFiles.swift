internal import Files

/// The write-ahead log and the raft snapshot of a cluster that has just begun, byte for byte as `etcdutl` writes them.
///
/// Both say: every member has been added, in term 1, nothing else has happened. Source: etcd `server/storage/wal`,
/// `walpb/record.proto`, `server/etcdserver/api/snap`, `raftpb/raft.proto`, `v2store`; the messages are proto2, so
/// zeros are written too.
struct SnapshotRaftFiles {
    private static let term: UInt64 = 1
    private let membership: SnapshotMembership

    init(_ membership: SnapshotMembership) {
        self.membership = membership
    }

    /// The log's index that everything stands at: one entry a member.
    var index: UInt64 { UInt64(membership.members.count) }

    /// The raft term that everything stands at.
    var term: UInt64 { Self.term }

    let walName = "0000000000000000-0000000000000000.wal"

    /// `TERM-INDEX.snap`, 16 hexadecimal digits each.
    var snapName: String { "\(Self.hex16(term))-\(Self.hex16(index)).snap" }

    /// The members' pairs of the bucket `members`, by key.
    var memberPairs: [(key: [UInt8], value: [UInt8])] {
        membership.members
            .map { (Array(String($0.id, radix: 16).utf8), Array(Self.json($0).utf8)) }
            .sorted { $0.0.lexicographicallyPrecedes($1.0) }
    }

    /// The value of `confState` in the bucket `meta`.
    var confStateJSON: [UInt8] {
        Array(#"{"voters":[\#(membership.ids.map(String.init).joined(separator: ","))],"auto_leave":false}"#.utf8)
    }

    // MARK: - The log

    /// The whole log file; etcd makes it longer when it needs to.
    var wal: [UInt8] {
        var log = Log()
        log.append(type: 4, nil)
        log.append(type: 1, Protobuf.number(1, membership.local.id) + Protobuf.number(2, membership.clusterID))
        log.append(type: 5, Protobuf.number(1, 0) + Protobuf.number(2, 0))
        for (position, member) in membership.members.enumerated() {
            let change =
                Protobuf.number(1, 0) + Protobuf.number(2, 0) + Protobuf.number(3, member.id)
                + Protobuf.bytes(4, Array(Self.json(member).utf8))
            let entry =
                Protobuf.number(1, 1) + Protobuf.number(2, term) + Protobuf.number(3, UInt64(position + 1))
                + Protobuf.bytes(4, change)
            log.append(type: 2, entry)
        }
        let vote = membership.members[0].id
        log.append(type: 3, Protobuf.number(1, term) + Protobuf.number(2, vote) + Protobuf.number(3, index))
        log.append(type: 5, Protobuf.number(1, index) + Protobuf.number(2, term) + Protobuf.bytes(3, confState))
        return log.bytes
    }

    /// Records, each with its length in front, filled up to eight bytes, with a checksum that runs through all of them.
    private struct Log {
        var bytes: [UInt8] = []
        var checksum = CRC32C()

        mutating func append(type: UInt64, _ data: [UInt8]?) {
            data?.withUnsafeBytes { checksum.update($0) }
            let record =
                Protobuf.number(1, type) + Protobuf.number(2, UInt64(checksum.value))
                + (data.map { Protobuf.bytes(3, $0) } ?? [])
            let padding = (8 - record.count % 8) % 8
            let length = UInt64(record.count) | (padding > 0 ? UInt64(0x80 | padding) << 56 : 0)
            withUnsafeBytes(of: length.littleEndian) { bytes += $0 }
            bytes += record
            bytes += [UInt8](repeating: 0, count: padding)
        }
    }

    private var confState: [UInt8] {
        membership.ids.flatMap { Protobuf.number(1, $0) } + Protobuf.number(5, 0)
    }

    // MARK: - The raft snapshot

    /// The whole raft snapshot file.
    var snap: [UInt8] {
        let metadata = Protobuf.bytes(1, confState) + Protobuf.number(2, index) + Protobuf.number(3, term)
        let snapshot = Protobuf.bytes(1, Array(store.utf8)) + Protobuf.bytes(2, metadata)
        var checksum = CRC32C()
        snapshot.withUnsafeBytes { checksum.update($0) }
        return Protobuf.number(1, UInt64(checksum.value)) + Protobuf.bytes(2, snapshot)
    }

    /// The tree of the old store, where etcd 3.4 and 3.5 look for the members.
    ///
    /// Nothing but the members may be in it: etcd 3.6 refuses anything else, and without a version in it an older
    /// server starts too.
    private var store: String {
        var nodes = [(id: String, text: String)]()
        var events = [String]()
        for (position, member) in membership.members.enumerated() {
            let index = position + 1
            let id = String(member.id, radix: 16)
            let path = "/0/members/\(id)"
            let value = #"{"peerURLs":\#(Self.json(member.peerURLs))}"#
            let attributes = node(path + "/raftAttributes", index, value: value, children: nil)
            nodes.append((id, node(path, index, children: [("raftAttributes", attributes)])))
            events.append(
                #"{"action":"create","node":{"key":\#(Self.json(path + "/raftAttributes")),"value":\#(Self.json(value)),"#
                    + #""modifiedIndex":\#(index),"createdIndex":\#(index)}}"#
            )
        }
        nodes.sort { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) }
        let members = node("/0/members", 1, children: nodes)
        let root = node(
            "/",
            0,
            children: [("0", node("/0", 0, children: [("members", members)])), ("1", node("/1", 0, children: []))]
        )
        let count = events.count
        let queue = (events + [String](repeating: "null", count: 1000 - count)).joined(separator: ",")
        let statistics = [
            "getsSuccess", "getsFail", "setsSuccess", "setsFail", "deleteSuccess", "deleteFail", "updateSuccess",
            "updateFail", "createSuccess", "createFail", "compareAndSwapSuccess", "compareAndSwapFail",
            "compareAndDeleteSuccess", "compareAndDeleteFail", "expireCount", "watchers",
        ].map { #""\#($0)":\#($0 == "createSuccess" ? count : 0)"# }.joined(separator: ",")
        return #"{"Root":\#(root),"WatcherHub":{"EventHistory":{"Queue":{"Events":[\#(queue)],"Size":\#(count),"#
            + #""Front":0,"Back":\#(count),"Capacity":1000},"StartIndex":1,"LastIndex":\#(count)}},"#
            + #""CurrentIndex":\#(count),"Stats":{\#(statistics)},"CurrentVersion":2}"#
    }

    private func node(_ path: String, _ index: Int, value: String = "", children: [(String, String)]?) -> String {
        let inside =
            children.map { "{" + $0.map { "\(Self.json($0.0)):\($0.1)" }.joined(separator: ",") + "}" } ?? "null"
        return #"{"Path":\#(Self.json(path)),"CreatedIndex":\#(index),"ModifiedIndex":\#(index),"#
            + #""ExpireTime":"0001-01-01T00:00:00Z","Value":\#(Self.json(value)),"Children":\#(inside)}"#
    }

    // MARK: - Text

    private static func json(_ member: SnapshotMembership.Member) -> String {
        #"{"id":\#(member.id),"peerURLs":\#(json(member.peerURLs)),"name":\#(json(member.name))}"#
    }

    private static func json(_ texts: [String]) -> String {
        "[" + texts.map { json($0) }.joined(separator: ",") + "]"
    }

    /// Text as Go's encoding/json writes it: `<`, `>`, `&`, U+2028 and U+2029 escaped too.
    private static func json(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "<", ">", "&", "\u{2028}", "\u{2029}", "\0"..<" ":
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    private static func hex16(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
