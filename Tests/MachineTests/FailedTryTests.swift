import TestSupport
import Testing

extension RealNode {
    @Suite("A recovery that fails", .enabled(if: Trial.isWanted, Trial.comment)) struct FailedTryTests {
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

            // The recovery partition is all but full: nothing changes, and no recovery is under way.
            let upgraded = try machine.files()
            try machine.output(
                "cd /var/recovery; dd if=/dev/zero of=filler bs=64k 2> /dev/null; truncate -s -256K filler"
            )
            let full = try machine.run("upgrade-recovery")
            expectFailure(
                full,
                73,
                says: ["not enough space at '/var/recovery'", "nothing was changed; make room there", "--without-undo"]
            )
            #expect(try machine.files() == upgraded)
            #expect(try machine.journal() == "")
            expectFailure(try machine.run("upgrade-recovery --resume"), 66, says: ["no recovery is under way"])
            try machine.output("rm /var/recovery/filler")

            // The disk fills up when the recovery has begun. What is in its way is told again by --restart, which knows
            // that the node is not as it was.
            let begun = try machine.run("upgrade-recovery")
            #expect(begun.status == 75, "\(begun)")
            try machine.reboot()
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
                says: ["step 'restore-usr-local': ", "'/var/usrlocal", "see which file system is full: df -h"]
            )
            expectFailure(
                try machine.run("upgrade-recovery --restart"),
                73,
                says: ["not enough space at '", "this try has changed nothing, earlier ones have; make room there"]
            )
            #expect(try machine.run("upgrade-recovery --status").output.contains("is under way."))
            try machine.output("umount /var/usrlocal")
            let again = try machine.run("upgrade-recovery --restart")
            expectFailure(again, 75, says: ["paused for a reboot: services still run"])
            try machine.reboot()

            // The container runtime runs, but its socket is gone.
            try machine.output("rm /run/containerd/containerd.sock")
            expectFailure(
                try machine.run("upgrade-recovery --resume --wait-limit 5s"),
                69,
                says: [
                    "step 'start-runtime': waited 5.0 s for the container runtime to answer; last seen: its socket",
                    "'systemctl restart containerd.service'", "then 'upgrade-recovery --resume'",
                ]
            )
            try machine.output("systemctl restart containerd.service")

            // Another process holds etcd's port.
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

            // From the first step once more, on a node that has most of it behind it.
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
    }
}
