import Glibc
import TestSupport
import Testing

/// The recovery on a real node: backup, an upgrade that fails, and back.
@Suite("A node whose upgrade failed", .serialized, .enabled(if: Tier.machine.isWanted, Tier.machine.comment))
struct RecoveryOnNodeTests {
    /// What a node was like when its recovery point was taken.
    private struct Before {
        var files: String
        var objects: String
        var deployment: String
    }

    /// Takes a recovery point, then upgrades the operating system, the files and the static pods so that the API server
    /// never becomes ready, and boots that.
    private func failUpgrade(of machine: Machine) throws -> Before {
        try machine.waitUntilReady()
        try machine.output(
            "for n in keep changed gone; do kubectl create configmap $n --from-literal=at=backup > /dev/null; done"
        )
        try machine.output("node-backup create --quiet")
        let before = Before(
            files: try machine.files(),
            objects: try machine.objects(),
            deployment: try #require(try machine.boots().last)
        )
        try machine.output(
            """
            set -e
            echo 'site setting two' > /etc/site.conf
            echo new > /etc/left-by-the-upgrade.conf
            rm /etc/testbed.conf
            echo 'echo site tool two' > /usr/local/bin/site-tool
            chmod 600 /etc/hosts
            kubectl delete configmap gone > /dev/null
            kubectl create configmap later --from-literal=at=upgrade > /dev/null
            kubectl patch configmap changed -p '{"data":{"at":"upgrade"}}' > /dev/null
            sed -i 's/--secure-port=6443/--no-such-option/' /etc/kubernetes/manifests/kube-apiserver.yaml
            # The last of all: it takes /etc as it is now into the new deployment.
            ostree admin deploy --os=node node/2.0 > /dev/null
            """
        )
        try machine.reboot()
        #expect(try machine.output("testbed-version") == "2.0")
        return before
    }

    private func expectRecovered(_ machine: Machine, _ before: Before) throws {
        try machine.waitUntilReady()
        #expect(try machine.objects() == before.objects)
        #expect(try machine.files() == before.files)
        #expect(try machine.boots().last == before.deployment)
        #expect(try machine.output("systemctl is-enabled kubelet") == "enabled")
        #expect(try machine.output("ls /etc/kubernetes/manifests | wc -l") == "4")
        let members = try machine.output(
            """
            ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt \
                --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key member list
            """
        )
        #expect(members.split(separator: "\n").count == 1 && members.contains(" sno, "), "\(members)")
        #expect(try machine.run("upgrade-recovery --status").output.contains(", is done."))
        // The node goes on: it takes the next recovery point.
        try machine.output("kubectl create configmap after-it > /dev/null && node-backup create --quiet")
    }

    /// Runs the recovery to its end as the runbook says: reboot when it asks, then --resume.
    private func finish(_ machine: Machine, first command: String) throws {
        var command = command
        for _ in 0..<6 {
            let result = try machine.run(command, limitSeconds: 240)
            if result.status == 0 { return }
            try #require(result.status == 75 && result.output.contains("systemctl reboot"), "\(command): \(result)")
            try machine.reboot()
            command = "upgrade-recovery --resume"
        }
        Issue.record("the recovery asks for reboots without end")
    }

    @Test("comes back by the documented path, and out again")
    func documentedPath() throws {
        let machine = try Machine()
        let before = try failUpgrade(of: machine)
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
        #expect(try machine.output("systemctl is-active kubelet || true") == "inactive")
        try finish(machine, first: "upgrade-recovery --resume")
        try expectRecovered(machine, before)

        // Back to the state that failed: its deployment, its files, its manifest; the API server does not come.
        var undone = try machine.run("upgrade-recovery --undo --wait-limit 15s", limitSeconds: 240)
        for _ in 0..<2 where undone.status == 75 {
            try machine.reboot()
            undone = try machine.run("upgrade-recovery --resume --wait-limit 15s", limitSeconds: 240)
        }
        #expect(undone.status == 69 && undone.output.contains("waited 15 s for"), "\(undone)")
        #expect(try machine.output("testbed-version") == "2.0")
        #expect(try machine.output("cat /etc/site.conf /etc/left-by-the-upgrade.conf") == "site setting two\nnew")
        #expect(try machine.output("grep -c no-such-option /etc/kubernetes/manifests/kube-apiserver.yaml") == "1")
    }

    @Test("comes back by itself, with --reboot")
    func byItself() throws {
        let machine = try Machine()
        let before = try failUpgrade(of: machine)
        let begun = try machine.run("upgrade-recovery --reboot", limitSeconds: 240)
        #expect(begun.status == 75, "\(begun)")
        for _ in 0..<240 {
            if try machine.run("upgrade-recovery --status", limitSeconds: 20).output.contains(", is done.") { break }
            usleep(500_000)
            _ = try Shell.run("'\(testbed("node-machine"))' wait '\(machine.directory)' 2>/dev/null")
        }
        try expectRecovered(machine, before)
        #expect(try machine.run("ls /etc/systemd/system/upgrade-recovery-resume.service").status != 0)
    }

    /// On trial: until the cuts have been seen to pass again and again they run
    /// only with `NODE_RECOVERY_TRIAL=1`.
    @Test(
        "comes back when its power is cut in the middle of a phase",
        .enabled(if: getenv("NODE_RECOVERY_TRIAL") != nil, "on trial: run it with NODE_RECOVERY_TRIAL=1"),
        arguments: ["rehearse-etcd", "keep-failed-state", "restore-etc", "start-kubelet", "wait-node"]
    )
    func powerCut(step: String) throws {
        let machine = try Machine()
        let before = try failUpgrade(of: machine)
        try cut(machine, at: step)
        let isUnderWay = try !machine.journal().isEmpty
        let hasBegunChanging = try machine.journal().contains("keep-failed-state")
        try finish(machine, first: isUnderWay && hasBegunChanging ? "upgrade-recovery --resume" : "upgrade-recovery")
        try expectRecovered(machine, before)
    }

    /// Runs the recovery as far as a step, and cuts the power as soon as the journal has its beginning.
    private func cut(_ machine: Machine, at step: String) throws {
        var command = "upgrade-recovery"
        for _ in 0..<4 {
            // Started by systemd, so that it does not hang on the test.
            try machine.output("systemd-run --quiet --unit=recovery --collect \(command)")
            for _ in 0..<1200 {
                let journal = try machine.journal()
                if journal.contains("\"step\":\"\(step)\"") { return try machine.cutPower() }
                if journal.split(separator: "\n").last?.contains("\"event\":\"paused\"") == true { break }
                usleep(50_000)
            }
            for _ in 0..<40 where try machine.run("systemctl is-active recovery").status == 0 { usleep(100_000) }
            try machine.reboot()
            command = "upgrade-recovery --resume"
        }
        Issue.record("the recovery never came to '\(step)'")
    }
}
