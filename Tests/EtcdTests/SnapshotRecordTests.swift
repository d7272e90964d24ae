import Etcd
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

/// A record that etcd cannot read, or that it would misread, in a file without any other fault.
struct RecordDamage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let expected: String
    let apply: @Sendable (inout SnapshotBuilder) -> Void

    init(_ name: String, _ expected: String, _ apply: @escaping @Sendable (inout SnapshotBuilder) -> Void) {
        testDescription = name
        self.expected = expected
        self.apply = apply
    }

    /// A snapshot with something in every bucket.
    static var good: SnapshotBuilder {
        var builder = SnapshotBuilder()
        for revision: Int64 in 2...9 { builder.change(Array("/k\(revision)".utf8), to: [1, 2, 3], at: revision) }
        builder.change(Array("/k2".utf8), to: nil, at: 10)
        builder.lease(0x1234, seconds: 600)
        builder["members", "7"] = Array(#"{"id":7,"peerURLs":["http://127.0.0.1:1"],"name":"one"}"#.utf8)
        builder["members_removed", "5a"] = Array("removed".utf8)
        builder["auth", "authEnabled"] = [0]
        builder["auth", "authRevision"] = SnapshotBuilder.number(4)
        builder["authUsers", "root"] =
            SnapshotBuilder.field(1, Array("root".utf8)) + SnapshotBuilder.field(2, Array("$2a$10$x".utf8))
            + SnapshotBuilder.field(3, Array("root".utf8)) + SnapshotBuilder.field(4, SnapshotBuilder.field(1, 0))
        builder["authRoles", "root"] =
            SnapshotBuilder.field(1, Array("root".utf8))
            + SnapshotBuilder.field(
                2,
                SnapshotBuilder.field(1, 2) + SnapshotBuilder.field(2, [0]) + SnapshotBuilder.field(3, [0])
            )
        return builder
    }
}

@Suite("A snapshot with a record that etcd cannot read") struct SnapshotRecordTests {
    typealias Build = SnapshotBuilder

    private static func key(_ revision: Int64) -> [UInt8] { Build.revision(revision) }

    static let damages: [RecordDamage] =
        [
            // Buckets
            RecordDamage("renamed bucket", "has no bucket 'lease', but 'leasf', which etcd does not have") {
                $0.rename("lease", to: "leasf")
            },
            RecordDamage("too many members", "it has more than 10000 pairs") { builder in
                for number in 1...10_001 {
                    builder["members_removed", String(number, radix: 16)] = Array("removed".utf8)
                }
            },
            RecordDamage("too many buckets", "it has 70 buckets, where etcd has ten") { builder in
                for number in 0..<60 { builder["z\(number)", "a"] = [1] }
            },
            // Changes
            RecordDamage("empty record", "bucket 'key': the record of revision 5 is empty") { $0["key", key(5)] = [] },
            RecordDamage("empty record of a deletion", "bucket 'key': the record of revision 10 is empty") {
                $0["key", Build.revision(10, isDeletion: true)] = []
            },
            RecordDamage("record without a key", "(bucket 'key')") {
                $0["key", key(5)] = Build.change([], [1], made: 5, changed: 5)
            },
            RecordDamage("record without a key, by name", "the record of revision 5 has no key") {
                $0["key", key(5)] = Build.change([], [1], made: 5, changed: 5)
            },
            RecordDamage("deletion without a key", "the record of revision 12 deletes no key") {
                $0["key", Build.revision(12, isDeletion: true)] = Build.field(1, [])
            },
            RecordDamage("record of another revision", "the record of revision 5 says that it is of revision 6") {
                $0["key", key(5)] = Build.change([1], [1], made: 5, changed: 6)
            },
            RecordDamage("record without a revision", "the record of revision 5 says that it is of revision 0") {
                $0["key", key(5)] = Build.field(1, [1]) + Build.field(5, [1])
            },
            RecordDamage("record made later than it was changed", "is version 1 of a key made at revision 6") {
                $0["key", key(5)] = Build.change([1], [1], made: 6, changed: 5)
            },
            RecordDamage("record of a negative version", "is version -1 of a key made at revision 5") {
                $0["key", key(5)] = Build.change([1], [1], made: 5, changed: 5, version: -1)
            },
            RecordDamage("two records of a revision", "there are two records of revision 5, change 3") {
                $0.change([1], to: [1], at: 5, 2)
                $0.change([1], to: nil, at: 5, 2)
            },
            RecordDamage("value longer than the record", "the record of revision 5 cannot be read") {
                $0["key", key(5)]?.removeLast()
            },
            RecordDamage("last revision there is", "the revision 9223372036854775807 leaves no room") {
                $0.change([1], to: [1], at: .max)
            },
            RecordDamage("last compaction there is", "the compacted revision 9223372036854775807 leaves no room") {
                $0["meta", "finishedCompactRev"] = Build.revision(.max)
            },
            RecordDamage("compaction that is a deletion", "'finishedCompactRev' is not a revision") {
                $0["meta", "finishedCompactRev"] = Build.revision(5, isDeletion: true)
            },
            // Leases
            RecordDamage("lease with another number", "the lease '1234' says that it is lease 1235") {
                $0["lease", Build.number(0x1234)] = Build.field(1, 0x1235) + Build.field(2, 600)
            },
            RecordDamage("lease without a number", "the lease '1234' says that it is lease 0") {
                $0["lease", Build.number(0x1234)] = []
            },
            RecordDamage("lease with a short key", "has a number of 7 bytes, not 8") {
                $0["lease", Array(Build.number(9).dropFirst())] = Build.field(1, 9) + Build.field(2, 600)
            },
            RecordDamage("lease without end", "the lease '1234' is granted for -1 seconds") {
                $0.lease(0x1234, seconds: -1)
            },
            RecordDamage("lease cut short", "the lease '1234' cannot be read") {
                $0["lease", Build.number(0x1234)]?.removeLast()
            },
            RecordDamage("lease with a field of another type", "the lease '1234' cannot be read") {
                $0["lease", Build.number(0x1234)] = Build.field(1, [1]) + Build.field(2, 600)
            },
            // Authentication
            RecordDamage("authentication neither on nor off", "'authEnabled' is neither 0 nor 1, but 2") {
                $0["auth", "authEnabled"] = [2]
            },
            RecordDamage("authentication empty", "'authEnabled' is neither 0 nor 1, but empty") {
                $0["auth", "authEnabled"] = []
            },
            RecordDamage("revision of the authentication", "'authRevision' has 3 bytes, not 8") {
                $0["auth", "authRevision"] = [1, 2, 3]
            },
            RecordDamage("user cut short", "the user 'root' cannot be read") { $0["authUsers", "root"]?.removeLast() },
            RecordDamage("user under another name", "the user 'toor' is stored under another name") {
                $0["authUsers", "toor"] = Build.field(1, Array("root".utf8))
            },
            RecordDamage("user's options", "the user 'root' has options that cannot be read") {
                $0["authUsers", "root"] = Build.field(1, Array("root".utf8)) + Build.field(4, [0xFF])
            },
            RecordDamage("role cut short", "the role 'root' cannot be read") { $0["authRoles", "root"]?.removeLast() },
            RecordDamage("role under another name", "the role 'r' is stored under another name") {
                $0["authRoles", "r"] = Build.field(1, Array("s".utf8))
            },
            RecordDamage("permission", "the role 'root' has a permission that cannot be read") {
                $0["authRoles", "root"] = Build.field(1, Array("root".utf8)) + Build.field(2, [0x08])
            },
            RecordDamage("kind of a permission", "the role 'root' has a permission of the unknown kind 7") {
                $0["authRoles", "root"] = Build.field(1, Array("root".utf8)) + Build.field(2, Build.field(1, 7))
            },
            // Alarms, members, versions
            RecordDamage("alarm", "cannot be read") { $0["alarm", [0x08]] = [] },
            RecordDamage("kind of an alarm", "is of the unknown kind 200") {
                $0["alarm", Build.field(1, 7) + Build.field(2, 200)] = []
            },
            RecordDamage("member under another number", "the member '8' says that it is member 7") {
                $0["members", "8"] = Array(#"{"id":7,"name":"one"}"#.utf8)
            },
            RecordDamage("member with zeros in front", "the member '07' says that it is member 7") {
                $0["members", "07"] = Array(#"{"id":7,"name":"one"}"#.utf8)
            },
            RecordDamage("member whose number is too large", "the member '7' cannot be read") {
                $0["members", "7"] = Array(#"{"id":99999999999999999999,"name":"one"}"#.utf8)
            },
            RecordDamage("removed member", "'no' is not the number of a member") {
                $0["members_removed", "no"] = Array("removed".utf8)
            },
            RecordDamage("storage version", "the storage version cannot be read: '3.x.0'") {
                $0["meta", "storageVersion"] = Array("3.x.0".utf8)
            },
            RecordDamage("storage version of nobody", "the storage version 7.6.0 is none that etcd stores") {
                $0["meta", "storageVersion"] = Array("7.6.0".utf8)
            },
            RecordDamage("cluster version with a patch level", "the cluster version 3.5.1 is none that etcd stores") {
                $0["cluster", "clusterVersion"] = Array("3.5.1".utf8)
            },
            RecordDamage("downgrade", "the downgrade's state cannot be read") {
                $0["cluster", "downgrade"] = Array(#"{"target-version":"3.4.0","enabled":"#.utf8)
            },
            RecordDamage("downgrade to nowhere", "the version that a downgrade goes to cannot be read: ''") {
                $0["cluster", "downgrade"] = Array(#"{"target-version":"","enabled":true}"#.utf8)
            },
        ]
        + [
            "alarm", "auth", "authRoles", "authUsers", "cluster", "key", "lease", "members", "members_removed", "meta",
        ].map { name in
            RecordDamage("no bucket '\(name)'", "this is not etcd's database: it has no bucket '\(name)'") {
                $0.rename(name, to: nil)
            }
        }

    @Test(
        "is refused by verify and by restore, with the bucket and the key, and nothing is written",
        arguments: damages
    )
    func refuse(damage: RecordDamage) throws {
        var builder = RecordDamage.good
        damage.apply(&builder)
        let bench = try RestoreBench()
        try builder.write(to: bench.snapshot)
        let file = try FileDescriptor.open(bench.snapshot, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        let inspection = try SnapshotInspector(cancellation: Cancellation()).inspect(file)
        #expect(inspection.status == nil)
        #expect(
            inspection.faults.contains { $0.contains(damage.expected) },
            "'\(damage.expected)' is not among \(inspection.faults)"
        )
        #expect(try bench.refusal(SnapshotDamaged.self)?.faults == inspection.faults)
    }

    @Test("is taken when it has everything that etcd writes, the mark of a raised revision too")
    func good() throws {
        var bench = try RestoreBench()
        var builder = RecordDamage.good
        builder["key", Build.revision(500)] = []
        builder["meta", "scheduledCompactRev"] = Build.revision(500)
        builder["alarm", Build.field(1, 7) + Build.field(2, 1)] = []
        builder["other", "unknown"] = [1]
        try builder.write(to: bench.snapshot)
        bench.options.bumpRevision = 10
        bench.options.markCompacted = true
        #expect(try bench.restore().revision == 510)
    }

    /// Changes bytes of small buckets and of records, under a digest that is right, and starts the real server on
    /// everything that is accepted.
    ///
    /// NODE_RECOVERY_MUTATIONS=2000 tries as many.
    @Test(
        "is the only kind that keeps a real server from starting: what is accepted starts",
        .enabled(if: Tier.live.isWanted, Tier.live.comment)
    )
    func acceptedStarts() throws {
        let rounds = getenv("NODE_RECOVERY_MUTATIONS").flatMap { Int(String(cString: $0)) } ?? 60
        let original = try SnapshotImage("etcd-3.5.1-auth")
        var random = SeededGenerator(seed: 41)
        var accepted = 0
        for round in 0..<rounds {
            var image = original
            image.mutateRecords(using: &random)
            image.seal()
            guard image.bytes != original.bytes, try image.inspect().faults.isEmpty else { continue }
            accepted += 1
            let bench = try RestoreBench()
            try image.write(to: bench.snapshot)
            try bench.restore(to: bench.directory / "data")
            let version = round % 2 == 0 ? EtcdVersion.v34 : .v35
            do {
                let etcd = try RunningEtcd(in: bench.directory.path, tools: version.tools())
                _ = try etcd.etcdctl("endpoint status")
                etcd.end()
            } catch {
                Issue.record("round \(round) with etcd \(version): \(error)")
            }
        }
        #expect(accepted > rounds / 20)
    }
}

extension SnapshotImage {
    /// Changes one to three bytes of keys and values, of the root page's inline buckets as likely as of the others.
    fileprivate mutating func mutateRecords(using random: inout SeededGenerator) {
        let root = page(rootPage)
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let place =
                Bool.random(using: &random)
                ? root + Int.random(in: 16..<pageSize, using: &random)
                : Int.random(in: 2 * pageSize..<databaseSize, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
            default: bytes[place] = 0
            }
        }
    }
}
