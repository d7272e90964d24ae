import NodeInterface
import Testing

@testable import Recovery

@Suite("The sequence of a recovery") struct RecoverySequenceTests {
    @Test("has names that journals in the field hold: never renamed, never reused, in this order")
    func names() {
        #expect(
            RecoverySequence.twoReboots.steps.map { "\($0.phase.rawValue) \($0.name)" } == [
                "prove verify", "prove identity", "prove certificates", "prove images", "prove bootable",
                "prove space", "prove rehearse-etcd",
                "files keep-failed-state", "files deployment", "files hold-kubelet", "files stop-kubelet",
                "files stop-pods", "files stop-runtime", "files restore-usr-local", "files restore-etc",
                "files restore-machine-config", "files reload-units", "files reboot",
                "cluster images-again", "cluster restore-kubelet", "cluster restore-etcd",
                "cluster restore-static-pods",
                "cluster start-runtime", "cluster start-kubelet", "cluster wait-etcd", "cluster wait-api",
                "settle wait-node", "settle redeploy", "settle wait-operators", "settle tidy",
            ]
        )
    }

    @Test("has what must hold for a step in its row, and tells it in the listing") func conditions() {
        let listing = RecoverySequence.twoReboots.listing
        let rows = listing.filter { !$0.conditions.isEmpty }.map {
            "\($0.name): \($0.conditions.joined(separator: "; "))"
        }
        #expect(
            rows == [
                "identity: no --skip-check identity", "certificates: control plane",
                "images: control plane; no --skip-check images",
                "bootable: ostree, component deployment, no --force", "space: no --skip-check space",
                "rehearse-etcd: component etcd", "keep-failed-state: no --without-undo",
                "deployment: ostree, component deployment, no --force", "hold-kubelet: running system",
                "stop-kubelet: running system", "stop-pods: running system", "stop-runtime: running system",
                "restore-usr-local: component usr-local", "restore-etc: component etc",
                "restore-machine-config: component machine-config", "reload-units: running system",
                "reboot: running system",
                "images-again: running system; control plane; no --skip-check images",
                "restore-kubelet: component kubelet",
                "restore-etcd: component etcd or a kept member", "restore-static-pods: component static-pods",
                "start-runtime: running system", "start-kubelet: running system",
                "wait-etcd: running system; component etcd", "wait-api: running system; control plane",
                "wait-node: running system; control plane", "redeploy: running system; openshift",
                "wait-operators: running system; openshift",
            ]
        )
        #expect(listing.allSatisfy { $0.skipped == nil })
    }

    @Test("says in its plan which steps have nothing to do on this node, and why; a recovery skips the same ones")
    func plan() async throws {
        let node = try await RecoveryNode(.plain)
        node.isRunning = false
        let change = { (request: inout RecoveryRequest) in
            request.skippedChecks = [.space]
            request.keepsFailedState = false
        }
        let plan = try await node.recovery(change).plan()
        let skipped = plan.steps.filter { $0.skipped != nil }
        let reasons = Dictionary(uniqueKeysWithValues: skipped.map { ($0.name, $0.skipped) })
        #expect(reasons["space"] == "left out with --skip-check space")
        #expect(reasons["keep-failed-state"] == "left out with --without-undo")
        #expect(reasons["images"] == "the profile is plain")
        #expect(reasons["reboot"] == "--root is not the running system; its units were not touched")
        #expect(reasons["restore-etc"] == nil)
        #expect(try await node.begin(change) == .completed)
        let steps = try RecoveryProgress(in: node.store, root: node.root).steps
        #expect(steps.filter { $0.state == "skipped" }.map(\.name) == skipped.map(\.name))
        #expect(steps.filter { $0.state == "skipped" }.map(\.note) == skipped.map(\.skipped))
    }

    @Test("leaves alone, while it restores, what it has put on the node itself")
    func exclusions() {
        let patterns = RestoreExclusions.rows.map { "\($0.component) \($0.pattern)" }
        #expect(
            patterns == [
                "etc etc/.updated",
                "etc etc/systemd/system/kubelet.service.d/zz-node-recovery-hold.conf",
                "etc etc/systemd/system/upgrade-recovery-resume.service",
                "etc etc/systemd/system/multi-user.target.wants/upgrade-recovery-resume.service",
                "etc etc/motd.d/node-recovery",
                "etc etc/crio/crio.conf.d/99-node-recovery",
            ]
        )
    }
}
