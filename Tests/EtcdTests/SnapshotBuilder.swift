import Bolt
import Etcd
import Files
import FoundationEssentials
import Reporting
import SystemPackage
import TestSupport

/// Makes snapshots that no server at hand would make: pairs by bucket, written as a bbolt file with a digest.
struct SnapshotBuilder {
    private var buckets: [String: [[UInt8]: [UInt8]]] = [:]
    var pageSize = 4096

    init() {
        for name in [
            "alarm", "auth", "authRoles", "authUsers", "cluster", "key", "lease", "members", "members_removed",
        ] {
            buckets[name] = [:]
        }
        self["meta", "consistent_index"] = Self.number(12)
        self["meta", "term"] = Self.number(3)
        self["meta", "confState"] = Array(#"{"voters":[7],"auto_leave":false}"#.utf8)
        self["cluster", "clusterVersion"] = Array("3.5.0".utf8)
    }

    subscript(bucket: String, key: String) -> [UInt8]? {
        get { buckets[bucket]?[Array(key.utf8)] }
        set { buckets[bucket, default: [:]][Array(key.utf8)] = newValue }
    }

    subscript(bucket: String, key: [UInt8]) -> [UInt8]? {
        get { buckets[bucket]?[key] }
        set { buckets[bucket, default: [:]][key] = newValue }
    }

    static func number(_ number: Int64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

    static func revision(_ main: Int64, _ sub: Int64 = 0, isDeletion: Bool = false) -> [UInt8] {
        number(main) + [UInt8(ascii: "_")] + number(sub) + (isDeletion ? [UInt8(ascii: "t")] : [])
    }

    /// Gives a bucket another name, or takes it away.
    mutating func rename(_ bucket: String, to name: String?) {
        let pairs = buckets.removeValue(forKey: bucket)
        if let name { buckets[name] = pairs }
    }

    /// A protobuf field of bytes.
    static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        [number << 3 | 2] + varint(UInt64(bytes.count)) + bytes
    }

    /// A protobuf field of a number.
    static func field(_ number: UInt8, _ value: Int64) -> [UInt8] {
        [number << 3] + varint(UInt64(bitPattern: value))
    }

    private static func varint(_ number: UInt64) -> [UInt8] {
        number < 0x80 ? [UInt8(number)] : [UInt8(number & 0x7F | 0x80)] + varint(number >> 7)
    }

    /// A change as etcd stores it.
    static func change(
        _ key: [UInt8],
        _ value: [UInt8],
        made: Int64,
        changed: Int64,
        version: Int64 = 1,
        lease: Int64 = 0
    ) -> [UInt8] {
        field(1, key) + field(2, made) + field(3, changed) + field(4, version) + field(5, value)
            + (lease == 0 ? [] : field(6, lease))
    }

    /// A change of `key` as etcd stores it, or its deletion.
    mutating func change(_ key: [UInt8], to value: [UInt8]?, at main: Int64, _ sub: Int64 = 0) {
        self["key", Self.revision(main, sub, isDeletion: value == nil)] =
            value.map { Self.change(key, $0, made: main, changed: main) } ?? Self.field(1, key)
    }

    /// A lease of `id` for `seconds`.
    mutating func lease(_ id: Int64, seconds: Int64) {
        self["lease", Self.number(id)] = Self.field(1, id) + Self.field(2, seconds)
    }

    /// Writes the snapshot to `path`.
    func write(to path: FilePath) throws {
        let file = try FileDescriptor.open(
            path,
            .readWrite,
            options: [.create, .exclusiveCreate],
            permissions: [.ownerReadWrite]
        )
        defer { try? file.close() }  // ignored: what was written is on the disk
        let writer = BoltWriter(file, pageSize: pageSize)
        for (name, pairs) in buckets.sorted(by: { $0.key < $1.key }) {
            try writer.beginBucket(Array(name.utf8), sequence: name == "key" ? 5 : 0)
            for (key, value) in pairs.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                try writer.addPair(key: key, value: value)
            }
        }
        _ = try writer.finish()
        let content = try Data(contentsOf: URL(filePath: path.string))
        try file.writeAll(toAbsoluteOffset: Int64(content.count), SHA256Hasher.digest(of: content).bytes)
    }
}

/// Everything in a database file, by bucket.
func pairs(in path: FilePath) throws -> [String: [[UInt8]: [UInt8]]] {
    let file = try FileDescriptor.open(path, .readOnly)
    defer { try? file.close() }  // ignored: nothing was written
    let size = Int(try file.seek(offset: 0, from: .end))
    let length = size % 512 == 32 ? size - 32 : size
    guard case .file(let bolt) = try BoltFile.open(file, length: length, origin: .stream) else {
        throw Errno.invalidArgument
    }
    let walk = BoltWalk(bolt)
    var buckets = [String: [[UInt8]: [UInt8]]]()
    while true {
        let name = String(decoding: walk.bucket ?? [], as: UTF8.self)
        switch try walk.next() {
        case .bucket: buckets[String(decoding: walk.bucket ?? [], as: UTF8.self)] = [:]
        case .pair:
            var value = [UInt8]()
            try walk.forEachPieceOfValue { value += $0 }
            buckets[name]?[Array(walk.key)] = value
        case .end:
            guard walk.faults.isEmpty else {
                throw SnapshotDamaged(name: path.string, faults: walk.faults.lines)
            }
            return buckets
        }
    }
}
