import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

/// The files of these nodes are as the recovery point has them, so that nothing else asks for a reboot.
@Suite("Pods that no container runtime can stop") struct PodsLeftTests {
    private static let reboot = RecoveryEnding.needsReboot(
        step: "reboot",
        reason: "pods of the failed state may still be running"
    )

    private func note(_ node: RecoveryNode, _ step: String) throws -> String? {
        try RecoveryProgress(in: node.store, root: node.root).steps.first { $0.name == step }?.note
    }

    /// What a --restart would remember.
    private func lasting(_ node: RecoveryNode) throws -> Bool? {
        try #require(try StepJournal.open(in: node.store)).lasting[JournalKeys.podsLeft]
    }

    private func stopped(_ node: RecoveryNode) -> [String] { node.recorder.calls.filter { $0.hasPrefix("stop pod") } }

    @Test("end with a reboot that is asked for though no file has changed, and only once") func silent() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.pods.answers(false)
        #expect(try await node.begin() == Self.reboot)
        #expect(
            try note(node, "stop-pods") == "no container runtime answers; running pods will end at the reboot"
        )
        #expect(stopped(node) == [])
        // nothing of the cluster changes before it
        #expect(try node.read("var/lib/etcd/member/snap/db") == "first")
        let early = await #expect(throws: RecoveryError.self) { try await node.resume() }
        #expect(early?.exitStatus == .tempFail)
        try node.boot("boot-2")
        #expect(try await node.resume() == .completed)
        #expect(try node.read("var/lib/etcd/member/snap/db") == "restored")
    }

    @Test("are none where the runtime answers: it stops them, and no reboot is asked for") func answering() async throws
    {
        let node = try await RecoveryNode(breaks: false)
        #expect(try await node.begin() == .completed)
        #expect(stopped(node) == ["stop pod p-dns", "stop pod p-etcd"])
        #expect(try note(node, "reboot") == "no file has changed")
    }

    @Test("are none where the runtime refuses at first, as after a boot; one that goes on refusing is named")
    func refusing() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.pods.refuses(3)
        #expect(try await node.begin() == .completed)
        #expect(stopped(node) == ["stop pod p-dns", "stop pod p-etcd"])

        let other = try await RecoveryNode(breaks: false)
        other.pods.refuses(1_000_000)
        let error = try #require(await #expect(throws: RecoveryError.self) { try await other.begin() })
        #expect(error.summary.contains("the container runtime to list its pods") && error.summary.contains("list pods"))
        #expect(error.hint?.contains("crictl pods") == true)
        #expect(stopped(other) == [])
        other.pods.refuses(0)
        #expect(try await other.resume() == .completed)
    }

    @Test("still ask for it with --restart and with --resume, until the node has booted") func restarted() async throws
    {
        let node = try await RecoveryNode(breaks: false)
        node.pods.answers(false)
        #expect(try await node.begin() == Self.reboot)
        #expect(try await node.restart() == Self.reboot)
        // A restart that fails before it comes to the pods remembers them as well.
        node.recorder.inject { if $0 == "stop kubelet.service" { throw InjectedFault(call: $0) } }
        await #expect(throws: RecoveryError.self) { try await node.restart() }
        node.recorder.inject(nil)
        #expect(try lasting(node) == true)
        #expect(try await node.resume() == Self.reboot)
        try node.boot("boot-2")
        #expect(try await node.resume() == .completed)
    }

    @Test("are forgotten after the reboot, also by --restart") func forgotten() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.pods.answers(false)
        #expect(try await node.begin() == Self.reboot)
        try node.boot("boot-2")
        node.recorder.inject { if $0 == "start kubelet.service" { throw InjectedFault(call: $0) } }
        let error = await #expect(throws: RecoveryError.self) { try await node.resume() }
        #expect(error?.step == "start-kubelet")
        #expect(try lasting(node) == nil)
        node.recorder.inject(nil)
        // The boot has started the runtime, but for its pods the kubelet is held.
        node.pods = ScriptedPods([], recorder: node.recorder)
        #expect(try await node.restart() == .completed)
        #expect(try note(node, "reboot") == "no file has changed")
    }

    @Test("are stopped by a --restart that finds the runtime answering, and then no reboot is asked for")
    func answersLater() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.pods.answers(false)
        #expect(try await node.begin() == Self.reboot)
        node.pods.answers(true)
        #expect(try await node.restart() == .completed)
        #expect(stopped(node) == ["stop pod p-dns", "stop pod p-etcd"])
        #expect(try note(node, "stop-pods") == "2 pods stopped and removed")
    }

    @Test("end with the reboot where one cannot be killed: the others are removed, and the runtime is stopped")
    func stuck() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.pods.sticks("p-dns")
        #expect(try await node.begin() == Self.reboot)
        #expect(
            try note(node, "stop-pods")
                == "1 pod stopped and removed; kube-system/dns did not stop: the container runtime was stopped, the reboot ends it"
        )
        let calls = node.recorder.calls
        #expect(calls.contains("remove pod p-etcd") && !calls.contains("remove pod p-dns"))
        #expect(node.log.lines.contains { $0.hasPrefix("warning: kube-system/dns: could not stop the pod sandbox") })
        node.startPods()
        try await node.goOn(from: Self.reboot)
    }
}
