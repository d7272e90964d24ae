import Backup
import Files
import Glibc
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("The doctor") struct ReadinessTests {
    /// A node that nothing is wrong with, a day after its recovery point.
    private func healthyNode(_ profile: NodeProfile = .kubeadm) async throws -> RecoveryNode {
        let node = try await RecoveryNode(profile, breaks: false)
        node.now += 86_400
        return node
    }

    private func examine(
        _ node: RecoveryNode,
        _ change: (inout ReadinessRequest) -> Void = { _ in }
    ) async throws -> Readiness {
        var request = ReadinessRequest(
            recovery: node.request(),
            maxAge: .seconds(7 * 86_400),
            expiryWarning: .seconds(7 * 86_400)
        )
        change(&request)
        return try await Readiness.examine(request, on: node.node, meter: ProgressMeter())
    }

    /// Expects one check to end so, and every other one to be green.
    private func expect(
        _ check: String,
        _ state: Readiness.Colour,
        saying text: String,
        next: String,
        of readiness: Readiness,
        andToo others: Set<String> = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let finding = readiness.findings.first { $0.check == check }
        #expect(finding?.state == state, "\(readiness)", sourceLocation: sourceLocation)
        #expect(finding?.text.contains(text) == true, "\(finding?.text ?? "")", sourceLocation: sourceLocation)
        #expect(finding?.next?.contains(next) == true, "\(finding?.next ?? "")", sourceLocation: sourceLocation)
        let open = readiness.findings.filter { $0.state != .green && $0.check != check && !others.contains($0.check) }
        #expect(open == [], sourceLocation: sourceLocation)
        #expect(readiness.isRecoverable == (state != .red), sourceLocation: sourceLocation)
    }

    @Test(
        "is content with a node that can be recovered, and so is the recovery",
        arguments: [NodeProfile.kubeadm, .plain]
    )
    func green(profile: NodeProfile) async throws {
        let node = try await healthyNode(profile)
        let before = try node.tree()
        let store = try Shell.output("cd '\(node.store)' && find . -printf '%p %T@ %s\\n' | sort")
        let readiness = try await examine(node)
        #expect(readiness.findings.filter { $0.state != .green } == [])
        #expect(readiness.findings.map(\.check) == ReadinessChecks.listing.map(\.name))
        #expect(readiness.findings.allSatisfy { $0.next == nil })
        if profile == .kubeadm {
            let enddate = try Shell.output(
                "date -u +%s -d \"$(openssl x509 -noout -enddate -in '\(node.root)/etc/kubernetes/pki/apiserver.crt' | cut -d= -f2)\""
            )
            #expect(readiness.until.map { "\($0)" } == enddate.trimmed)
            let days = try #require(readiness.daysLeft)
            #expect(readiness.summary.hasPrefix("This node can be recovered to recovery point 1 until 20"))
            #expect(readiness.summary.hasSuffix("(\(days) days)."))
        } else {
            #expect(readiness.summary == "This node can be recovered to recovery point 1.")
        }
        // nothing has changed, on the node, in the store, in its services
        #expect(try node.tree() == before)
        #expect(try Shell.output("cd '\(node.store)' && find . -printf '%p %T@ %s\\n' | sort") == store)
        #expect(node.recorder.calls == [])
        node.heartbeatIsLate()
        try await node.recover()
    }

    @Test("has names of its own for its checks, which never change") func names() {
        #expect(
            ReadinessChecks.listing.map(\.name) == [
                "partition", "recovery", "point", "verified", "identity", "certificates", "etcd-member", "deployment",
                "images", "image-store", "recovery-space", "backup-space", "etcd", "live-certificates", "clock",
            ]
        )
    }

    @Test("is red where there is no recovery point, or no directory") func none() async throws {
        let node = try await healthyNode()
        try Shell.output("rm -r '\(node.store)/points/1'")
        let empty = try await examine(node)
        #expect(empty.summary == "This node cannot be recovered: there is no recovery point in '\(node.store)'.")
        #expect(empty.findings.first { $0.check == "point" }?.next == "node-backup create")
        // what could not be looked at is never green
        for check in ["verified", "identity", "certificates", "images", "recovery-space"] {
            #expect(empty.findings.first { $0.check == check }?.state == .amber, "\(check)")
        }
        try Shell.output("rm -r '\(node.store)'")
        let gone = try await examine(node)
        #expect(gone.findings.first?.state == .red)
        #expect(gone.findings.first?.next == "mount \(node.store)")
    }

    @Test("is amber about a partition that is none, and red about one that cannot be written") func partition()
        async throws
    {
        let node = try await healthyNode()
        let shared = try await examine(node) { $0.recovery.backup.allowsRootFileSystem = false }
        expect("partition", .amber, saying: "not a file system of its own", next: "mount", of: shared)
        try Shell.output(
            "cp -a '\(node.store)' '\(node.store).aside' && mount -t tmpfs test '\(node.store)' && cp -a '\(node.store).aside/.' '\(node.store)' && mount -o remount,ro '\(node.store)'"
        )
        let readOnly = try await examine(node)
        expect("partition", .red, saying: "read-only", next: "remount,rw", of: readOnly)
    }

    @Test("is red while a recovery is under way, and amber about one that changed nothing") func recovery()
        async throws
    {
        let node = try await healthyNode()
        do { _ = try node.context() }
        expect("recovery", .amber, saying: "changed nothing", next: "upgrade-recovery", of: try await examine(node))
        let half = try await RecoveryNode()
        _ = try await half.begin()
        let readiness = try await examine(half)
        #expect(readiness.findings.first { $0.check == "recovery" }?.state == .red)
        #expect(readiness.findings.first { $0.check == "recovery" }?.next?.contains("--resume") == true)
        try Shell.output("echo nonsense > '\(half.store)/journal'")
        let damaged = try await examine(half)
        #expect(damaged.findings.first { $0.check == "recovery" }?.next == "upgrade-recovery --restart")
    }

    @Test("is amber about an old recovery point, and red about one with a file missing") func point() async throws {
        let node = try await healthyNode()
        let old = try await examine(node) { $0.maxAge = .seconds(3600) }
        expect("point", .amber, saying: "is 24 h old", next: "node-backup create", of: old)
        try Shell.output("truncate -s -1 '\(node.store)/points/1/etc.tar.zst'")
        let cut = try await examine(node)
        expect("point", .red, saying: "etc.tar.zst", next: "node-backup create", of: cut)
    }

    @Test("is amber about a newer recovery point that cannot be read") func newer() async throws {
        let node = try await healthyNode()
        try Shell.output("mkdir '\(node.store)/points/2' && echo x > '\(node.store)/points/2/manifest.json'")
        let readiness = try await examine(node)
        expect("point", .amber, saying: "recovery point 2 cannot be read", next: "node-backup create", of: readiness)
    }

    @Test("is amber about a point that nobody read back, red about one with faults, and reads it with --verify")
    func verified() async throws {
        let node = try await healthyNode()
        let record = "\(node.store)/points/1/verification.json"
        try Shell.output("rm '\(record)'")
        expect(
            "verified",
            .amber,
            saying: "never been verified",
            next: "node-backup verify 1",
            of: try await examine(node)
        )
        #expect(try await examine(node) { $0.verifies = true }.state == .green)
        #expect(try await examine(node).state == .green)
        let path = "\(node.store)/points/1/etc.tar.zst"
        try Shell.output(
            "printf '\\377\\377' | dd of='\(path)' bs=1 seek=$(($(stat -c %s '\(path)') / 2)) conv=notrunc status=none"
        )
        let damaged = try await examine(node) { $0.verifies = true }
        expect("verified", .red, saying: "etc.tar.zst", next: "node-backup create", of: damaged)
        #expect(try await examine(node).isRecoverable == false)
    }

    @Test("is red about another node's recovery point") func identity() async throws {
        let node = try await healthyNode()
        try Shell.output("echo node-8 > '\(node.root)/etc/hostname'")
        expect("identity", .red, saying: "'node-8'", next: "--skip-check identity", of: try await examine(node))
    }

    @Test("is amber before certificates expire, and red when they have") func certificates() async throws {
        let node = try await healthyNode()
        let until = try #require(try await examine(node).until)
        node.now = until - 3 * 86_400
        let soon = try await examine(node) { $0.maxAge = .seconds(1 << 40) }
        expect(
            "certificates",
            .amber,
            saying: "(3 days)",
            next: "node-backup create",
            of: soon,
            andToo: ["live-certificates"]
        )
        #expect(soon.summary.contains("(3 days)"))
        node.now = until + 1
        let late = try await examine(node) { $0.maxAge = .seconds(1 << 40) }
        expect(
            "certificates",
            .red,
            saying: "have expired",
            next: "node-backup create",
            of: late,
            andToo: ["live-certificates"]
        )
        #expect(late.findings.first { $0.check == "live-certificates" }?.state == .amber)
        let error = await #expect(throws: RecoveryError.self) { try await node.begin() }
        #expect(error?.summary.contains("have expired") == true)
    }

    @Test("is red about missing images, and amber where no runtime answers") func images() async throws {
        let node = try await healthyNode()
        node.containers.present = []
        expect("images", .red, saying: RecoveryNode.image, next: "crictl pull", of: try await examine(node))
        node.containers.name = nil
        expect("images", .amber, saying: "unknown", next: "systemctl", of: try await examine(node))
    }

    @Test("is amber about a deployment that is not pinned, red about one that is gone or cannot be booted")
    func deployment() async throws {
        let node = try await healthyNode()
        var recorded = Deployment(
            osName: "rhcos",
            checksum: String(repeating: "a", count: 64),
            serial: 0,
            origin: nil,
            version: "4.18",
            kernelArguments: [],
            isBooted: true,
            isPinned: true,
            isStaged: false
        )
        node.deployments.present = [recorded]
        node.deployments.pinning = { _ in }
        node.deployments.obstacles = { _ in [] }
        try await node.takePoint()
        #expect(try await examine(node).state == .green)
        recorded.isPinned = false
        recorded.isBooted = false
        var other = recorded
        other.checksum = String(repeating: "b", count: 64)
        other.isBooted = true
        node.deployments.present = [other, recorded]
        expect("deployment", .amber, saying: "not pinned", next: "ostree admin pin 1", of: try await examine(node))
        node.deployments.obstacles = { _ in ["its kernel is not there"] }
        expect("deployment", .red, saying: "its kernel is not there", next: "--force", of: try await examine(node))
        node.deployments.present = [other]
        expect("deployment", .red, saying: "not on this node any more", next: "--force", of: try await examine(node))
    }

    @Test("is red where a recovery has no room, and amber where the next point has none") func space() async throws {
        let node = try await healthyNode()
        let data = node.root.appending("var/lib/etcd")
        try Shell.output("mount -t tmpfs -o size=64k test '\(data)'")
        expect("recovery-space", .red, saying: "'\(data)'", next: "node-backup prune", of: try await examine(node))
        try Shell.output("umount '\(data)'")
        try Shell.output("fallocate -l $(($(stat -f -c '%a*%S' '\(node.store)') - 20000000)) '\(node.store)/filler'")
        let full = try await examine(node) { $0.recovery.keepsFailedState = false }
        expect("backup-space", .amber, saying: "only", next: "node-backup prune", of: full)
    }

    @Test("is amber about etcd's silence, its alarms and its words") func etcd() async throws {
        let node = try await healthyNode()
        let answer = try #require(node.etcd.status)
        node.etcd.status = { endpoint in
            var status = try answer(endpoint)
            status.alarms = ["NOSPACE"]
            return status
        }
        expect("etcd", .amber, saying: "alarm NOSPACE", next: "etcdctl", of: try await examine(node))
        node.etcd.status = { endpoint in
            var status = try answer(endpoint)
            status.errors = ["etcdserver: no leader"]
            return status
        }
        expect("etcd", .amber, saying: "no leader", next: "systemctl", of: try await examine(node))
        node.etcd.status = { _ in throw InjectedFault(call: "connection refused") }
        let silent = try await examine(node)
        expect("etcd", .amber, saying: "could not be checked", next: "", of: silent, andToo: ["backup-space"])
    }

    @Test("says that a recovery is running, and does not take it for an interrupted one") func running() async throws {
        let node = try await healthyNode()
        do { _ = try node.context() }
        let store = try RecoveryStore(path: node.store)
        var lock: FileLock?
        for _ in 0..<200 where lock == nil {
            lock = try? store.lock(command: "upgrade-recovery")
            if lock == nil { usleep(5000) }
        }
        try #require(lock != nil)
        let finding = try await examine(node).findings.first { $0.check == "recovery" }
        #expect(finding?.state == .red)
        #expect(finding?.text.contains("to recovery point 1 is running: upgrade-recovery (process ") == true)
        withExtendedLifetime(lock) {}
    }

    @Test("is amber where the node has lost every sign of Kubernetes, and never says that it needs none")
    func lostSigns()
        async throws
    {
        let node = try await healthyNode()
        try Shell.output("rm -r '\(node.root)/etc/kubernetes'")
        let readiness = try await examine(node)
        for check in ["etcd", "live-certificates"] {
            let finding = readiness.findings.first { $0.check == check }
            #expect(finding?.state == .amber && finding?.text.contains("lost every sign of kubeadm") == true)
            #expect(finding?.next == "upgrade-recovery")
        }
    }

    @Test("is amber where CRI-O would remove its images after a power cut, and knows the file that it is told to use")
    func imageStore() async throws {
        let node = try await healthyNode()
        try Shell.output(
            "mkdir -p '\(node.root)/var/lib/crio' && touch '\(node.root)/var/lib/crio/clean.shutdown.supported'"
        )
        let danger = try await examine(node)
        expect("image-store", .amber, saying: "/var/lib/crio/clean.shutdown", next: "crio.conf.d", of: danger)
        try Shell.output("touch '\(node.root)/var/lib/crio/clean.shutdown'")
        #expect(try await examine(node).findings.first { $0.check == "image-store" }?.state == .green)
        try Shell.output(
            """
            cd '\(node.root)' && mkdir -p etc/crio/crio.conf.d
            printf '[crio]\nclean_shutdown_file = "/var/lib/other"\n' > etc/crio/crio.conf
            touch var/lib/other.supported
            """
        )
        #expect(
            try await examine(node).findings.first { $0.check == "image-store" }?.text.contains("/var/lib/other")
                == true
        )
        try Shell.output(
            "printf '[crio]\n  clean_shutdown_file = \"\"\n' > '\(node.root)/etc/crio/crio.conf.d/10-keep'"
        )
        #expect(try await examine(node).findings.first { $0.check == "image-store" }?.state == .green)
    }

    @Test("is amber about a clock before the recovery point's time") func clock() async throws {
        let node = try await healthyNode()
        node.now -= 2 * 86_400
        expect("clock", .amber, saying: "before recovery point 1", next: "timedatectl", of: try await examine(node))
    }

    @Test(
        "reads the small files of a recovery point in memory, as they were on the node",
        arguments: [.kubeadm, .openshift] as [NodeProfile]
    )
    func contents(profile: NodeProfile) async throws {
        let node = try await RecoveryNode(profile, breaks: false)
        let context = try node.context()
        let files = try context.pointFiles()
        for path in try RecoveryCertificates.paths(in: files.staticPods) {
            let onNode = try context.root.exists(path) ? try context.root.readFile(path, limitBytes: 1 << 20) : nil
            #expect(try files.read(path) == onNode, "\(path)")
        }
        #expect(try context.proof.etcdMember(in: files).name == "node-7")
        #expect(try files.read(WellKnownPaths.kubeletCertificate) != nil)
        #expect(throws: FilesError.self) { try files.readFile("/etc/kubernetes", limitBytes: 1) }
        #expect(throws: FilesError.self) { try files.names(in: "/nowhere") }
    }
}
