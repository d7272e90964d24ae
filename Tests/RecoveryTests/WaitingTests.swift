import NodeInterface
import Reporting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("A wait of a recovery") struct WaitingTests {
    private func expectInVain(
        _ node: RecoveryNode,
        _ action: (RecoveryContext) async throws -> StepOutcome,
        saw: String
    ) async throws {
        let context = try node.context()
        let error = await #expect(throws: RecoveryError.self) { _ = try await action(context) }
        #expect(error?.exitStatus == .unavailable)
        #expect(error?.summary.hasPrefix("waited 20 s for ") == true, "\(error?.summary ?? "")")
        #expect(error?.summary.hasSuffix(saw) == true, "\(error?.summary ?? "")")
        #expect(error?.hint?.contains("upgrade-recovery --resume") == true)
    }

    private static func ready(_ isReady: Bool = true, heartbeat: String = "2026-11-21T09:00:00Z") -> NodeReadiness {
        NodeReadiness(
            isReady: isReady,
            reason: isReady ? "KubeletReady" : "KubeletNotReady",
            message: isReady ? "" : "no network",
            heartbeat: heartbeat
        )
    }

    @Test("for the API server has a limit and says which checks fail") func api() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.cluster.change { $0.failingChecks = { ["etcd", "poststarthook/rbac"] } }
        try await expectInVain(node, ClusterSteps.waitForAPI, saw: "these checks fail: etcd, poststarthook/rbac")
        node.cluster.change { $0.failingChecks = { throw InjectedFault(call: "connection refused") } }
        try await expectInVain(node, ClusterSteps.waitForAPI, saw: "injected: connection refused")
    }

    @Test("for etcd has a limit, and ends at once when another cluster answers") func etcd() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.etcd.status = { _ in throw InjectedFault(call: "connection refused") }
        try await expectInVain(node, ClusterSteps.waitForEtcd, saw: "injected: connection refused")
        let other = try await RecoveryNode(breaks: false)
        let context = try other.context()
        try context.note(JournalValues(JournalKeys.etcdCluster, HexadecimalNumber(0xABCD)), of: "rehearse-etcd")
        let error = await #expect(throws: RecoveryError.self) { try await ClusterSteps.waitForEtcd(context) }
        #expect(error?.summary == "etcd answers as cluster cafe, but cluster abcd was restored")
    }

    @Test("for the node takes no word of the kubelet from before the recovery") func heartbeat() async throws {
        let node = try await RecoveryNode(breaks: false)
        do {
            let context = try node.context()
            try context.note(.none, of: "start-kubelet")
        }
        node.cluster.change { $0.readiness = { _ in Self.ready(heartbeat: "2026-11-21T02:37:04Z") } }
        try await expectInVain(
            node,
            SettleSteps.waitForNode,
            saw: "Ready, but the last heartbeat (2026-11-21T02:37:04Z) predates the recovery"
        )
        node.cluster.change { $0.readiness = { _ in Self.ready(heartbeat: "2026-11-21T02:37:05Z") } }
        #expect(try await SettleSteps.waitForNode(node.context()) == .done("node 'node-7.example' is ready"))
    }

    @Test("for the node asks by the name in the kubelet's certificate, and says what it last saw") func name()
        async throws
    {
        let node = try await RecoveryNode(breaks: false)
        let asked = Collected()
        node.cluster.change {
            $0.readiness = {
                asked.add($0); return nil
            }
        }
        try await expectInVain(node, SettleSteps.waitForNode, saw: "the cluster has no node 'node-7.example'")
        #expect(Set(asked.all) == ["node-7.example"])
        node.cluster.change { $0.readiness = { _ in Self.ready(false) } }
        try await expectInVain(node, SettleSteps.waitForNode, saw: "KubeletNotReady: no network")
        try Shell.output("rm -r '\(node.root)/var/lib/kubelet/pki'")
        node.cluster.change {
            $0.readiness = {
                asked.add($0); return Self.ready()
            }
        }
        _ = try await SettleSteps.waitForNode(node.context())
        #expect(asked.all.last == "node-7")
    }

    @Test("for the node approves its certificate requests, each once") func requests() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.cluster.change { script in
            script.requests = ["csr-1", "csr-2"].map {
                PendingCertificateRequest(
                    name: $0,
                    signer: "kubernetes.io/kube-apiserver-client-kubelet",
                    requester: "system:node:node-7.example"
                )
            }
        }
        let looks = Counter()
        node.cluster.change { $0.readiness = { _ in looks.next() < 3 ? nil : Self.ready() } }
        _ = try await SettleSteps.waitForNode(node.context())
        #expect(node.recorder.calls == ["approve csr-1", "approve csr-2"])
    }

    @Test("of openshift asks for four operands, also when it runs twice, each until its new revision runs")
    func redeploy() async throws {
        let node = try await RecoveryNode(.openshift, breaks: false)
        let context = try node.context()
        let names = ["etcd", "kubeapiserver", "kubecontrollermanager", "kubescheduler"]
        let done = StepOutcome.done(
            "etcd at revision 8, kube-apiserver at revision 8, kube-controller-manager at revision 8, "
                + "kube-scheduler at revision 8"
        )
        #expect(try await SettleSteps.redeploy(context) == done)
        let calls = node.recorder.calls
        #expect(calls == names.map { "redeploy \($0) recovery-00112233445566ff-of-revision-7" })
        #expect(try await SettleSteps.redeploy(context) == done)
        #expect(node.recorder.calls == calls)
    }

    @Test("for an operand says what its installer says, and takes no other recovery's rollout for its own")
    func rollout() async throws {
        let node = try await RecoveryNode(.openshift, breaks: false)
        node.cluster.change { script in
            script.revisionsForAsking = 0
            script.rollouts["etcd"] = OperandRollout(
                reason: "recovery-ffeeddccbbaa9988-of-revision-3",
                latestRevision: 9,
                currentRevisions: [9, 8],
                message: "2 nodes are at revision 9"
            )
        }
        try await expectInVain(
            node,
            SettleSteps.redeploy,
            saw: "revision 8 is still running: 2 nodes are at revision 9"
        )
        #expect(node.recorder.calls == ["redeploy etcd recovery-00112233445566ff-of-revision-9"])
        node.cluster.change { $0.rollouts["etcd"]?.currentRevisions = [] }
        try await expectInVain(node, SettleSteps.redeploy, saw: "no revision is running: 2 nodes are at revision 9")
        #expect(node.recorder.calls.count == 1)
        // A node that is rolled out, and another that is not.
        node.cluster.change { $0.rollouts["etcd"]?.currentRevisions = [10, 9] }
        try await expectInVain(
            node,
            SettleSteps.redeploy,
            saw: "revision 9 is still running: 2 nodes are at revision 9"
        )
    }

    @Test("for operators lasts until they have settled") func settled() async throws {
        let node = try await RecoveryNode(.openshift, breaks: false)
        let context = try node.context()
        let seen = Counter()
        node.cluster.change { script in
            script.operators = {
                let settled = seen.next() >= 3
                return [
                    ClusterOperatorState(
                        name: "dns",
                        isAvailable: true,
                        isProgressing: false,
                        isDegraded: false,
                        message: ""
                    ),
                    ClusterOperatorState(
                        name: "etcd",
                        isAvailable: true,
                        isProgressing: !settled,
                        isDegraded: false,
                        message: "1 node is at revision 7"
                    ),
                ]
            }
        }
        #expect(try await SettleSteps.waitOperators(context) == .done("all 2 operators have settled"))
        #expect(seen.value == 3)
    }

    @Test("for operators has a limit and names those that have not settled") func operators() async throws {
        let node = try await RecoveryNode(.openshift, breaks: false)
        node.cluster.change { script in
            script.operators = {
                [
                    ClusterOperatorState(
                        name: "etcd",
                        isAvailable: false,
                        isProgressing: true,
                        isDegraded: true,
                        message: "broken"
                    )
                ]
            }
        }
        try await expectInVain(node, SettleSteps.waitOperators, saw: "etcd: broken")
        node.cluster.change { $0.operators = { [] } }
        try await expectInVain(node, SettleSteps.waitOperators, saw: "the cluster lists no operators")
    }

    @Test("ends at once when the program is stopped, and --resume goes on") func stopped() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.cluster.change { $0.readiness = { _ in throw Stopped(reason: .signal(15)) } }
        let error = await #expect(throws: RecoveryError.self) { try await node.begin() }
        #expect(error?.exitStatus == .tempFail)
        #expect(error?.hint?.contains("upgrade-recovery --resume") == true)
        node.cluster.change { $0.readiness = { _ in Self.ready() } }
        #expect(try await node.resume() == .completed)
    }
}
