import Glibc
import TestSupport
import Testing

extension RealNode {
    /// The recovery on a real node: backup, an upgrade that fails, and back.
    @Suite("A node whose upgrade failed") struct RecoveryOnNodeTests {
        @Test("comes back by the documented path, and out again")
        func documentedPath() throws {
            let machine = try Machine()
            let before = try machine.failUpgrade()
            let first = ContinuousClock.now
            let begun = try machine.run("upgrade-recovery")
            #expect(begun.status == 75, "\(begun)")
            #expect(begun.output.contains("paused for a reboot: the node must boot '1.0 ("), "\(begun)")
            // Without the reboot it does not go on, a backup is refused, and a second recovery too.
            let early = try machine.run("upgrade-recovery --resume")
            #expect(early.status == 75 && early.output.contains("has not been rebooted"), "\(early)")
            #expect(try machine.run("node-backup create").status == 79)
            #expect(try machine.run("upgrade-recovery").status == 79)
            try machine.reboot()
            #expect(try machine.output("testbed-version") == "1.0")
            // Whoever logs in now is told why the kubelet does not run, and what to type.
            #expect(try machine.output("systemctl is-active kubelet || true") == "inactive")
            #expect(try machine.output("systemctl is-enabled kubelet") == "enabled")
            let kubelet = try machine.output("systemctl status kubelet || true")
            #expect(kubelet.contains("kubelet.service.d/zz-node-recovery-hold.conf was not met"), "\(kubelet)")
            #expect(try machine.output("cat /etc/motd.d/*").contains("upgrade-recovery --resume"))
            try machine.recover(with: "upgrade-recovery --resume")
            Measured.say("first command to node ready", ContinuousClock.now - first)
            try machine.expectRecovered(to: before)
            // A client that has seen the failed state is told that its past is gone.
            let watched = try machine.watchFromFailedState()
            #expect(watched.contains("too old resource version"), "\(watched)")

            // Back to the state that failed: its deployment, its files, its manifest; the API server does not come.
            var undone = try machine.run("upgrade-recovery --undo --wait-limit 15s", limitSeconds: 240)
            for _ in 0..<2 where undone.status == 75 {
                try machine.reboot()
                undone = try machine.run("upgrade-recovery --resume --wait-limit 15s", limitSeconds: 240)
            }
            #expect(undone.status == 69 && undone.output.contains("waited 15 s for"), "\(undone)")
            #expect(try machine.output("testbed-version") == "2.0")
            #expect(try machine.output("cat /etc/site.conf /etc/left-by-the-upgrade.conf") == "site setting two\nnew")
            #expect(try machine.output("cat /usr/local/upgrade.log") == "what went wrong")
            #expect(try machine.output("grep -c no-such-option /etc/kubernetes/manifests/kube-apiserver.yaml") == "1")
        }

        @Test("comes back by itself, with --reboot")
        func byItself() throws {
            let machine = try Machine()
            let before = try machine.failUpgrade()
            let first = ContinuousClock.now
            let begun = try machine.run("upgrade-recovery --reboot", limitSeconds: 240)
            #expect(begun.status == 75, "\(begun)")
            for _ in 0..<240 {
                if try machine.run("upgrade-recovery --status", limitSeconds: 20).output.contains(", is done.") {
                    break
                }
                machine.waitWhileItBoots()
            }
            Measured.say("first command to node ready, by itself", ContinuousClock.now - first)
            try machine.expectRecovered(to: before)
            #expect(try machine.run("ls /etc/systemd/system/upgrade-recovery-resume.service").status != 0)
            // The last boot's part, as journald has it.
            let entries = try machine.entries("-b -u upgrade-recovery-resume")
            #expect(entries.contains { $0["STEP"].text == "restore-etcd" && $0["PRIORITY"].text == "5" }, "\(entries)")
            #expect(entries.contains { $0["MESSAGE_ID"].text == "a5a5c18e39984145976c7de1a58132b5" }, "\(entries)")
        }
    }
}
