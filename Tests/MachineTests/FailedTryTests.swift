import TestSupport
import Testing

extension RealNode {
    @Suite("A recovery that fails") struct FailedTryTests {
        /// Expects that a try ended with its own status and says what to do.
        private func expectFailure(
            _ result: Machine.Result,
            _ status: Int32,
            says: [String],
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(result.status == status, "\(result)", sourceLocation: sourceLocation)
            for text in says {
                #expect(result.output.contains(text), "'\(text)' is not in: \(result)", sourceLocation: sourceLocation)
            }
        }

        @Test("says why and what to type, whatever is in its way, and that brings the node back")
        func obstacles() throws {
            let machine = try Machine()
            let before = try machine.failUpgrade()
            try fullPartition(machine)
            try fullDisk(machine)
            try missingSocket(machine)
            try takenPort(machine)

            // From the first step once more, on a node that has most of it behind it.
            try machine.output("rm /var/recovery/filler")
            let restarted = try machine.run("upgrade-recovery --restart", limitSeconds: 240)
            #expect(restarted.output.contains("Forgot the steps verify, "), "\(restarted)")
            if restarted.status != 0 {
                #expect(restarted.status == 75, "\(restarted)")
                try machine.reboot()
                try machine.recover(with: "upgrade-recovery --resume")
            }
            try machine.expectRecovered(to: before)
            // The failed state is the one from before the first try.
            #expect(
                try machine.output("node-backup list --json | jq '[.[] | select(.failed_state_before)] | length'")
                    == "1"
            )
        }

        /// The recovery partition is all but full, then full: nothing changes, no recovery is under way, and nothing is
        /// called damaged.
        private func fullPartition(_ machine: Machine) throws {
            let upgraded = try machine.files()
            try machine.output(
                "cd /var/recovery; dd if=/dev/zero of=filler bs=64k 2> /dev/null; truncate -s -1M filler"
            )
            expectFailure(
                try machine.run("upgrade-recovery"),
                73,
                says: [
                    "not enough space at '/var/recovery'", "nothing was changed; make room there",
                    "'node-backup prune --keep 1'", "--without-undo",
                ]
            )
            try machine.output("cd /var/recovery; dd if=/dev/zero of=more bs=4k 2> /dev/null || true")
            expectFailure(
                try machine.run("upgrade-recovery"),
                73,
                says: ["'/var/recovery/journal': No space left on device", "'node-backup prune --keep 1'"]
            )
            let verified = try machine.run("node-backup verify")
            expectFailure(verified, 0, says: ["continuing without the record"])
            #expect(try machine.run("node-backup prune --keep 1").status == 0)
            #expect(try machine.files() == upgraded)
            #expect(try machine.journal() == "")
            expectFailure(try machine.run("upgrade-recovery --resume"), 66, says: ["no recovery is under way"])

            // What a backup that was cut has left is no obstacle.
            try machine.output(
                "cd /var/recovery; rm more; mkdir points/9.partial; mv filler points/9.partial/etcd.snapshot.zst"
            )
            expectFailure(
                try machine.run("upgrade-recovery"),
                75,
                says: ["Removed '9.partial'", "paused for a reboot"]
            )
            try machine.reboot()
        }

        /// A disk fills up when the recovery has begun.
        ///
        /// What is in its way is told again by --restart, which knows that the node is not as it was.
        private func fullDisk(_ machine: Machine) throws {
            try machine.output(
                """
                set -e
                mkdir /run/small
                cp -a /var/usrlocal/. /run/small/
                mount -t tmpfs -o size=64k,mode=755 small /var/usrlocal
                cp -a /run/small/. /var/usrlocal/
                dd if=/dev/zero of=/var/usrlocal/filler bs=4k 2> /dev/null || true
                """
            )
            expectFailure(
                try machine.run("upgrade-recovery --resume"),
                73,
                says: [
                    "step 'restore-usr-local': ", "'/var/usrlocal", "make room there ('df -h; df -i'",
                    "then 'upgrade-recovery --resume'",
                ]
            )
            expectFailure(
                try machine.run("upgrade-recovery --restart"),
                73,
                says: [
                    "not enough space at '", "this attempt changed nothing, earlier ones did; make room there",
                    "'upgrade-recovery --restart'",
                ]
            )
            #expect(try machine.run("upgrade-recovery --status").output.contains("is under way."))
            try machine.output("umount /var/usrlocal")
            expectFailure(
                try machine.run("upgrade-recovery --restart"),
                75,
                says: ["paused for a reboot: services are still running"]
            )
            // From here on the recovery partition has not one free block: the recovery under way has its own.
            try machine.output("dd if=/dev/zero of=/var/recovery/filler bs=4k 2> /dev/null || true")
            try machine.reboot()
        }

        /// The container runtime runs, but its socket is gone.
        ///
        /// As a service, what is said goes to journald with fields, and to the console.
        private func missingSocket(_ machine: Machine) throws {
            try machine.output("rm /run/containerd/containerd.sock && : > /run/console")
            let result = try machine.run(
                """
                systemd-run --quiet --wait --unit=try -E NODE_RECOVERY_CONSOLE=/run/console \
                    $(command -v upgrade-recovery) --resume --wait-limit 5s
                status=$?
                cat /run/console
                exit $status
                """
            )
            expectFailure(
                result,
                69,
                says: [
                    "upgrade-recovery: reboot: ",
                    "step 'images-again': waited 5.0 s for the container runtime to answer; last seen: nothing serves its",
                    "'systemctl restart containerd.service'", "then 'upgrade-recovery --resume'",
                ]
            )
            let entries = try machine.entries("-u try")
            #expect(entries.contains { $0["STEP"].text == "reboot" && $0["PRIORITY"].text == "5" }, "\(entries)")
            let failure = entries.filter { $0["MESSAGE_ID"].text == "8844ebaf974a4bd6bf8c35b95513b734" }
            #expect(failure.map { $0["STEP"].text } == ["images-again"], "\(entries)")
            #expect(failure.map { $0["EXIT_STATUS"].text } == ["69"] && failure[0]["PRIORITY"].text == "3")
            try machine.output("systemctl restart containerd.service")
        }

        /// Another process holds etcd's port.
        private func takenPort(_ machine: Machine) throws {
            try machine.output("systemd-run --quiet --unit=squatter socat TCP-LISTEN:2379,fork,reuseaddr EXEC:/bin/cat")
            expectFailure(
                try machine.run("upgrade-recovery --resume --wait-limit 15s"),
                69,
                says: [
                    "step 'wait-etcd': waited 15 s for etcd to answer; last seen: ", "'ss -ltnp'",
                    "then 'upgrade-recovery --resume'",
                ]
            )
            #expect(try machine.output("ss -ltnpH 'sport = :2379'").contains("socat"))
            try machine.output("systemctl stop squatter")
        }
    }
}
