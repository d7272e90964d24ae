import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("The proof of a recovery") struct ProveTests {
    /// Expects that a recovery is refused, and that nothing of the node, its services or the store tells of it.
    private func expectRefused(
        _ node: RecoveryNode,
        _ status: Reporting.ExitStatus,
        naming words: [String],
        hint: String,
        _ change: (inout RecoveryRequest) -> Void = { _ in },
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let before = try node.tree()
        node.recorder.forget()
        let error = await #expect(throws: RecoveryError.self, sourceLocation: sourceLocation) {
            try await node.begin(change)
        }
        #expect(error?.exitStatus == status, sourceLocation: sourceLocation)
        for word in words {
            #expect(error?.summary.contains(word) == true, "\(error?.summary ?? "")", sourceLocation: sourceLocation)
        }
        #expect(error?.hint?.contains(hint) == true, "\(error?.hint ?? "")", sourceLocation: sourceLocation)
        #expect(try node.tree() == before, sourceLocation: sourceLocation)
        #expect(node.recorder.calls.filter { !$0.hasPrefix("restore etcd") } == [], sourceLocation: sourceLocation)
        #expect(try !node.hasJournal(), sourceLocation: sourceLocation)
        #expect(try node.leftovers() == "", sourceLocation: sourceLocation)
    }

    @Test("refuses a recovery point of another node") func otherName() async throws {
        let node = try await RecoveryNode()
        try Shell.output("echo node-8 > '\(node.root)/etc/hostname'")
        try await expectRefused(node, .config, naming: ["'node-7'", "'node-8'"], hint: "--skip-check identity")
        try await node.recover { $0.skippedChecks = [.identity] }
        #expect(try node.read("etc/hostname") == "node-7")
    }

    @Test("refuses a recovery point of another machine") func otherMachine() async throws {
        let node = try await RecoveryNode()
        let id = String(repeating: "f", count: 32)
        try Shell.output("echo \(id) > '\(node.root)/etc/machine-id'")
        try await expectRefused(
            node,
            .config,
            naming: [id, "0123456789abcdef0123456789abcdef"],
            hint: "--skip-check identity"
        )
    }

    @Test("refuses a recovery point of another profile, but not where the failure took the profile's signs away")
    func otherProfile() async throws {
        let node = try await RecoveryNode()
        try Shell.output("mkdir -p '\(node.root)/etc/kubernetes/static-pod-resources'")
        try await expectRefused(node, .config, naming: ["kubeadm", "openshift"], hint: "--skip-check identity")
        let bare = try await RecoveryNode()
        try Shell.output("rm -r '\(bare.root)/etc/kubernetes'")
        try await bare.recover()
        #expect(try bare.read("etc/kubernetes/manifests/etcd.yaml").contains("--name=node-7"))
    }

    @Test("names expired certificates with their dates, and goes on when it is told to") func expired() async throws {
        let node = try await RecoveryNode()
        node.now = 4_102_444_800  // 2100-01-01
        let date = try Shell.output(
            "date -u +%Y-%m-%d -d \"$(openssl x509 -noout -enddate -in '\(node.root)/etc/kubernetes/pki/apiserver.crt' | cut -d= -f2)\""
        ).trimmed
        try await expectRefused(
            node,
            .unavailable,
            naming: [
                "'/etc/kubernetes/pki/apiserver.crt' (system:node:node-7.example) on \(date)",
                "'/etc/kubernetes/pki/etcd/server.crt'", "'/var/lib/kubelet/pki/kubelet-client-current.pem'",
            ],
            hint: "--skip-check certificates"
        )
        node.heartbeatIsLate()
        try await node.recover { $0.skippedChecks = [.certificates] }
        #expect(node.log.lines.contains { $0.hasPrefix("warning: expired: '/etc/kubernetes/pki/apiserver.crt'") })
    }

    @Test("names images that are not in the runtime; where no runtime answers they are unknown") func images()
        async throws
    {
        let node = try await RecoveryNode()
        node.containers.present = []
        try await expectRefused(node, .unavailable, naming: [RecoveryNode.image], hint: "--skip-check images")
        node.containers.name = nil
        let error = await #expect(throws: RecoveryError.self) { try await node.recover() }
        #expect(error?.summary.hasPrefix("step 'images-again': waited 20 s for the container runtime") == true)
        let progress = try RecoveryProgress(in: node.store, root: node.root)
        #expect(
            progress.steps.first { $0.name == "images" }?.note == "unknown: no container runtime answers"
        )
    }

    @Test("says where how much room is missing") func space() async throws {
        let node = try await RecoveryNode()
        let data = node.root.appending("var/lib/etcd")
        try Shell.output(
            "mv '\(data)/member' '\(data).aside' && mount -t tmpfs -o size=64k test '\(data)' && cp -a '\(data).aside' '\(data)/member' && rm -r '\(data).aside'"
        )
        try await expectRefused(
            node,
            .cantCreate,
            naming: ["'\(data)'", "needed", "free"],
            hint: "make room"
        )
    }

    @Test("leaves no trace when etcd cannot be restored, wherever that ends", arguments: [1, 2])
    func rehearsal(call: Int) async throws {
        let node = try await RecoveryNode()
        let seen = Counter()
        node.recorder.inject { _ in if seen.next() >= call { throw InjectedFault(call: "restore") } }
        try await expectRefused(node, .ioError, naming: ["step 'rehearse-etcd'", "injected"], hint: "")
        // nor where there was no data directory
        try Shell.output("rm -r '\(node.root)/var/lib/etcd'")
        try await expectRefused(node, .ioError, naming: ["step 'rehearse-etcd'"], hint: "")
    }

    @Test(
        "refuses a damaged recovery point and names the file",
        arguments: [
            "etcd.snapshot.zst", "etc.tar.zst", "etc.files.zst", "static-pods.tar.zst", "kubelet.tar.zst",
            "machine-config.files.zst", "images.json", "manifest.json",
        ]
    )
    func damaged(file: String) async throws {
        let node = try await RecoveryNode()
        let names = try Shell.output("ls '\(node.store)/points/1'")
        let path = "\(node.store)/points/1/\(file)"
        try #require(names.split(separator: "\n").contains(Substring(file)), "\(names)")
        try Shell.output(
            """
            half=$(($(stat -c %s '\(path)') / 2))
            byte=$(od -An -tu1 -j $half -N 1 '\(path)')
            printf "\\\\$(printf %03o $((byte ^ 255)))" | dd of='\(path)' bs=1 seek=$half conv=notrunc status=none
            """
        )
        try await expectRefused(
            node,
            .dataError,
            naming: [file],
            hint: file == "manifest.json" ? "" : "node-backup list"
        ) { $0.generation = 1 }
        try Shell.output("rm '\(path)'")
        try await expectRefused(node, .dataError, naming: [file], hint: "") { $0.generation = 1 }
    }

    @Test("counts the image of the sandboxes, and asks for each image: one damaged record is no matter for the others")
    func sandbox() async throws {
        let node = try await RecoveryNode()
        node.containers.sandbox = SandboxImage(name: "registry.example/pause:3.9", source: .runtime)
        try await expectRefused(node, .unavailable, naming: ["registry.example/pause:3.9"], hint: "--skip-check images")
        node.containers.present.append(
            ContainerImage(
                id: "2",
                tags: ["registry.example/pause:3.9"],
                digests: [],
                sizeBytes: 1,
                isPinned: true,
                usedBy: []
            )
        )
        node.containers.damaged = ["registry.example/other:1"]
        try await node.recover()
    }

    @Test("accepts a host name that is lost or has another form where the machine id is the same, and says so")
    func lostName() async throws {
        for name in ["", "localhost", "node-7.example.com", "NODE-7"] {
            let node = try await RecoveryNode()
            try Shell.output("printf '%s' '\(name)' > '\(node.root)/etc/hostname'")
            try await node.recover()
            #expect(
                node.log.lines.contains { $0.hasPrefix("warning: the host name differs: it is of 'node-7'") },
                "\(name)"
            )
            #expect(try node.read("etc/hostname") == "node-7")
        }
        let other = try await RecoveryNode()
        try Shell.output("echo localhost > '\(other.root)/etc/hostname'; rm '\(other.root)/etc/machine-id'")
        try await expectRefused(other, .config, naming: ["'node-7'"], hint: "--skip-check identity")
    }

    @Test(
        "in a dry run refuses what a run refuses, and writes nothing",
        arguments: ["identity", "images", "archive", ""]
    )
    func dryRun(fault: String) async throws {
        let node = try await RecoveryNode()
        switch fault {
        case "identity": try Shell.output("echo \(String(repeating: "f", count: 32)) > '\(node.root)/etc/machine-id'")
        case "images": node.containers.present = []
        case "archive":
            try Shell.output(
                "printf x | dd of='\(node.store)/points/1/etc.tar.zst' bs=1 seek=40 conv=notrunc status=none"
            )
        default: break
        }
        let look = { try node.tree() + Shell.output("cd '\(node.store)' && find . -printf '%p %T@ %C@ %s\n' | sort") }
        let before = try look()
        let recovery = node.recovery()
        if fault.isEmpty {
            try await recovery.prove()
        } else {
            let error = await #expect(throws: RecoveryError.self) { try await recovery.prove() }
            let run = await #expect(throws: RecoveryError.self) {
                try await RecoveryNode(copying: node, like: node).begin()
            }
            #expect(error?.exitStatus == run?.exitStatus && error?.step == run?.step)
            #expect(error?.hint?.contains("nothing was changed") == true)
        }
        #expect(try look() == before)
        #expect(node.recorder.calls == [])
    }

    @Test("that was cut leaves a node on which a plain run begins anew") func cut() async throws {
        let node = try await RecoveryNode()
        let before = try node.tree()
        do {
            let context = try node.context()
            let proving = RecoverySequence.twoReboots.steps.filter { $0.phase == .prove }
            let sequence = RecoverySequence(name: "proof", steps: proving)
            #expect(try await Sequencer(sequence: sequence, context: context).run() == .completed)
        }
        #expect(try node.hasJournal())
        #expect(try node.tree() != before)  // what is staged
        node.containers.present = []
        // the new one fails while it proves, and clears both away
        await #expect(throws: RecoveryError.self) { try await node.begin() }
        #expect(try node.tree() == before)
        #expect(try !node.hasJournal())
        node.containers.present = [
            ContainerImage(id: "1", tags: [RecoveryNode.image], digests: [], sizeBytes: 1, isPinned: false, usedBy: [])
        ]
        try await node.recover()
    }

    @Test("of a recovery that was restarted keeps the journal when it fails: the node has changed") func restarted()
        async throws
    {
        let node = try await RecoveryNode()
        _ = try await node.begin()
        let half = try node.tree()
        node.containers.present = []
        let error = await #expect(throws: RecoveryError.self) { try await node.restart() }
        #expect(error?.summary.contains("images") == true)
        #expect(try node.hasJournal())
        #expect(try node.tree() == half)
        let again = await #expect(throws: RecoveryError.self) { try await node.begin() }
        #expect(again?.exitStatus == .recoveryUnderWay)
        try await node.goOn(from: try await node.restart { $0.skippedChecks = [.images] })
        #expect(try RecoveryStore(path: node.store).generations() == [1, 2])
        #expect(try node.leftovers() == "")
    }
}
