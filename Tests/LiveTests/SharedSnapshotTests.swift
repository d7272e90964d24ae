import Backup
import Etcd
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("A snapshot of a live etcd", .serialized, .enabled(if: Tier.live.isWanted, Tier.live.comment))
struct SharedSnapshotTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir -p '\(directory / "node")/etc'")
        _ = try directory.mount("recovery")
        try Shell.output("echo node-7 > '\(directory / "node")/etc/hostname'")
    }

    private func member(_ version: EtcdVersion, _ name: String = "etcd") throws -> RunningEtcd {
        try RunningEtcd(in: directory / name, tools: version.tools())
    }

    private var node: Node {
        FakeNode.make(root: directory / "node", etcd: EtcdService(cancellation: Cancellation()))
    }

    /// Takes a recovery point of the member alone and says which one its snapshot is shared with.
    private func create(_ etcd: RunningEtcd) async throws -> (point: RecoveryPoint, sharedWith: Int?) {
        var request = BackupRequest(directory: directory / "recovery", jobs: 2, toolVersion: "node-recovery test")
        request.allowsRootFileSystem = true
        request.profile = .fixed(.plain)
        request.onlyComponents = [.etcd]
        request.etcd.endpoint = "http://127.0.0.1:\(etcd.port)"
        request.keep = 100
        let point = try await BackupRun(request, on: node, meter: ProgressMeter()).create().point
        #expect(point.isVerified)
        return (point, point.manifest.component(.etcd)?.sharedWith)
    }

    @Test("is shared while nothing happens, and taken anew after anything did", arguments: EtcdVersion.allCases)
    func sharing(version: EtcdVersion) async throws {
        let etcd = try member(version)
        for number in 0..<20 { try etcd.etcdctl("put /a/\(number) value-\(number)") }
        #expect(try await create(etcd).sharedWith == nil)
        #expect(try await create(etcd).sharedWith == 1)
        // Asking changes nothing.
        try etcd.etcdctl("get --prefix /a")
        try etcd.etcdctl("endpoint status")
        #expect(try await create(etcd).sharedWith == 1)

        // The last change of each leaves the log at a change of keys, as 3.4 stores the index with those alone.
        let changes = ["put /a/3 other", "del /a/4", "compaction 15", "lease grant 3600", "user add u:p"]
        for change in changes {
            try etcd.etcdctl(change)
            let (point, sharedWith) = try await create(etcd)
            #expect(sharedWith == nil, "\(change)")
            guard let first = point.manifest.etcd else { continue }
            try etcd.etcdctl("put /after '\(change)'")
            let next = try await create(etcd)
            #expect(next.sharedWith == nil, "\(change)")
            #expect(next.point.manifest.etcd?.revision == first.currentRevision + 1)
            #expect(try await create(etcd).sharedWith == next.point.generation, "\(change)")
        }
    }

    @Test("is taken anew after a lease has run out, and after a restart", arguments: EtcdVersion.allCases)
    func without(version: EtcdVersion) async throws {
        var etcd = try member(version)
        let lease = try etcd.etcdctl("lease grant 2").split(separator: " ")[1]
        try etcd.etcdctl("put --lease=\(lease) /leased value")
        let before = try await create(etcd).point
        for _ in 0..<100 where try !etcd.etcdctl("get /leased").isEmpty { try Shell.output("sleep 0.1") }
        #expect(try etcd.etcdctl("get /leased").isEmpty)
        let (after, sharedWith) = try await create(etcd)
        #expect(sharedWith == nil)
        #expect(after.manifest.etcd?.revision == (before.manifest.etcd?.revision ?? 0) + 1)
        try etcd.etcdctl("put /b value")
        let last = try await create(etcd).point
        #expect(try await create(etcd).sharedWith == last.generation)
        etcd.end()
        etcd = try member(version)
        #expect(try await create(etcd).sharedWith == nil)
    }

    @Test(
        "of a member that was made anew under its old identity is taken anew, though it stands at the same place",
        arguments: EtcdVersion.allCases
    )
    func anew(version: EtcdVersion) async throws {
        var entries: [EtcdEntry] = []
        for value in ["one", "two"] {
            try Shell.output("rm -rf '\(directory / "etcd")/data'")
            let etcd = try RunningEtcd(
                in: directory / "etcd",
                tools: version.tools(),
                options: "--initial-advertise-peer-urls http://127.0.0.1:1 --initial-cluster node=http://127.0.0.1:1"
            )
            for number in 0..<20 { try etcd.etcdctl("put /a/\(number) \(value)") }
            let (point, sharedWith) = try await create(etcd)
            #expect(sharedWith == nil)
            entries.append(try #require(point.manifest.etcd))
            #expect(try await create(etcd).sharedWith == point.generation)
            etcd.end()
        }
        // The place is the same: only size and checksum tell them apart.
        #expect(entries[0].memberID == entries[1].memberID && entries[0].clusterID == entries[1].clusterID)
        #expect(entries[0].standstill?.raftIndex == entries[1].standstill?.raftIndex)
        #expect(entries[0].standstill?.raftTerm == entries[1].standstill?.raftTerm)
        #expect(entries[0].standstill?.hashKV != entries[1].standstill?.hashKV)
    }
}
