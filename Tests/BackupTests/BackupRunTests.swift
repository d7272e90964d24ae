import Files
import NodeInterface
import RecoveryPoints
import Reporting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Backup

@Suite("A backup") struct BackupRunTests {
    private let directory: TemporaryDirectory
    private let meter = ProgressMeter()

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output(
            """
            set -e
            cd '\(directory.path)'
            mkdir -p node/etc/kubernetes/manifests node/usr/local/bin node/var/lib/kubelet/pki node/opt/site recovery
            mkdir -p node/etc/machine-config-daemon
            echo node-7 > node/etc/hostname
            echo 0123456789abcdef0123456789abcdef > node/etc/machine-id
            echo '127.0.0.1 localhost' > node/etc/hosts
            echo tool > node/usr/local/bin/tool
            echo key > node/var/lib/kubelet/pki/kubelet.key
            echo site > node/opt/site/agent.conf
            echo '{"spec":{"config":{"storage":{"files":[{"path":"/opt/site/agent.conf"},{"path":"/etc/hosts"},\
            {"path":"/opt/site/gone.conf"}]}}}}' > node/etc/machine-config-daemon/currentconfig
            """
        )
    }

    private var root: FilePath { directory / "node" }
    private var recovery: FilePath { directory / "recovery" }

    private func request() -> BackupRequest {
        var request = BackupRequest(directory: recovery, jobs: 2, toolVersion: "node-recovery test")
        request.allowsRootFileSystem = true
        request.profile = .fixed(.plain)
        return request
    }

    /// An etcd member whose snapshot is `content`, found good by the inspection.
    private func etcd(_ content: [UInt8] = Array(repeating: 7, count: 100_000)) -> ScriptedEtcd {
        var etcd = ScriptedEtcd()
        etcd.status = { _ in
            EtcdMemberStatus(
                serverVersion: "3.5.1",
                clusterID: 0xCAFE,
                memberID: 0xBEEF,
                revision: 12,
                databaseSizeBytes: Int64(content.count),
                databaseInUseBytes: 10,
                alarms: [],
                errors: []
            )
        }
        let trailer = SHA256Hasher.digest(of: content).bytes
        etcd.snapshot = { _, sink in
            try content.withUnsafeBytes { try sink($0) }
            try trailer.withUnsafeBytes { try sink($0) }
        }
        etcd.inspect = { _ in SnapshotReport(faults: [], status: Self.contents) }
        return etcd
    }

    private static let contents = SnapshotStatus(
        hash: 1,
        revision: 12,
        totalKeys: 3,
        totalPairs: 9,
        totalSizeBytes: 99_968,
        version: "",
        currentRevision: 12,
        alarms: []
    )

    private func withEtcd(_ request: BackupRequest) -> BackupRequest {
        var request = request
        request.etcd.endpoint = "http://127.0.0.1:2379"
        return request
    }

    private func status() throws -> RunStatus {
        let text = try Shell.output("cat '\(recovery)/status.json'")
        return try RunStatus.decode(Array(text.utf8), file: "status.json")
    }

    private func create(_ request: BackupRequest, _ node: Node) async throws -> RecoveryPoint {
        try await BackupRun(request, on: node, meter: meter).create().point
    }

    @Test("holds every component that the node has, and says why it has no others") func components() async throws {
        var deployments = ScriptedDeployments()
        let booted = Deployment(
            osName: "os",
            checksum: String(repeating: "a", count: 64),
            serial: 1,
            origin: nil,
            version: "1.0",
            kernelArguments: ["ro"],
            isBooted: true,
            isPinned: false,
            isStaged: false
        )
        let pins = Mutex<[Deployment]>([])
        deployments.present = [booted]
        deployments.pinning = { deployment in pins.withLock { $0.append(deployment) } }
        let node = FakeNode.make(root: root, etcd: etcd(), deployments: deployments)
        let point = try await create(withEtcd(request()), node)
        #expect(
            point.manifest.components.map(\.name)
                == ["etcd", "etc", "usr-local", "kubelet", "machine-config", "deployment"]
        )
        #expect(point.manifest.skipped.map(\.name) == ["static-pods", "images"])
        #expect(point.manifest.node == NodeIdentity(name: "node-7", machineID: "0123456789abcdef0123456789abcdef"))
        #expect(point.manifest.deployment == "\(booted.checksum).1")
        #expect(point.manifest.etcd?.clusterID == "cafe")
        #expect(pins.withLock { $0 } == [booted])
        #expect(
            point.manifest.component(.machineConfig)?.leftOut == [
                PathNote(path: "opt/site/gone.conf", reason: "missing")
            ]
        )
        #expect(point.isVerified)
        #expect(try status().state == .succeeded)
        #expect(try status().generation == 1)
        let listed = try Shell.output("tar --zstd -tf '\(point.directory)/machine-config.tar.zst' 2>/dev/null")
        #expect(listed == "opt/site/agent.conf\n")
    }

    @Test("shares what has not changed with the one before, by inode, and writes what has") func sharing() async throws
    {
        let node = FakeNode.make(root: root)
        // What was touched within a second of being read has no hint and is compared by content.
        let first = try await create(request(), node)
        try Shell.output("echo more >> '\(root)/etc/hosts'")
        let second = try await create(request(), node)
        #expect(second.manifest.component(.etc)?.sharedWith == nil)
        #expect(second.manifest.component(.usrLocal)?.sharedWith == 1)
        #expect(second.manifest.component(.kubelet)?.sharedWith == 1)
        let inodes = try Shell.output(
            "stat -c %i '\(first.directory)/usr-local.tar.zst' '\(second.directory)/usr-local.tar.zst' | sort -u | wc -l"
        )
        #expect(inodes == "1\n")
        let third = try await create(request(), node)
        #expect(third.manifest.component(.etc)?.sharedWith == 2)
        #expect(third.manifest.component(.usrLocal)?.sharedWith == 1)
        #expect(third.isVerified)
        // The first went by retention; what the third shares with it is still whole.
        #expect(try RecoveryStore(path: recovery).generations() == [2, 3])
        let results = try PointVerifier(node: node, jobs: 2).verify(third)
        #expect(results.values.flatMap(\.faults) == [])
    }

    @Test("writes again what an earlier one has with damage, records the fault there, and says why") func damagedShare()
        async throws
    {
        let log = LogRecorder()
        let node = FakeNode.make(root: root, log: log)
        let first = try await create(request(), node)
        // The archive of one component, the index of another one, a recorded fault of the third.
        func flip(_ file: String) throws {
            try Shell.output(
                "cd '\(first.directory)' && printf '\\377\\376' | dd of=\(file) bs=1 seek=20 conv=notrunc status=none"
            )
        }
        try flip("usr-local.tar.zst")
        try flip("kubelet.files.zst")
        try first.record(["etc": .init(verifiedAt: "2026-11-21T03:00:00Z", faults: ["etc/hosts differs"])])
        let second = try await create(request(), node)
        for name in [ComponentName.etc, .usrLocal, .kubelet] {
            #expect(second.manifest.component(name)?.sharedWith == nil, "\(name)")
        }
        #expect(second.manifest.component(.machineConfig)?.sharedWith == 1)
        #expect(second.isVerified)
        #expect(first.hasFault(in: "usr-local"))
        let lines = log.lines.joined(separator: "\n")
        #expect(lines.contains("etc of recovery point 1 was found damaged, so it is written again"), "\(lines)")
        #expect(lines.contains("usr-local of recovery point 1 is damaged: "), "\(lines)")
        #expect(lines.contains("so kubelet is written again"), "\(lines)")
        let results = try PointVerifier(node: node, jobs: 2).verify(second)
        #expect(results.values.flatMap(\.faults) == [])
    }

    @Test("without a component that the node has is partial, and never pushes out the last whole one") func partial()
        async throws
    {
        let node = FakeNode.make(root: root)
        let whole = try await create(request(), node)
        #expect(whole.manifest.isWhole)
        var request = request()
        request.keep = 1
        request.onlyComponents = [.etc]
        for _ in 0..<3 { _ = try await create(request, node) }
        let store = try RecoveryStore(path: recovery)
        #expect(try store.generations() == [1, 4])
        #expect(try store.newestWhole()?.generation == 1)
        // A plain node has neither etcd nor images: it lacks what it has.
        #expect(try store.newest()?.manifest.lacking.map(\.name) == ["usr-local", "kubelet", "machine-config"])
        request.onlyComponents = nil
        request.excludedComponents = [.kubelet]
        #expect(try await create(request, node).manifest.isWhole)
        #expect(try store.generations() == [5])
    }

    @Test("owns the pin that it made: it goes with the last recovery point that needs it") func pins() async throws {
        let pinned = Mutex<Set<String>>([])
        func deployment(_ letter: Character) -> Deployment {
            let checksum = String(repeating: letter, count: 64)
            return Deployment(
                osName: "os",
                checksum: checksum,
                serial: 0,
                origin: nil,
                version: nil,
                kernelArguments: [],
                isBooted: true,
                isPinned: pinned.withLock { $0.contains(checksum) },
                isStaged: false
            )
        }
        func take(booted: Character, also others: [Character] = []) async throws -> RecoveryPoint {
            var deployments = ScriptedDeployments()
            deployments.present =
                [deployment(booted)]
                + others.map {
                    var other = deployment($0)
                    other.isBooted = false
                    return other
                }
            deployments.pinning = { deployment in _ = pinned.withLock { $0.insert(deployment.checksum) } }
            deployments.unpinning = { deployment in _ = pinned.withLock { $0.remove(deployment.checksum) } }
            var request = request()
            request.keep = 1
            return try await create(request, FakeNode.make(root: root, deployments: deployments))
        }
        func pins() -> [Character] { pinned.withLock { $0.compactMap(\.first).sorted() } }
        #expect(try await take(booted: "a").manifest.ownsPin == true)
        #expect(try await take(booted: "a").manifest.ownsPin == true)
        #expect(pins() == ["a"])
        #expect(try await take(booted: "b", also: ["a"]).manifest.ownsPin == true)
        #expect(pins() == ["b"])
        // Somebody else's pin stays.
        pinned.withLock { _ = $0.insert(String(repeating: "c", count: 64)) }
        #expect(try await take(booted: "c", also: ["b"]).manifest.ownsPin == nil)
        #expect(try await take(booted: "a", also: ["c"]).manifest.ownsPin == true)
        #expect(pins() == ["a", "c"])
    }

    @Test("is verified as a restore would take it: no component without its files, none with another one's")
    func strictVerify()
        async throws
    {
        let node = FakeNode.make(root: root)
        _ = try await create(request(), node)
        let manifest = recovery.appending("points/1/manifest.json")
        func faults(_ change: String) throws -> [String] {
            try Shell.output("cp '\(manifest)' '\(directory / "saved")'; \(change) '\(manifest)'")
            defer { _ = try? Shell.output("cp '\(directory / "saved")' '\(manifest)'") }
            let point = try RecoveryStore(path: recovery).point(1)
            return try PointVerifier(node: node, jobs: 2).verify(point).values.flatMap(\.faults)
        }
        #expect(try faults("true") == [])
        let swapped = try faults(
            "sed -i 's/\"name\" : \"etc\"/\"name\" : \"x\"/; s/\"name\" : \"kubelet\"/\"name\" : \"etc\"/'"
        )
        #expect(swapped.contains { $0.contains("it does not belong to the component") }, "\(swapped)")
        let renamed = try faults("sed -i 's/\"role\" : \"index\"/\"role\" : \"poem\"/'")
        #expect(renamed.contains("the manifest lists no index of component 'etc'"), "\(renamed)")
        let point = try RecoveryStore(path: recovery).point(1)
        try Shell.output("sed -i 's/\"name\" : \"usr-local\"/\"name\" : \"firmware\"/' '\(manifest)'")
        let newer = try PointVerifier(node: node, jobs: 2).verify(try RecoveryStore(path: recovery).point(1))
        #expect(newer["firmware"]?.faults == [] && newer["firmware"]?.isGood == false)
        #expect(newer["etc"]?.isGood == true)
        withExtendedLifetime(point) {}
    }

    /// What a scripted member says about itself, to be changed between two runs.
    struct Member {
        var status = EtcdMemberStatus(
            serverVersion: "3.5.1",
            clusterID: 0xCAFE,
            memberID: 0xBEEF,
            revision: 12,
            databaseSizeBytes: 100_000,
            databaseInUseBytes: 10,
            alarms: [],
            errors: [],
            raftTerm: 2,
            raftIndex: 30,
            raftAppliedIndex: 30
        )
        var hash = EtcdHash(hash: 5, compactRevision: -1)
        var answersHash = true
        var snapshots = 0
    }

    private final class MovingMember: Sendable {
        let now = Mutex(Member())
    }

    private func etcd(_ member: MovingMember) -> ScriptedEtcd {
        struct Refused: Error {}
        var etcd = etcd()
        let stream = etcd.snapshot
        etcd.status = { _ in member.now.withLock { $0.status } }
        etcd.snapshot = { endpoint, sink in
            member.now.withLock { $0.snapshots += 1 }
            try stream?(endpoint, sink)
        }
        etcd.hash = { _, revision in
            try member.now.withLock {
                guard $0.answersHash, revision == $0.status.revision else { throw Refused() }
                return $0.hash
            }
        }
        etcd.inspect = { _ in
            var contents = Self.contents
            contents.consistentIndex = 30
            return SnapshotReport(faults: [], status: contents)
        }
        return etcd
    }

    @Test("shares the etcd snapshot while the member stands still") func sharedSnapshot() async throws {
        let member = MovingMember()
        var request = withEtcd(request())
        request.onlyComponents = [.etcd]
        let node = FakeNode.make(root: root, etcd: etcd(member))
        let first = try await create(request, node)
        #expect(
            first.manifest.etcd?.standstill
                == EtcdStandstill(raftTerm: 2, raftIndex: 30, hashKV: 5, compactRevision: -1)
        )
        for generation in 2...3 {
            let point = try await create(request, node)
            #expect(point.generation == generation)
            #expect(point.manifest.component(.etcd)?.sharedWith == 1)
            #expect(point.manifest.etcd == first.manifest.etcd)
            #expect(point.isVerified)
        }
        #expect(member.now.withLock(\.snapshots) == 1)
        let forecast = try await BackupRun(request, on: node, meter: meter).forecast()
        #expect(forecast.components[0].action == "share")
        #expect(forecast.components[0].note == "unchanged since recovery point 3")
        let results = try PointVerifier(node: node, jobs: 2).verify(try RecoveryStore(path: recovery).point(3))
        #expect(results["etcd"]?.faults == [])
    }

    private static let moves: [@Sendable (inout Member) -> Void] = [
        { $0.status.raftIndex = 31 }, { $0.status.raftAppliedIndex = 29 }, { $0.status.raftTerm = 3 },
        { $0.status.revision = 13 }, { $0.status.databaseSizeBytes += 4096 }, { $0.status.memberID = 1 },
        { $0.status.clusterID = 1 }, { $0.status.serverVersion = "3.5.2" }, { $0.hash.hash = 6 },
        { $0.hash.compactRevision = 3 }, { $0.answersHash = false },
        {
            $0.status.raftIndex = 31
            $0.status.raftAppliedIndex = 31
        },
    ]

    @Test(
        "takes a new snapshot when anything about the member has moved, or it does not say",
        arguments: moves.indices
    )
    func movedMember(_ number: Int) async throws {
        let member = MovingMember()
        var request = withEtcd(request())
        request.onlyComponents = [.etcd]
        let node = FakeNode.make(root: root, etcd: etcd(member))
        _ = try await create(request, node)
        member.now.withLock { Self.moves[number](&$0) }
        let second = try await create(request, node)
        #expect(second.manifest.component(.etcd)?.sharedWith == nil)
        #expect(member.now.withLock(\.snapshots) == 2)
    }

    @Test("does not share a snapshot of a member that went on while it came, nor one of another machine")
    func notShared() async throws {
        let member = MovingMember()
        member.now.withLock {
            $0.status.raftIndex = 31
            $0.status.raftAppliedIndex = 31
        }
        var request = withEtcd(request())
        request.onlyComponents = [.etcd]
        let node = FakeNode.make(root: root, etcd: etcd(member))
        #expect(try await create(request, node).manifest.etcd?.standstill == nil)
        member.now.withLock { $0 = Member() }
        #expect(try await create(request, node).manifest.component(.etcd)?.sharedWith == nil)
        try Shell.output("echo 00000000000000000000000000000000 > '\(root)/etc/machine-id'")
        #expect(try await create(request, node).manifest.component(.etcd)?.sharedWith == nil)
        #expect(try await create(request, node).manifest.component(.etcd)?.sharedWith == 3)
    }

    @Test("finds a snapshot that was not packed as it came") func packedSnapshot() async throws {
        // Nothing of what it holds has its digest behind it.
        var wrong = etcd()
        wrong.snapshot = { _, sink in
            try [UInt8](repeating: 7, count: 100_032).withUnsafeBytes { try sink($0) }
        }
        await #expect {
            try await create(withEtcd(request()), FakeNode.make(root: root, etcd: wrong))
        } throws: { error in
            "\(error)".contains("its own SHA-256 differs") && (error as? BackupError)?.exitStatus == .dataError
        }
        #expect(try Shell.output("ls '\(recovery)/points'").isEmpty)
    }

    @Test("leaves nothing and the earlier ones as they were when etcd goes away half way") func etcdFails() async throws
    {
        struct Gone: OperatorError {
            var summary: String { "etcd went away" }
            var exitStatus: Reporting.ExitStatus { .unavailable }
        }
        let good = try await create(request(), FakeNode.make(root: root))
        let before = try Shell.output("cd '\(recovery)/points' && find . -type f | sort | xargs sha256sum")
        var failing = etcd()
        failing.snapshot = { _, sink in
            try [UInt8](repeating: 1, count: 5000).withUnsafeBytes { try sink($0) }
            throw Gone()
        }
        await #expect {
            try await create(withEtcd(request()), FakeNode.make(root: root, etcd: failing))
        } throws: { error in
            "\(error)" == "etcd went away" && (error as? BackupError)?.exitStatus == .unavailable
        }
        #expect(try Shell.output("cd '\(recovery)/points' && find . -type f | sort | xargs sha256sum") == before)
        #expect(try Shell.output("ls '\(recovery)/points'") == "1\n")
        #expect(try status().state == .unrecoverableError)
        #expect(try status().error?.exitStatus == 69)
        #expect(good.generation == 1)
    }

    @Test("refuses a snapshot in which the inspection finds a fault") func damagedSnapshot() async throws {
        var damaged = etcd()
        damaged.inspect = { _ in SnapshotReport(faults: ["page 7 says it is page 9"], status: nil) }
        await #expect {
            try await create(withEtcd(request()), FakeNode.make(root: root, etcd: damaged))
        } throws: { error in
            "\(error)".contains("page 7 says it is page 9") && (error as? BackupError)?.exitStatus == .dataError
        }
        #expect(try Shell.output("ls '\(recovery)/points'").isEmpty)
    }

    @Test(
        "ends with the state that TALM's hub knows when it is stopped",
        arguments: [Cancellation.Reason.signal(15), .deadline(.seconds(480))]
    )
    func stopped(_ reason: Cancellation.Reason) async throws {
        let cancellation = Cancellation()
        var stopping = etcd()
        stopping.snapshot = { _, sink in
            try [UInt8](repeating: 1, count: 5000).withUnsafeBytes { try sink($0) }
            cancellation.cancel(reason)
            throw Stopped(reason: reason)
        }
        let node = FakeNode.make(root: root, etcd: stopping, cancellation: cancellation)
        await #expect {
            try await create(withEtcd(request()), node)
        } throws: { error in
            (error as? BackupError)?.exitStatus == .tempFail
        }
        #expect(try status().state == .backupTimeout)
        #expect(try Shell.output("ls '\(recovery)/points'").isEmpty)
    }

    @Test("removes what a run that was cut has left, and takes its number again") func leftovers() async throws {
        try Shell.output(
            "mkdir -p '\(recovery)/points/1.partial' && echo x > '\(recovery)/points/1.partial/etc.tar.zst'"
        )
        let log = LogRecorder()
        let point = try await create(request(), FakeNode.make(root: root, log: log))
        #expect(point.generation == 1)
        #expect(log.lines.contains("notice: Removed '1.partial', left by an interrupted run"))
    }

    @Test("goes on beside a damaged older one, and leaves it as it is") func damagedOlder() async throws {
        _ = try await create(request(), FakeNode.make(root: root))
        try Shell.output("echo broken > '\(recovery)/points/1/manifest.json'")
        let log = LogRecorder()
        let point = try await create(request(), FakeNode.make(root: root, log: log))
        #expect(point.generation == 2)
        #expect(log.lines.contains { $0.hasPrefix("warning: recovery point 1 cannot be read: ") })
        #expect(try RecoveryStore(path: recovery).generations() == [1, 2])
    }

    @Test("is not taken where there is no space, and says how much is missing") func noSpace() async throws {
        try Shell.output("mount -t tmpfs -o size=4m tmpfs '\(recovery)'")
        defer { _ = try? Shell.run("umount '\(recovery)'") }
        await #expect {
            try await create(request(), FakeNode.make(root: root))
        } throws: { error in
            guard case BackupError.noSpace(_, let needed, let free) = error else { return false }
            return needed > free && (error as? BackupError)?.exitStatus == .cantCreate
        }
    }

    @Test("is not taken on the root file system unless the operator insists") func rootFileSystem() async throws {
        var request = request()
        request.allowsRootFileSystem = false
        await #expect {
            try await create(request, FakeNode.make(root: root))
        } throws: { error in
            "\(error)".contains("is not a file system of its own") && (error as? BackupError)?.exitStatus == .cantCreate
        }
        try Shell.output("mount -t tmpfs -o size=200m tmpfs '\(recovery)'")
        defer { _ = try? Shell.run("umount '\(recovery)'") }
        #expect(try await create(request, FakeNode.make(root: root)).generation == 1)
    }

    @Test("tells the second run at once who holds the lock, and leaves the first one's status alone")
    func lock() async throws {
        let store = try RecoveryStore(path: recovery)
        let lock = try store.lock(command: "node-backup create")
        await #expect {
            try await create(request(), FakeNode.make(root: root))
        } throws: { error in
            "\(error)".contains("node-backup create (process ") && (error as? BackupError)?.exitStatus == .tempFail
        }
        #expect(try Shell.run("ls '\(recovery)/status.json'").status != 0)
        withExtendedLifetime(lock) {}
    }

    @Test("never takes its own directory into itself") func ownDirectory() async throws {
        var request = request()
        request.directory = root.appending("etc/recovery")
        try Shell.output("mkdir '\(request.directory)'")
        let point = try await create(request, FakeNode.make(root: root))
        #expect(
            point.manifest.component(.etc)?.leftOut == [PathNote(path: "etc/recovery", reason: "recovery store")]
        )
    }

    @Test("of named components takes these alone, and fails when one is not there") func named() async throws {
        var request = request()
        request.onlyComponents = [.usrLocal]
        let point = try await create(request, FakeNode.make(root: root))
        #expect(point.manifest.components.map(\.name) == ["usr-local"])
        request.onlyComponents = [.deployment]
        await #expect {
            try await create(request, FakeNode.make(root: root))
        } throws: { error in
            "\(error)" == "component 'deployment' cannot be taken: the node is not managed by ostree"
        }
    }

    @Test("writes its last words where a container has a file for them, and nowhere else") func lastWords() async throws
    {
        var request = request()
        request.terminationLog = directory / "termination-log"
        _ = try await create(request, FakeNode.make(root: root))
        #expect(try Shell.run("ls '\(directory / "termination-log")'").status != 0)
        try Shell.output("touch '\(directory / "termination-log")'")
        _ = try await create(request, FakeNode.make(root: root))
        let line = try Shell.output("cat '\(directory / "termination-log")'")
        #expect(try RunStatus.decode(Array(line.utf8), file: "log").state == .succeeded)
        #expect(line.utf8.count <= 4096)
    }

    @Test("forecasts without changing anything") func forecast() async throws {
        let run = BackupRun(withEtcd(request()), on: FakeNode.make(root: root, etcd: etcd()), meter: meter)
        let forecast = try await run.forecast()
        #expect(forecast.components.map(\.name) == BackupPlan.components.map(\.name.rawValue))
        #expect(
            forecast.components.filter { $0.action == "skip" }.map(\.name) == ["static-pods", "deployment", "images"]
        )
        #expect(forecast.components[0].sources == ["http://127.0.0.1:2379"])
        #expect(try Shell.output("ls -A '\(recovery)'").isEmpty)
    }

    @Test("has the components of the plan, by the names that are on disk in the field") func names() {
        #expect(
            BackupPlan.components.map(\.name.rawValue)
                == ["etcd", "static-pods", "etc", "usr-local", "kubelet", "machine-config", "deployment", "images"]
        )
    }
}
