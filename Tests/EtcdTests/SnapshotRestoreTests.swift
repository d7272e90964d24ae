import Bolt
import FoundationEssentials
import Glibc
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Etcd

/// One restore in a directory of its own.
struct RestoreBench {
    let directory: TemporaryDirectory
    var options = SnapshotRestoreOptions()

    var snapshot: FilePath { directory / "snapshot.db" }
    var target: FilePath { directory / "etcd" }
    var database: FilePath { target.appending("member/snap/db") }

    init() throws { directory = try TemporaryDirectory() }

    init(_ fixture: String) throws {
        try self.init()
        try SnapshotImage(fixture).write(to: snapshot)
    }

    init(_ build: (inout SnapshotBuilder) -> Void) throws {
        try self.init()
        var builder = SnapshotBuilder()
        build(&builder)
        try builder.write(to: snapshot)
    }

    @discardableResult
    func restore(to target: FilePath? = nil, _ cancellation: Cancellation = Cancellation()) throws -> RestoredSnapshot {
        let file = try FileDescriptor.open(snapshot, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        return try SnapshotRestore(options, cancellation: cancellation)
            .restore(file, named: "snapshot.db", to: target ?? self.target)
    }

    /// The error of a restore that must fail and leave nothing.
    func refusal<Refusal: OperatorError>(
        _ type: Refusal.Type = SnapshotError.self,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Refusal? {
        let before = try Shell.output("cd '\(directory.path)' && find . | sort")
        let error = #expect(throws: type, sourceLocation: sourceLocation) { try restore() }
        #expect(try Shell.output("cd '\(directory.path)' && find . | sort") == before, sourceLocation: sourceLocation)
        return error
    }
}

@Suite("Restoring a snapshot") struct SnapshotRestoreTests {
    static let goldens = Fixture.versions.flatMap { version in ["single", "three"].map { "golden-\(version)-\($0)" } }

    struct Golden: Decodable {
        var initialCluster: [String: [String]]
        var name: String
        var token: String
        var memberID: String
        var clusterID: String
    }

    @Test("writes the log and the raft snapshot that the tools write, and makes the same numbers", arguments: goldens)
    func golden(name: String) throws {
        let golden = try JSONDecoder().decode(Golden.self, from: Data(Fixture.bytes(name + ".json")))
        var bench = try RestoreBench("etcd-3.5.26-small")
        bench.options.name = golden.name
        bench.options.token = golden.token
        bench.options.initialCluster =
            golden.initialCluster.sorted { $0.key < $1.key }
            .flatMap { name, urls in urls.map { "\(name)=\($0)" } }.joined(separator: ",")
        bench.options.advertisedPeerURLs = golden.initialCluster[golden.name] ?? []
        let restored = try bench.restore()
        #expect(String(restored.memberID, radix: 16) == golden.memberID)
        #expect(String(restored.clusterID, radix: 16) == golden.clusterID)
        let index = golden.initialCluster.count
        let wal = try bytes(bench.target.appending("member/wal/0000000000000000-0000000000000000.wal"))
        let snap = try bytes(bench.target.appending("member/snap/0000000000000001-000000000000000\(index).snap"))
        // etcdctl 3.4 leaves the raft configuration out of the log's last record, where servers from 3.5 on look for it;
        // etcdutl 3.6 and 3.7 leave parts out of the old store that 3.4 and 3.5 need or that are not looked at.
        if !name.contains("3.4"), !name.contains("3.7") { #expect(try wal == Fixture.bytes(name + ".wal")) }
        if !name.contains("3.6"), !name.contains("3.7") { #expect(try snap == Fixture.bytes(name + ".snap")) }
        let sameInAll = 8 * 3
        #expect(try wal.prefix(sameInAll).elementsEqual(Fixture.bytes(name + ".wal").prefix(sameInAll)))
    }

    @Test("keeps every pair but those that make it a new cluster", arguments: Fixture.snapshots)
    func content(fixture: String) throws {
        let bench = try RestoreBench(fixture)
        let restored = try bench.restore()
        var before = try pairs(in: bench.snapshot)
        let after = try pairs(in: bench.database)
        let id = Array(String(restored.memberID, radix: 16).utf8)
        before["members"] = [
            id: Array(#"{"id":\#(restored.memberID),"peerURLs":["http://localhost:2380"],"name":"default"}"#.utf8)
        ]
        before["members_removed"] = [:]
        before["meta"]?[Array("consistent_index".utf8)] = SnapshotBuilder.number(1)
        before["meta"]?[Array("term".utf8)] = SnapshotBuilder.number(1)
        if before["meta"]?[Array("confState".utf8)] != nil {
            before["meta"]?[Array("confState".utf8)] = Array(
                #"{"voters":[\#(restored.memberID)],"auto_leave":false}"#.utf8
            )
        }
        #expect(after == before)
        #expect(after.count == 10)
        #expect(restored.warnings == [])
        #expect(
            try Shell.output("cd '\(bench.target)' && find . -printf '%m %y %P\n' | sort -k3") == """
                700 d \n700 d member
                700 d member/snap
                600 f member/snap/0000000000000001-0000000000000001.snap
                600 f member/snap/db
                700 d member/wal
                600 f member/wal/0000000000000000-0000000000000000.wal

                """
        )
    }

    @Test("makes the same bytes every time")
    func deterministic() throws {
        let bench = try RestoreBench("etcd-3.6.13-auth")
        try bench.restore()
        try bench.restore(to: bench.directory / "again")
        try Shell.output("diff -r '\(bench.target)' '\(bench.directory / "again")'")
    }

    @Test(
        "gives back free pages and keeps buckets of later versions, with pages of any size",
        arguments: [1024, 4096, 65536]
    )
    func synthetic(pageSize: Int) throws {
        var bench = try RestoreBench { builder in
            builder.pageSize = pageSize
            for number in 1...500 {
                builder.change(
                    Array("k\(number % 50)".utf8),
                    to: [UInt8](repeating: 7, count: number),
                    at: Int64(number + 1)
                )
            }
            builder.change([0xFF, 0xFE], to: [], at: 600)
            builder.change(
                [UInt8](repeating: 0x41, count: 20_000),
                to: [UInt8](repeating: 1, count: 1_400_000),
                at: 601
            )
            builder.change(Array("k1".utf8), to: nil, at: 602)
            for lease: Int64 in 1...20_000 { builder.lease(lease, seconds: 60) }
            builder["zz_later", "x"] = [1, 2, 3]
            builder["members", "aa"] = Array(#"{"id":170,"peerURLs":["http://a:1"],"name":"a","isLearner":true}"#.utf8)
            builder["members_removed", "bb"] = Array("removed".utf8)
        }
        bench.options.serverVersion = "3.5.1"
        let restored = try bench.restore()
        #expect(restored.contents.leases == 20_000)
        #expect(restored.contents.members.map(\.isLearner) == [true])
        #expect(restored.contents.removedMembers == ["bb"])
        #expect(restored.revision == 602)
        let (before, after) = try (pairs(in: bench.snapshot), pairs(in: bench.database))
        for bucket in ["key", "lease", "zz_later", "cluster"] { #expect(after[bucket] == before[bucket]) }
        #expect(after["members"]?.count == 1)
        #expect(after["members_removed"] == [:])
    }

    // MARK: - Revision

    @Test("raises the revision from where the store really is and marks everything before as compacted")
    func bump() throws {
        var bench = try RestoreBench { builder in
            builder.change([1], to: [1], at: 5)
            builder["meta", "finishedCompactRev"] = SnapshotBuilder.revision(40)
        }
        bench.options.bumpRevision = 1_000_000_000
        bench.options.markCompacted = true
        #expect(try bench.restore().revision == 1_000_000_040)
        let after = try pairs(in: bench.database)
        #expect(after["key"]?[SnapshotBuilder.revision(1_000_000_040)] == [])
        #expect(after["meta"]?[Array("scheduledCompactRev".utf8)] == SnapshotBuilder.revision(1_000_000_040))
    }

    @Test("refuses to raise the revision by half or past 63 bits")
    func bumpRefusals() throws {
        var bench = try RestoreBench("etcd-3.5.1-small")
        bench.options.bumpRevision = 5
        #expect(try bench.refusal()?.summary == "--bump-revision needs --mark-compacted")
        bench.options = SnapshotRestoreOptions()
        bench.options.markCompacted = true
        #expect(try bench.refusal()?.summary == "--mark-compacted needs --bump-revision")
        // Above what anyone has seen of the cluster, when that is more than the snapshot's own revision.
        bench.options.bumpRevision = 1000
        for (floor, raised) in [(Int64(20), Int64(1045)), (45, 1045), (2_000_000, 2_001_000)] {
            bench.options.revisionFloor = floor
            #expect(try bench.restore(to: bench.directory / "above-\(floor)").revision == raised)
            let database = (bench.directory / "above-\(floor)").appending("member/snap/db")
            let file = try FileDescriptor.open(database, .readOnly)
            defer { try? file.close() }  // ignored: nothing was written
            #expect(try EtcdService(cancellation: Cancellation()).databaseRevision(file) == raised)
        }
        bench.options.revisionFloor = .max - 500
        #expect(try bench.refusal()?.cause == .revisionOverflow(current: .max - 500, bump: 1000))
        bench.options.revisionFloor = 0
        for bump in [UInt64(Int64.max), .max, UInt64(Int64.max) - 45] {
            bench.options.bumpRevision = bump
            #expect(try bench.refusal()?.cause == .revisionOverflow(current: 45, bump: bump))
        }
    }

    // MARK: - Alarms and versions

    @Test("keeps alarms and says so, or leaves out NOSPACE but never CORRUPT")
    func alarms() throws {
        var bench = try RestoreBench { builder in
            builder["alarm", [8, 7, 16, 1]] = []
            builder["alarm", [8, 7, 16, 2]] = []
        }
        #expect(try bench.restore().warnings == ["the snapshot has the alarm CORRUPT, NOSPACE, which was kept"])
        #expect(try pairs(in: bench.database)["alarm"]?.count == 2)
        bench.options.clearAlarms = true
        let again = bench.directory / "again"
        #expect(
            try bench.restore(to: again).warnings == [
                "the alarm NOSPACE of the snapshot was cleared: the restored database has no free pages",
                "the snapshot has the alarm CORRUPT, which was kept",
            ]
        )
        #expect(try pairs(in: again.appending("member/snap/db"))["alarm"] == [[8, 7, 16, 2]: []])
    }

    @Test("refuses a server that is older than the data, unless told to and it can work")
    func versions() throws {
        var bench = try RestoreBench { $0["cluster", "clusterVersion"] = Array("3.6.0".utf8) }
        bench.options.serverVersion = "3.5.21"
        let refusal = try bench.refusal()
        #expect(
            refusal?.summary == "the snapshot 'snapshot.db' holds data of etcd 3.6.0, which etcd 3.5.21 is too old for"
        )
        #expect(refusal?.hint?.contains("--allow-older-server") == true)
        bench.options.allowOlderServer = true
        #expect(try bench.restore().warnings.count == 1)

        bench = try RestoreBench { $0["meta", "storageVersion"] = Array("3.7.0".utf8) }
        bench.options.serverVersion = "3.6.1"
        bench.options.allowOlderServer = true
        #expect(
            try bench.refusal()?.summary
                == "the snapshot 'snapshot.db' holds data of etcd 3.7.0, which etcd 3.6.1 is too old for: it ends with "
                + "'version \"3.7.0\" is not supported'"
        )
        bench.options.serverVersion = "three"
        #expect(try bench.refusal()?.summary == "'three' is not a version of etcd")

        bench = try RestoreBench {
            $0["cluster", "downgrade"] = Array(#"{"target-version":"3.4.0","enabled":true}"#.utf8)
        }
        #expect(try bench.restore().warnings == ["a downgrade to etcd 3.4.0 was under way when the snapshot was taken"])
    }

    @Test("refuses or warns of a cluster of several members, as the data can be believed")
    func severalMembers() throws {
        func bench(storage: String?) throws -> RestoreBench {
            try RestoreBench { builder in
                builder["members", "7"] = Array(#"{"id":7,"peerURLs":["http://h:1"],"name":"one"}"#.utf8)
                builder["members", "8"] = Array(#"{"id":8,"peerURLs":["http://h:2"]}"#.utf8)
                if let storage { builder["meta", "storageVersion"] = Array(storage.utf8) }
            }
        }
        let warning =
            "the snapshot lists 2 members (one, 8 (never started)), and the new cluster has 1: none of the others may "
            + "run on its old data"
        var new = try bench(storage: "3.6.0")
        #expect(try new.restore(to: new.directory / "tool").warnings == [warning])
        new.options.refusesSeveralMembers = true
        let refusal = try new.refusal()
        #expect(refusal?.cause == .severalMembers(["one", "8 (never started)"]))
        #expect(refusal?.exitStatus == .config)
        // etcd before 3.6 leaves members in the list that are long gone.
        var old = try bench(storage: nil)
        old.options.refusesSeveralMembers = true
        #expect(try old.restore().warnings == [warning])
    }

    // MARK: - Options

    static let refusedOptions: [(name: String, cluster: String, urls: [String], reason: String)] = [
        ("b", "a=http://h:1", ["http://h:1"], "the name 'b' is not in"),
        ("", "=http://h:1", ["http://h:1"], "the name '' is not in"),
        ("a=b", "a=b=http://h:1", ["http://h:1"], "does not start with https:// or http://"),
        ("a,b", "a,b=http://h:1", ["http://h:1"], "does not start with https:// or http://"),
        ("a", "a=http://h:1", ["http://h:2"], "--initial-cluster has 'http://h:1' for 'a', but"),
        ("a", "a=http://h:1,b=http://h:1", ["http://h:1"], "has the same peer URL twice"),
        ("a", "a=http://h:1,a=http://h:1", ["http://h:1", "http://h:1"], "has the same peer URL twice"),
        ("a", "a=http://h", ["http://h"], "has no port"),
        ("a", "a=http://h:", ["http://h:"], "has no port"),
        ("a", "a=http://h:70000", ["http://h:70000"], "has no port"),
        ("a", "a=http://h:1/x", ["http://h:1/x"], "has more than a host and a port"),
        ("a", "a=http://h:1/", ["http://h:1/"], "has more than a host and a port"),
        ("a", "a=ftp://h:1", ["ftp://h:1"], "does not start with https:// or http://"),
        ("a", "a=http://h 1:1", ["http://h 1:1"], "has characters that no URL has"),
        ("a", "a=http://2001:db8::1:2380", ["http://2001:db8::1:2380"], "an IPv6 address needs brackets"),
        ("a", "a=http://:2380", ["http://:2380"], "has no proper host"),
        ("a", "a=http://h:1", [], "there is no peer URL"),
        ("a", "", ["http://h:1"], "the name 'a' is not in"),
        ("a", "a", ["http://h:1"], "does not start with https:// or http://"),
    ]

    @Test("refuses members and peer URLs that etcd would refuse", arguments: refusedOptions)
    func options(name: String, cluster: String, urls: [String], reason: String) throws {
        var bench = try RestoreBench("etcd-3.5.1-small")
        bench.options.name = name
        bench.options.initialCluster = cluster
        bench.options.advertisedPeerURLs = urls
        let error = try bench.refusal()
        #expect(error?.summary.contains(reason) == true, "\(String(describing: error))")
        #expect(error?.exitStatus == .usage)
    }

    // MARK: - Damage

    @Test("refuses every damaged snapshot and writes nothing", arguments: SnapshotDamageTests.damages)
    func damaged(damage: Damage) throws {
        let bench = try RestoreBench()
        var image = try SnapshotImage("etcd-3.5.26-auth")
        damage.apply(&image)
        image.seal()
        try image.write(to: bench.snapshot)
        let error = try bench.refusal(SnapshotDamaged.self)
        #expect(error?.faults.contains { $0.contains(damage.expected) } == true)
        #expect(error?.exitStatus == .dataError)
    }

    @Test("refuses a byte flipped at any of 1 000 seeded places, in each region of the file, and writes nothing")
    func flips() throws {
        let bench = try RestoreBench()
        let original = try SnapshotImage("etcd-3.5.26-auth")
        let file = try FileDescriptor.open(original.write(to: bench.snapshot), .readWrite)
        defer { try? file.close() }  // ignored: the file is thrown away
        let restore = SnapshotRestore(cancellation: Cancellation())
        // As many places in each page as in the others, and in the digest behind them.
        let regions = original.databaseSize / original.pageSize + 1
        var random = SeededGenerator(seed: 29)
        for round in 0..<1000 {
            let start = round % regions * original.pageSize
            let place = Int.random(in: start..<min(start + original.pageSize, original.bytes.count), using: &random)
            let flipped = original.bytes[place] ^ UInt8.random(in: 1...255, using: &random)
            try file.writeAll(toAbsoluteOffset: Int64(place), [flipped])
            let error = #expect(throws: SnapshotDamaged.self, "byte \(place)") {
                try restore.restore(file, named: "s", to: bench.target)
            }
            #expect(error?.faults.isEmpty == false && error?.exitStatus == .dataError, "byte \(place)")
            try file.writeAll(toAbsoluteOffset: Int64(place), [original.bytes[place]])
        }
        #expect(try Shell.output("ls -A '\(bench.directory.path)'") == "snapshot.db\n")
        // The file is what it was, and that is restored.
        #expect(throws: Never.self) { try restore.restore(file, named: "s", to: bench.target) }
    }

    @Test("takes a snapshot without a digest only when told to")
    func withoutDigest() throws {
        var bench = try RestoreBench()
        var image = try SnapshotImage("etcd-3.5.26-auth")
        image.bytes.removeLast(32)
        try image.write(to: bench.snapshot)
        #expect(try bench.refusal(SnapshotDamaged.self)?.exitStatus == .dataError)
        bench.options.skipHashCheck = true
        #expect(try bench.restore().warnings.count == 1)
    }

    @Test("finds out when what was written is not what was to be written", arguments: -1..<19)
    func spoiled(page: Int) throws {
        let bench = try RestoreBench("etcd-3.5.26-auth")
        var restore = SnapshotRestore(bench.options, cancellation: Cancellation())
        restore.spoil = { file in
            var content = [UInt8](repeating: 0, count: 19 * 4096)
            _ = try content.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: 0, into: $0) }
            // The number of each page, and once a byte inside a value.
            let value = try #require(content.firstRange(of: Array("/big".utf8))).upperBound + 100
            let place = page < 0 ? value : page * 4096
            try file.writeAll(toAbsoluteOffset: Int64(place), [content[place] ^ 4])
        }
        let file = try FileDescriptor.open(bench.snapshot, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        let error = #expect(throws: SnapshotError.self) { try restore.restore(file, named: "s", to: bench.target) }
        #expect(error?.summary.hasPrefix("what was restored from 's' is not what it should be") == true)
        #expect(try Shell.output("ls '\(bench.directory.path)'") == "snapshot.db\n")
    }

    // MARK: - The place

    @Test("refuses a place that is taken")
    func taken() throws {
        var bench = try RestoreBench("etcd-3.5.1-small")
        try Shell.output("mkdir '\(bench.target)' && touch '\(bench.target)/x'")
        #expect(try bench.refusal()?.summary.hasSuffix("it is not empty: it has 'x'") == true)
        try Shell.output("rm -r '\(bench.target)' && touch '\(bench.target)'")
        #expect(try bench.refusal()?.summary.hasSuffix("it is not a directory") == true)
        try Shell.output("rm '\(bench.target)' && mkdir '\(bench.directory.path)/wal'")
        bench.options.walDirectory = bench.directory / "wal"
        #expect(try bench.refusal()?.cause == .targetInUse(bench.directory / "wal", "it exists"))
    }

    @Test("fills an empty directory, with a mount point's lost+found and the leftover of a run that was killed")
    func emptyDirectory() throws {
        let bench = try RestoreBench("etcd-3.5.1-small")
        try Shell.output(
            "mkdir -m 750 -p '\(bench.target)/lost+found' '\(bench.target)/member.partial/snap'; chmod 750 '\(bench.target)'"
        )
        try bench.restore()
        #expect(try Shell.output("ls '\(bench.target)'") == "lost+found\nmember\n")
        #expect(try Shell.output("stat -c %a '\(bench.target)'") == "750\n")
    }

    @Test("makes missing parents and replaces the leftover of a run that was killed")
    func leftover() throws {
        let bench = try RestoreBench("etcd-3.5.1-small")
        let target = bench.directory / "a/b/etcd"
        try Shell.output("mkdir -p '\(target).partial/member/snap' && ln -s /etc '\(target).partial/link'")
        try bench.restore(to: target)
        #expect(try Shell.output("ls '\(target.removingLastComponent())'") == "etcd\n")
        try bench.restore(to: bench.directory / "c/d/etcd")
    }

    @Test("puts the log into its own place")
    func walDirectory() throws {
        var bench = try RestoreBench("etcd-3.5.1-small")
        bench.options.walDirectory = bench.directory / "logs/wal"
        try bench.restore()
        #expect(try Shell.output("ls '\(bench.directory / "logs")' '\(bench.target)/member'").contains("wal\n"))
        #expect(try Shell.output("ls '\(bench.directory / "logs/wal")'") == "0000000000000000-0000000000000000.wal\n")
        #expect(try Shell.output("ls '\(bench.target)/member'") == "snap\n")
    }

    @Test("hands a whole directory to a caller that renames it")
    func build() throws {
        let bench = try RestoreBench("etcd-3.5.1-small")
        let file = try FileDescriptor.open(bench.snapshot, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        let restore = SnapshotRestore(cancellation: Cancellation())
        let built = try restore.build(file, named: "s", at: bench.directory / "beside")
        #expect(built.dataDirectory == bench.directory / "beside")
        try bench.restore()
        try Shell.output("diff -r '\(bench.directory / "beside")' '\(bench.target)'")
        #expect(throws: SnapshotError.self) { try restore.build(file, named: "s", at: bench.directory / "beside") }
    }

    @Test(
        "gives what it makes to the owner of the directory around it, or to whom it is told",
        .enabled(if: geteuid() == 0)
    )
    func owner() throws {
        var bench = try RestoreBench("etcd-3.5.1-small")
        try Shell.output("chown 1234:4321 '\(bench.directory.path)'")
        try bench.restore()
        #expect(try Shell.output("find '\(bench.target)' -printf '%U:%G\n' | sort -u") == "1234:4321\n")
        bench.options.owner = SnapshotRestoreOptions.Owner(uid: 7, gid: 8)
        try bench.restore(to: bench.directory / "other")
        #expect(try Shell.output("find '\(bench.directory / "other")' -printf '%U:%G\n' | sort -u") == "7:8\n")
    }

    @Test("leaves nothing when it is stopped, at any time", arguments: 0..<12)
    func stopped(round: Int) throws {
        let bench = try RestoreBench("etcd-3.5.1-small")
        let cancellation = Cancellation()
        let file = try FileDescriptor.open(bench.snapshot, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        nonisolated(unsafe) var calls = 0
        var restore = SnapshotRestore(cancellation: cancellation) { _, _, _ in
            if calls == round { cancellation.cancel(.signal(SIGTERM)) }
            calls += 1
        }
        if round >= 3 { restore.spoil = { _ in cancellation.cancel(.signal(SIGTERM)) } }
        #expect(throws: Stopped.self) { try restore.restore(file, named: "s", to: bench.target) }
        #expect(try Shell.output("ls '\(bench.directory.path)'") == "snapshot.db\n")
    }
}

@Suite("HashKV of a snapshot") struct SnapshotHashKVTests {
    struct Description: Decodable {
        var hashKV: UInt32
        var compactRevision: Int64
        var serverRevision: Int64
    }

    @Test("is what the server answered", arguments: Fixture.snapshots)
    func same(name: String) throws {
        let expected = try JSONDecoder().decode(Description.self, from: Data(Fixture.bytes(name + ".json")))
        let directory = try TemporaryDirectory()
        let file = try FileDescriptor.open(SnapshotImage(name).write(to: directory / "s"), .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        let inspection = try SnapshotInspector(cancellation: Cancellation()).inspect(file)
        let result = try SnapshotHashKV.compute(
            #require(inspection.database),
            contents: #require(inspection.contents),
            cancellation: Cancellation()
        )
        #expect(result.hash == expected.hashKV)
        #expect(result.revision == expected.serverRevision)
        #expect(result.compactRevision == max(0, expected.compactRevision))
    }
}

private func bytes(_ path: FilePath) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(filePath: path.string))) }
