import Glibc
import TestSupport
import Testing

extension RealNode {
    @Suite("A recovery whose power is cut") struct PowerCutTests {
        /// In every phase; each try goes on where the last one was cut.
        private static let cuts = [
            "rehearse-etcd",
            "keep-failed-state", "restore-etc",
            "restore-etcd", "start-kubelet",
            "wait-node",
        ]

        @Test("goes on after a cut in the middle of every phase, and ends as if there had been none")
        func everyPhase() throws {
            let machine = try Machine()
            let before = try machine.failUpgrade()
            var command = "upgrade-recovery"
            for step in Self.cuts {
                try cut(machine, at: step, of: command)
                let status = try machine.run("upgrade-recovery --status")
                #expect(status.output.contains("is under way."), "cut at \(step): \(status)")
                #expect(status.output.contains("Type: upgrade-recovery --resume"), "cut at \(step): \(status)")
                #expect(try machine.run("node-backup create").status == 79, "cut at \(step)")
                command = "upgrade-recovery --resume"
            }
            try machine.recover(with: command)
            try machine.expectRecovered(to: before)
        }

        /// Runs the recovery as far as a step, and cuts the power as soon as the journal has its beginning.
        private func cut(_ machine: Machine, at step: String, of first: String) throws {
            var command = first
            for _ in 0..<4 {
                let boot = try machine.bootID()
                let power = try machine.powerSwitch()
                // Started by systemd, so that it does not hang on the test.
                try machine.output("systemd-run --quiet --collect --unit=recovery \(command)")
                for _ in 0..<60_000 {
                    let records = try power.journal().split(separator: "\n")
                    if records.contains(where: { $0.contains(boot) && $0.contains("\"step\":\"\(step)\"") }) {
                        power.cut()
                        return try machine.cutPower()
                    }
                    if let last = records.last, last.contains(boot) {
                        if last.contains("\"event\":\"paused\"") || last.contains("\"event\":\"failed\"") { break }
                    }
                    usleep(1_000)
                }
                let end = try machine.run(
                    "while systemctl -q is-active recovery; do sleep 0.1; done; journalctl -u recovery"
                )
                try #require(end.output.contains("systemctl reboot"), "on the way to '\(step)': \(end)")
                try machine.reboot()
                command = "upgrade-recovery --resume"
            }
            Issue.record("the recovery never came to '\(step)'")
        }
    }
}
