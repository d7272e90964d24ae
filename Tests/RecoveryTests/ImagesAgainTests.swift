import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("Images that a boot can cost") struct ImagesAgainTests {
    private static let image = ContainerImage(
        id: "1",
        tags: [RecoveryNode.image],
        digests: [],
        sizeBytes: 1,
        isPinned: false,
        usedBy: []
    )

    private func note(_ node: RecoveryNode, _ step: String) throws -> String? {
        try RecoveryProgress(in: node.store, root: node.root).steps.first { $0.name == step }?.note
    }

    @Test(
        "stop the recovery before etcd is touched, after every boot, until they are back or a registry is said to have them"
    )
    func lost() async throws {
        let node = try await RecoveryNode()
        _ = try await node.begin()
        let failed = try node.read("var/lib/etcd/member/snap/db")
        node.containers.present = []
        for boot in ["boot-2", "boot-3"] {
            try node.boot(boot)
            let error = await #expect(throws: RecoveryError.self) { try await node.resume() }
            #expect(error?.step == "images-again" && error?.exitStatus == .unavailable)
            #expect(error?.summary.contains("gone since the boot, etcd was not touched") == true)
            #expect(error?.hint?.contains("'upgrade-recovery --resume --skip-check images'") == true)
            #expect(try node.read("var/lib/etcd/member/snap/db") == failed)
        }
        node.containers.present = [Self.image]
        // a power cut before etcd is replaced: asked again
        node.recorder.inject { if $0 == "restore etcd" { throw InjectedFault(call: $0) } }
        try Shell.output("rm -r '\(node.root)'/var/lib/etcd/.node-recovery-*")
        let cut = await #expect(throws: RecoveryError.self) { try await node.resume() }
        #expect(cut?.step == "restore-etcd")
        node.recorder.inject(nil)
        node.containers.present = []
        try node.boot("boot-4")
        let again = await #expect(throws: RecoveryError.self) { try await node.resume() }
        #expect(again?.step == "images-again")
        #expect(try RecoveryProgress(in: node.store, root: node.root).next == "images-again")
        #expect(try await node.resume { $0.skippedChecks = [.images] } == .completed)
    }

    @Test("are not asked for again without a boot, nor once etcd is replaced") func once() async throws {
        let node = try await RecoveryNode(breaks: false)
        #expect(try await node.begin() == .completed)
        #expect(try note(node, "images-again") == "the node has not booted since they were checked")
        let later = try await RecoveryNode()
        _ = try await later.begin()
        try later.boot("boot-2")
        later.recorder.inject { if $0 == "start kubelet.service" { throw InjectedFault(call: $0) } }
        await #expect(throws: RecoveryError.self) { try await later.resume() }
        later.recorder.inject(nil)
        later.containers.present = []
        try later.boot("boot-3")
        #expect(try await later.resume() == .completed)
    }

    @Test(
        "are kept by CRI-O meanwhile: by a mark in /etc, that goes with what would have the next start take it for a power cut"
    )
    func mark() async throws {
        let node = try await RecoveryNode()
        try Shell.output(
            "mkdir -p '\(node.root)/var/lib/crio' && touch '\(node.root)/var/lib/crio/clean.shutdown.supported'"
        )
        let path = "etc/crio/crio.conf.d/99-node-recovery"
        _ = try await node.begin()
        #expect(try node.read(path).hasSuffix("[crio]\nclean_shutdown_file = \"\""))
        try node.boot("boot-2")
        #expect(try await node.resume() == .completed)
        #expect(try Shell.output("ls -d '\(node.root)/etc/crio' 2> /dev/null || true") == "")
        #expect(try Shell.output("ls '\(node.root)/var/lib/crio'") == "")
    }

    @Test("need no mark where CRI-O is not installed") func noMark() async throws {
        let node = try await RecoveryNode(units: ["kubelet.service", "containerd.service"])
        _ = try await node.begin()
        #expect(try Shell.output("ls -d '\(node.root)/etc/crio' 2> /dev/null || true") == "")
        try node.boot("boot-2")
        #expect(try await node.resume() == .completed)
    }
}
