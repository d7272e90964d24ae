import Etcd
import Glibc
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

/// What a client can see of a store: everything that a restore must bring back.
private struct Observation: Equatable {
    /// A digest of every key with its value, its revisions, its version and its lease, as etcdctl prints them.
    var keys: String
    /// The same at earlier revisions, or `compacted`.
    var history: [String]
    /// Leases with what they grant and the keys that hang on them.
    var leases: [String]
    /// Users, roles and what they may do.
    var permissions: [String]
    var revision: Int64
}

/// A source of snapshots and the places that they are restored to.
private struct Scene {
    let directory: TemporaryDirectory
    let source: EtcdVersion
    let target: EtcdVersion
    let user: String
    let snapshot: FilePath

    static let arguments =
        "--name node --initial-cluster node=http://127.0.0.1:1"
        + " --initial-advertise-peer-urls http://127.0.0.1:1 --initial-cluster-token again"

    static var options: SnapshotRestoreOptions {
        var options = SnapshotRestoreOptions()
        options.name = "node"
        options.initialCluster = "node=http://127.0.0.1:1"
        options.advertisedPeerURLs = ["http://127.0.0.1:1"]
        options.token = "again"
        return options
    }

    init(_ source: EtcdVersion, _ target: EtcdVersion, hasAuth: Bool = false) throws {
        directory = try TemporaryDirectory()
        self.source = source
        self.target = target
        user = hasAuth ? "--user root:secret" : ""
        snapshot = directory / "snapshot.db"
    }

    /// The version's programs, with etcd's own checks of its data switched on.
    func tools(_ version: EtcdVersion) throws -> String {
        let tools = try version.tools()
        let checked = directory / "tools-\(version)"
        try Shell.output(
            """
            mkdir -p '\(checked)' && cd '\(checked)' && ln -sf "$(command -v \(tools.isEmpty ? "" : tools + "/")etcdctl)" etcdctl
            printf '#!/bin/sh\\nETCD_VERIFY=all exec %s "$@"\\n' "$(command -v \(tools.isEmpty ? "" : tools + "/")etcd)" >etcd
            chmod +x etcd
            """
        )
        return checked.string
    }

    func start(_ name: String, _ version: EtcdVersion, options: String = "") throws -> RunningEtcd {
        // Its checks need data: without any, etcd 3.5 would hide behind them that its port was taken.
        let hasData = access((directory / name).appending("data").string, F_OK) == 0
        return try RunningEtcd(
            in: directory / name,
            tools: hasData ? tools(version) : version.tools(),
            options: options
        )
    }

    /// Restores with the product.
    @discardableResult
    func restore(to name: String, _ options: SnapshotRestoreOptions = options) throws -> RestoredSnapshot {
        let file = try FileDescriptor.open(snapshot, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        return try SnapshotRestore(options, cancellation: Cancellation())
            .restore(file, named: "snapshot", to: (directory / name).appending("data"))
    }

    /// Restores with the target's own tool.
    func restoreWithTool(to name: String) throws {
        let tool = target == .v34 ? "etcdctl" : try target.tools() + "/etcdutl"
        try Shell.output(
            "mkdir -p \(directory / name) && \(tool) snapshot restore \(snapshot) --data-dir \(directory / name)/data"
                + " \(Self.arguments) 2>&1",
            environment: ["ETCDCTL_API": "3"]
        )
    }

    func observe(_ etcd: RunningEtcd, revisions: [Int64]) throws -> Observation {
        /// All keys at a revision, without the answer's header, which tells which member answered: as a digest, since
        /// some values are large.
        func keys(_ options: String = "") throws -> String {
            let file = directory / "answer"
            let digest = try etcd.etcdctl(
                "\(user) -w json get --prefix / \(options) 2>&1 | sed 's/^{\"header\":{[^}]*},//' | tee '\(file)' | sha256sum"
            )
            let isCompacted = try Shell.run("grep -q 'required revision has been compacted' '\(file)'").status == 0
            return isCompacted ? "compacted" : digest
        }
        let leases = try etcd.etcdctl("\(user) lease list").split(separator: "\n").dropFirst().sorted()
        return try Observation(
            keys: keys(),
            history: revisions.map { try keys("--rev \($0)") },
            leases: leases.map { lease in
                // The time that is left passes; what was granted and the keys do not.
                try etcd.etcdctl("\(user) lease timetolive \(lease) --keys")
                    .replacing("remaining\\([^)]*\\)")
            },
            permissions: user.isEmpty
                ? []
                : ["user list", "role list", "user get root", "user get reader", "role get read"].map {
                    try etcd.etcdctl("\(user) \($0)")
                },
            revision: Int64(etcd.etcdctl("\(user) -w json get x | grep -o '\"revision\":[0-9]*' | cut -d: -f2")) ?? 0
        )
    }

    /// Writes a history with everything that etcd can have in it.
    func fill(_ etcd: RunningEtcd) throws {
        try etcd.etcdctl("put /first 1")
        for number in 0..<30 { try etcd.etcdctl("put /k\(number % 12) v\(number)") }
        try etcd.etcdctl("del /k3")
        try etcd.etcdctl("del --prefix /k1")
        try Shell.output("head -c 1000000 /dev/zero | tr '\\0' x > \(directory / "large")")
        try etcd.etcdctl("put /large < \(directory / "large")")
        try etcd.etcdctl("put /large again")
        try etcd.etcdctl("put /large < \(directory / "large")")
        let lease = try etcd.etcdctl("lease grant 5000").split(separator: " ")[1]
        try etcd.etcdctl("put --lease=\(lease) /leased 1")
        try etcd.etcdctl("lease grant 7000")
        try etcd.etcdctl("txn <<<$'\\nput /t1 1\\nput /t2 2\\ndel /k5\\n\\n\\n'")
        try etcd.etcdctl("compact 20")
        try etcd.etcdctl("put /after compaction")
        try etcd.etcdctl("put /k3 back")
        if !user.isEmpty {
            try etcd.etcdctl("user add root:secret")
            try etcd.etcdctl("user add reader:secret")
            try etcd.etcdctl("role add read")
            try etcd.etcdctl("role grant-permission read read /k --prefix")
            try etcd.etcdctl("user grant-role reader read")
            try etcd.etcdctl("user grant-role root root")
            try etcd.etcdctl("auth enable")
        }
    }

    func hashKV(_ etcd: RunningEtcd) throws -> String {
        let answer = try etcd.etcdctl("\(user) -w json endpoint hashkv")
        return answer.firstRange(of: "\"hash\":").map { String(answer[$0.upperBound...].prefix { $0 != "}" }) }
            ?? answer
    }
}

extension String {
    /// Without what `pattern`, of grep's extended kind, matches.
    fileprivate func replacing(_ pattern: String) -> String {
        (try? Shell.output("sed -E 's/\(pattern)//' <<'END'\n\(self)\nEND")) ?? self
    }
}

@Suite(
    "An etcd that starts from what was restored",
    .serialized,
    .enabled(if: Tier.live.isWanted, "\(Tier.live.comment)")
)
struct EtcdRestoreTests {
    static let pairs: [(EtcdVersion, EtcdVersion, Bool)] = [
        (.v34, .v34, true), (.v34, .v35, true), (.v35, .v34, true), (.v35, .v35, true), (.v35, .v35, false),
    ]

    @Test("has everything that the source had, as if its own tool had restored it, and goes on", arguments: pairs)
    func restored(source: EtcdVersion, target: EtcdVersion, hasAuth: Bool) throws {
        let scene = try Scene(source, target, hasAuth: hasAuth)
        let revisions: [Int64] = [5, 19, 20, 25, 33, 38]
        var etcd = try scene.start("source", source)
        try scene.fill(etcd)
        let before = try scene.observe(etcd, revisions: revisions)
        let hash = try scene.hashKV(etcd)
        try etcd.etcdctl("\(scene.user) snapshot save \(scene.snapshot)")
        etcd.end()
        #expect(before.history.first == "compacted")
        #expect(before.leases.count == 2)

        let restored = try scene.restore(to: "ours")
        try scene.restoreWithTool(to: "tool")
        #expect(restored.revision == before.revision)
        #expect(try Shell.output("cmp \(scene.directory.path)/{ours,tool}/data/member/snap/*1.snap; echo $?") == "0\n")
        // The log of etcdctl 3.4 lacks the raft configuration, and all tools make it longer than it is.
        if target == .v35 {
            try Shell.output(
                "cd \(scene.directory.path) && cmp -n \"$(stat -c %s ours/data/member/wal/*.wal)\" {ours,tool}/data/member/wal/0*.wal"
            )
        }

        etcd = try scene.start("tool", target)
        let toolMembers = try etcd.etcdctl("\(scene.user) member list")
        let toolHash = try scene.hashKV(etcd)
        etcd.end()

        etcd = try scene.start("ours", target)
        #expect(try scene.observe(etcd, revisions: revisions) == before)
        #expect(try scene.hashKV(etcd) == hash)
        #expect(try scene.hashKV(etcd) == toolHash)
        let members = try etcd.etcdctl("\(scene.user) member list")
        #expect(members.split(separator: ",").prefix(1) == toolMembers.split(separator: ",").prefix(1))
        #expect(members.hasPrefix(String(restored.memberID, radix: 16)))
        #expect(members.split(separator: "\n").count == 1)

        try goOn(scene, etcd, from: before.revision)
    }

    /// Writes, deletes, compacts, defragments, starts anew and takes another snapshot.
    private func goOn(_ scene: Scene, _ running: RunningEtcd, from revision: Int64) throws {
        try running.etcdctl("\(scene.user) put /new 1")
        #expect(try scene.observe(running, revisions: []).revision == revision + 1)
        try running.etcdctl("\(scene.user) del /first")
        try running.etcdctl("\(scene.user) compact \(revision + 1)")
        try running.etcdctl("\(scene.user) defrag")
        let before = try scene.observe(running, revisions: [revision, revision + 1])
        #expect(before.history[0] == "compacted")
        running.end()
        let again = try RunningEtcd(in: running.directory, tools: scene.tools(scene.target))
        #expect(try scene.observe(again, revisions: [revision, revision + 1]) == before)
        let snapshot = scene.directory / "second.db"
        try again.etcdctl("\(scene.user) snapshot save \(snapshot)")
        let file = try FileDescriptor.open(snapshot, .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        let inspection = try SnapshotInspector(cancellation: Cancellation()).inspect(file)
        #expect(inspection.faults == [])
        #expect(inspection.status?.currentRevision == revision + 2)
    }

    @Test("goes on when it becomes a newer one, with one member alone")
    func upgrade() throws {
        let scene = try Scene(.v34, .v34)
        var etcd = try scene.start("source", .v34)
        try scene.fill(etcd)
        // A learner that left, and one that stays: neither may come back.
        try etcd.etcdctl("member add --learner gone --peer-urls http://127.0.0.1:2")
        let id = try etcd.etcdctl("member list | grep gone\\\\\\|unstarted | cut -d, -f1").trimmed
        try etcd.etcdctl("member remove \(id)")
        try etcd.etcdctl("member add --learner other --peer-urls http://127.0.0.1:3")
        let before = try scene.observe(etcd, revisions: [])
        try etcd.etcdctl("snapshot save \(scene.snapshot)")
        etcd.end()
        let contents = try scene.restore(to: "ours").contents
        #expect(contents.members.count == 2)
        #expect(contents.removedMembers == [id])
        for version in EtcdVersion.allCases {
            etcd = try scene.start("ours", version)
            #expect(try etcd.etcdctl("member list").split(separator: "\n").count == 1)
            #expect(try scene.observe(etcd, revisions: []) == before)
            etcd.end()
        }
    }

    @Test(
        "tells a watcher of an old revision that it was compacted, when the revision was raised",
        arguments: EtcdVersion.allCases
    )
    func bump(version: EtcdVersion) throws {
        let scene = try Scene(version, version)
        var etcd = try scene.start("source", version)
        try scene.fill(etcd)
        let before = try scene.observe(etcd, revisions: [])
        try etcd.etcdctl("snapshot save \(scene.snapshot)")
        etcd.end()
        var options = Scene.options
        options.bumpRevision = 1_000_000_000
        options.markCompacted = true
        let raised = try scene.restore(to: "ours", options).revision
        #expect(raised == before.revision + 1_000_000_000)
        for _ in 0..<2 {
            etcd = try scene.start("ours", version)
            for old in [before.revision, before.revision + 1, raised - 1] {
                #expect(try scene.observe(etcd, revisions: [old]).history == ["compacted"])
                let watch = try Shell.run("\(watchLine(etcd, scene, old))")
                #expect(watch.output.contains("required revision has been compacted"), "\(watch.output)")
            }
            let after = try scene.observe(etcd, revisions: [])
            #expect(after.revision == raised)
            #expect(after.leases == before.leases)
            #expect(after.keys == before.keys)
            etcd.end()
        }
        etcd = try scene.start("ours", version)
        try etcd.etcdctl("put /new 1")
        #expect(try scene.observe(etcd, revisions: []).revision == raised + 1)
    }

    private func watchLine(_ etcd: RunningEtcd, _ scene: Scene, _ revision: Int64) throws -> String {
        "ETCDCTL_API=3 timeout 10 \(try scene.tools(scene.target))/etcdctl --endpoints http://127.0.0.1:\(etcd.port)"
            + " watch --rev \(revision) --prefix / 2>&1"
    }

    @Test(
        "refuses writes while its alarm for space is kept, and takes them when it was cleared",
        arguments: EtcdVersion.allCases
    )
    func alarm(version: EtcdVersion) throws {
        let scene = try Scene(version, version)
        var etcd = try scene.start("source", version, options: "--quota-backend-bytes 200000")
        try Shell.output("head -c 150000 /dev/zero > \(scene.directory / "value")")
        // Refused only when an earlier one has reached the disk.
        for _ in 0..<50 where try etcd.etcdctl("alarm list").isEmpty {
            _ = try? etcd.etcdctl("put big < \(scene.directory / "value")")
        }
        try etcd.etcdctl("snapshot save \(scene.snapshot)")
        etcd.end()
        #expect(try scene.restore(to: "kept").warnings == ["the snapshot has the alarm NOSPACE, which was kept"])
        etcd = try scene.start("kept", version)
        #expect(throws: (any Error).self) { try etcd.etcdctl("put a b") }
        etcd.end()
        var options = Scene.options
        options.clearAlarms = true
        #expect(
            try scene.restore(to: "cleared", options).warnings
                == ["the alarm NOSPACE of the snapshot was cleared: the restored database has no free pages"]
        )
        etcd = try scene.start("cleared", version)
        try etcd.etcdctl("put a b")
    }

    @Test("can have begun as an empty store, or as a copy of a database file", arguments: EtcdVersion.allCases)
    func emptyAndCopy(version: EtcdVersion) throws {
        let scene = try Scene(version, version)
        var etcd = try scene.start("source", version)
        try etcd.etcdctl("snapshot save \(scene.snapshot)")
        #expect(try scene.restore(to: "empty").revision == 1)
        try scene.fill(etcd)
        let before = try scene.observe(etcd, revisions: [])
        etcd.end()
        etcd = try scene.start("empty", version)
        try etcd.etcdctl("put a b")
        #expect(try scene.observe(etcd, revisions: []).revision == 2)
        etcd.end()

        try Shell.output("cp '\(scene.directory / "source")/data/member/snap/db' '\(scene.snapshot)'")
        var options = Scene.options
        options.skipHashCheck = true
        try scene.restore(to: "copy", options)
        etcd = try scene.start("copy", version)
        #expect(try scene.observe(etcd, revisions: []) == before)
    }
}
