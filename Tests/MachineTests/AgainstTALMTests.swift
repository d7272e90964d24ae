import Glibc
import SystemPackage
import TestSupport
import Testing

extension RealNode {
    /// The control: the failed upgrade of the other tests, recovered by TALM's order of commands.
    ///
    /// The commands are scripts/testbed/talm-order; what comes out stands in docs/against-talm.md.
    @Suite("The same node recovered by TALM's order of commands") struct AgainstTALMTests {
        private let order = "env PATH=/run/testbed/tools:$PATH /run/testbed/talm-order"
        private let directory = "/var/recovery/talm"

        @Test("becomes ready, and keeps what a recovery leaves nothing of")
        func control() throws {
            let machine = try Machine()
            try machine.bring("rsync")
            try Shell.output("cp '\(testbed("talm-order"))' '\(machine.directory)/bin/'")
            try machine.waitUntilReady()
            try compareBackups(on: machine)

            let backup = "\(order) backup \(directory) > /dev/null && node-backup create --quiet"
            let before = try machine.failUpgrade(afterBackup: backup)
            try secretsOfPods(on: machine)

            let first = ContinuousClock.now
            try machine.output("\(order) rollback")
            try machine.reboot()
            #expect(try machine.boots().last == before.deployment)
            try machine.output("\(order) files \(directory)")
            // What somebody sees who logs in now, and after a power cut: a kubelet that is off.
            try machine.reboot()
            #expect(try machine.output("systemctl is-enabled kubelet || true") == "disabled")
            #expect(try machine.output("systemctl status kubelet || true").contains("recovery") == false)
            #expect(try machine.run("ls /etc/motd.d/*").status != 0)
            try machine.output("\(order) cluster \(directory)")
            try machine.waitUntilReady()
            Measured.say("first command to node ready, TALM's order", ContinuousClock.now - first)

            #expect(try machine.objects() == before.objects)
            try leftovers(on: machine, before)
            try revision(on: machine)
            try powerCut(on: machine)
            try damage(on: machine)
        }

        /// Deployments by index, and a backup that fails: what is left of the earlier one.
        private func compareBackups(on machine: Machine) throws {
            try machine.output(
                "ostree admin deploy --os=node --not-as-default node/1.0 > /dev/null && ostree admin pin 1"
            )
            let pins = "ostree admin status | grep -c 'Pinned: yes'"
            try machine.output("node-backup create --quiet")
            #expect(try machine.output(pins) == "2")
            try machine.output("\(order) backup \(directory) > /dev/null")
            #expect(try machine.output(pins) == "1")

            // Nobody listens there.
            let ours = try machine.run("node-backup create --quiet --etcd-endpoint https://127.0.0.1:1")
            #expect(ours.status == 69, "\(ours)")
            #expect(try machine.run("node-backup verify --quiet 1").status == 0)
            // Theirs waits without an end: only the job's deadline (480 s) ends it.
            let theirs = try machine.run("ENDPOINT=https://127.0.0.1:1 timeout 5 \(order) backup \(directory)")
            #expect(theirs.status == 124, "\(theirs)")
            #expect(try machine.output("ls -A \(directory)") == "cluster")
            #expect(try machine.output("find \(directory) -name '*.db' | wc -l") == "0")
        }

        /// What a pod holds in memory lies in the copy of the kubelet's directory; in a recovery point it is left out.
        private func secretsOfPods(on machine: Machine) throws {
            #expect(
                try machine.output("cat \(directory)/kubelet/pods/*/volumes/*/memory/secret") == "held in memory only"
            )
            try machine.output("node-backup extract 2 kubelet --to /run/kubelet-of-point")
            #expect(try machine.output("find /run/kubelet-of-point -name memory | wc -l") != "0")
            #expect(try machine.output("find /run/kubelet-of-point -name secret -type f | wc -l") == "0")
            #expect(try machine.output("find /run/kubelet-of-point -name token | wc -l") == "0")
            #expect(try machine.output("find \(directory)/kubelet -name token | wc -l") != "0")
        }

        /// Files and pods of the recovered node that are not what they were.
        private func leftovers(on machine: Machine, _ before: Before) throws {
            // A static pod that the upgrade has added goes on.
            #expect(try machine.output("ls /etc/kubernetes/manifests").contains("upgrade-agent.yaml"))
            let task = "ctr -n k8s.io containers ls -q 'labels.\"io.kubernetes.container.name\"==upgrade-agent'"
            let runs = "ctr -n k8s.io tasks ls | grep RUNNING | grep -qF \"$(\(task))\""
            try machine.output(
                "for i in $(seq 60); do [ -n \"$(\(task))\" ] && \(runs) && exit 0; sleep 0.5; done; exit 1"
            )
            // What was held in memory only is on the node's disk now, below the mount.
            try machine.output("mkdir -p /run/below && mount --bind /var /run/below")
            #expect(
                try machine.output("cat /run/below/lib/kubelet/pods/*/volumes/*/memory/secret") == "held in memory only"
            )
            try machine.output("umount /run/below")
            // Every file that was written has the time of the recovery; hard links and holes are lost.
            let after = try machine.files().split(separator: "\n")
            let was = Set(before.files.split(separator: "\n"))
            let different = after.filter { !was.contains($0) }.compactMap { $0.split(separator: " ").first }
            for path in ["etc/site.conf", "etc/testbed.conf", "usr/local/bin/site-tool", "usr/local/bin/site-tool-too"]
            {
                #expect(different.contains { $0 == path }, "\(different)")
            }
            #expect(try machine.output("stat -c %h /usr/local/bin/site-tool") == "1")
            #expect(try machine.blocksOfHole() > 10_000)
            // What the upgrade had written about itself is deleted, and nowhere kept.
            #expect(try machine.run("find /usr/local/ /var -name 'upgrade.log' | grep .").status != 0)
        }

        /// A client that has seen the failed state is not told that its past is gone, and misses what happens.
        private func revision(on machine: Machine) throws {
            let seen = try #require(Int(try machine.output("cat /var/lib/seen-by-a-client")))
            let watched = try machine.watchFromFailedState()
            let now = "kubectl get configmap watched -o 'jsonpath={.metadata.resourceVersion}'"
            try #require(try #require(Int(try machine.output(now))) < seen)
            #expect(watched == "", "\(watched)")
        }

        /// The pod that restores etcd does it once.
        private func powerCut(on machine: Machine) throws {
            try machine.cutPower()
            let log = "grep -h 'contents of the data directory' /var/log/pods/kube-system_etcd-sno_*/etcd/*.log"
            try machine.output("for i in $(seq 60); do \(log) && exit 0; sleep 0.5; done; exit 1")
            #expect(try machine.run("kubectl get --raw /readyz --request-timeout=2s").status != 0)
        }

        /// A snapshot with one byte flipped: it passes, and the data that it was to replace has been moved away.
        private func damage(on machine: Machine) throws {
            let flip = "dd bs=1 count=1 conv=notrunc 2> /dev/null"
            let snapshot = "\(directory)/cluster/snapshot*.db"
            // In the digest at its end, as any other byte could be.
            try machine.output("f=$(ls \(snapshot)); printf '\\377\\0' | \(flip) of=$f seek=$(($(stat -c %s $f) - 9))")
            #expect(try machine.run("ETCDCTL_API=3 etcdctl snapshot status \(snapshot)").status == 0)
            // Phase 1 has stopped everything when this begins.
            let tasks = "ctr -n k8s.io tasks"
            _ = try machine.run("systemctl stop kubelet; \(tasks) ls -q | xargs -r \(tasks) rm -f")
            _ = try machine.run("LIMIT=5 \(order) cluster \(directory)")
            let log = "grep -h 'expected sha256' /var/log/pods/kube-system_etcd-sno_*/etcd/*.log"
            try machine.output("for i in $(seq 60); do \(log) && exit 0; sleep 0.5; done; exit 1")
            #expect(try machine.run("ls -d /var/lib/etcd/member").status != 0)

            let files = try machine.files()
            try machine.output(
                "f=/var/recovery/points/2/etcd.snapshot.zst; printf '\\377\\0' | \(flip) of=$f seek=4000"
            )
            let ours = try machine.run("upgrade-recovery")
            #expect(ours.status == 65 && ours.output.contains("is damaged"), "\(ours)")
            #expect(try machine.files() == files)
        }
    }
}
