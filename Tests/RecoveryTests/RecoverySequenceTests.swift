import Testing

@testable import Recovery

@Suite("The sequence of a recovery") struct RecoverySequenceTests {
    @Test("has names that journals in the field hold: never renamed, never reused, in this order")
    func names() {
        #expect(
            RecoverySequence.steps.map { "\($0.phase.rawValue) \($0.name)" } == [
                "prove verify", "prove identity", "prove certificates", "prove images", "prove bootable",
                "prove space", "prove rehearse-etcd",
                "files keep-failed-state", "files deployment", "files hold-kubelet", "files stop-kubelet",
                "files stop-pods", "files stop-runtime", "files restore-usr-local", "files restore-etc",
                "files restore-machine-config", "files reload-units", "files reboot",
                "cluster restore-kubelet", "cluster restore-etcd", "cluster restore-static-pods",
                "cluster start-runtime", "cluster start-kubelet", "cluster wait-etcd", "cluster wait-api",
                "settle wait-node", "settle redeploy", "settle wait-operators", "settle tidy",
            ]
        )
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
            ]
        )
    }
}
