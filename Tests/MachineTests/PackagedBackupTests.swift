import Glibc
import SystemPackage
import TestSupport
import Testing

extension RealNode {
    /// The units that the package ships, on a real node with a real systemd and journald.
    @Suite("The packaged backup") struct PackagedBackupTests {
        /// What docs/service.md promises.
        private static let done = "3cda6eb4d9094730b56e0e47d70530ab"
        private static let failed = "2b02a07fde8f4eed8a69b9b0457e4703"

        @Test(
            """
            takes the same recovery point confined as 'node-backup create' does, comes by its timer, tells systemd and \
            journald how it goes, and raises an alarm when it fails
            """
        )
        func service() throws {
            let machine = try Machine()
            try machine.waitUntilReady()
            try install(machine)
            try confined(machine)
            try timer(machine)
            try alarm(machine)
        }

        private func install(_ machine: Machine) throws {
            let project = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
            for name in ["node-backup.service", "node-backup.timer"] {
                let unit = try Shell.output("base64 -w0 '\(project)/packaging/systemd/\(name)'").trimmed
                try machine.output("echo \(unit) | base64 -d > /etc/systemd/system/\(name)")
            }
            try machine.output(
                """
                set -e
                # The programs of this machine are elsewhere, and /usr is read-only.
                mkdir /etc/systemd/system/node-backup.service.d /etc/systemd/system/node-backup.timer.d
                printf '[Service]\\nExecStart=\\nExecStart=%s create\\n' $(command -v node-backup) \
                    > /etc/systemd/system/node-backup.service.d/here.conf
                printf '[Timer]\\nOnCalendar=\\nOnActiveSec=1s\\nRandomizedDelaySec=0\\nAccuracySec=100ms\\n' \
                    > /etc/systemd/system/node-backup.timer.d/soon.conf
                # What docs/service.md shows, with a file for a letter.
                printf '[Unit]\\nOnFailure=backup-alarm.service\\n' > /etc/systemd/system/node-backup.service.d/alarm.conf
                cat > /etc/systemd/system/backup-alarm.service <<'T'
                [Service]
                Type=oneshot
                ExecStart=/bin/sh -c '{ echo "$MONITOR_UNIT $MONITOR_EXIT_STATUS"; \
                    journalctl -o cat -p err _SYSTEMD_INVOCATION_ID=$MONITOR_INVOCATION_ID; } > /run/alarm.new; \
                    mv /run/alarm.new /run/alarm'
                T
                chown 12345 /etc/site.conf
                chmod 000 /etc/site.conf
                setfattr -n trusted.test -v value /etc/testbed.conf 2> /dev/null || true
                systemctl daemon-reload
                """
            )
        }

        private func confined(_ machine: Machine) throws {
            let started = try machine.run(
                """
                systemctl start --no-block node-backup
                while state=$(systemctl is-active node-backup); [ "$state" = activating ]; do
                    systemctl show node-backup -p StatusText
                    sleep 0.02
                done
                test "$state" = inactive
                """
            )
            let log = try machine.output("journalctl -u node-backup -o cat --no-pager")
            try #require(started.status == 0, "\(log)")
            #expect(log.contains("Recovery point 1 is in '/var/recovery/points/1'") && !log.contains("errno"), "\(log)")
            #expect(started.output.contains(" of 7), "), "\(started)")
            #expect(try machine.output("ostree admin status").contains("Pinned: yes"))

            // What systemd hides or makes read-only for the unit is not missing: the same files, and nothing has changed.
            try machine.output("node-backup create --quiet")
            let (first, second) = (try components(1, machine), try components(2, machine))
            #expect(first.count > 5)
            for key in ["name", "source_files", "left_out", "unreadable"] {
                #expect(first.map { $0[key] } == second.map { $0[key] }, "\(key)")
            }
            #expect(
                try machine.output("node-backup diff 1 --component etc --component usr-local")
                    == "Nothing has changed."
            )

            // The doctor sees all of it, by the checks of a recovery's proof: the runtime's images among them.
            let doctor = try machine.run("node-backup doctor --verify --json")
            let lines = try JSON(parsing: doctor.output)["checks"].items
            #expect(lines.count > 10, "\(doctor)")
            let others = lines.filter { $0["state"].text != "green" }.compactMap { $0["check"].text }
            // Whether this machine's clock is synchronised is not the node's doing.
            #expect(others.isEmpty || others == ["clock"], "\(doctor)")
            #expect(doctor.status == (others.isEmpty ? 0 : 80), "\(doctor)")
        }

        private func components(_ point: Int, _ machine: Machine) throws -> [JSON] {
            try JSON(parsing: try machine.output("node-backup show \(point) --json"))["components"].items
        }

        /// The unit's next run to its end; its invocation.
        private func nextRun(_ machine: Machine, after command: String) throws -> String {
            try machine.output(
                """
                before=$(systemctl show -P InvocationID node-backup)
                \(command)
                for i in $(seq 300); do
                    id=$(systemctl show -P InvocationID node-backup)
                    state=$(systemctl show -P ActiveState node-backup)
                    [ "$id" = "$before" ] || [ "$state" = activating ] || break
                    sleep 0.1
                done
                echo $id
                """
            )
        }

        private func timer(_ machine: Machine) throws {
            let run = try nextRun(machine, after: "systemctl start node-backup.timer")
            #expect(try machine.output("systemctl show -P LastTriggerUSec node-backup.timer").contains(":"))
            let status = try machine.run("systemctl status node-backup").output
            #expect(status.contains("TriggeredBy: ") && status.contains("node-backup.timer"), "\(status)")
            #expect(status.contains("Status: \"Recovery point 3 is in '/var/recovery/points/3'"), "\(status)")

            let entries = try machine.entries("_SYSTEMD_INVOCATION_ID=\(run)")
            let lines = entries.filter { $0["COMPONENT"].text != nil && $0["PRIORITY"].text == "5" }
            #expect(lines.map { $0["COMPONENT"] } == (try components(3, machine)).map { $0["name"] }, "\(entries)")
            let end = try #require(entries.last)
            #expect(
                try machine.entries("MESSAGE_ID=\(Self.done)").map { $0["RECOVERY_POINT"].text } == ["1", "3"],
                "by hand nothing goes to the journal"
            )
            #expect(end["MESSAGE_ID"].text == Self.done)
            #expect(end["MESSAGE"].text?.hasPrefix("Recovery point 3 is in '/var/recovery/points/3': ") == true)
            #expect(Int(end["DURATION_USEC"].text ?? "") ?? 0 > 10_000)
            #expect(Int(end["STORED_BYTES"].text ?? "") ?? 0 > 10_000)
            for entry in lines + [end] {
                #expect(entry["RECOVERY_POINT"].text == "3", "\(entry)")
                #expect(entry["SYSLOG_IDENTIFIER"].text == "node-backup", "\(entry)")
                #expect(entry["_SYSTEMD_UNIT"].text == "node-backup.service", "\(entry)")
            }
            #expect(entries.allSatisfy { $0["PRIORITY"].text.map { $0 > "3" } ?? true }, "\(entries)")
        }

        private func alarm(_ machine: Machine) throws {
            try machine.output("dd if=/dev/zero of=/var/recovery/filler bs=64k 2> /dev/null || true")
            let run = try nextRun(machine, after: "systemctl start node-backup 2> /dev/null || true")
            let reason = "not enough space in '/var/recovery': about "
            let status = try machine.run("systemctl status node-backup").output
            #expect(status.contains("status=73/CANTCREAT"), "\(status)")
            #expect(status.contains("Status: \"\(reason)"), "\(status)")
            let alarm = try machine.output(
                "for i in $(seq 100); do [ ! -e /run/alarm ] || break; sleep 0.1; done; cat /run/alarm"
            ).split(separator: "\n")
            try #require(alarm.count == 3, "\(alarm)")
            #expect(alarm[0] == "node-backup.service 73")
            #expect(alarm[1].hasPrefix(reason) && alarm[1].hasSuffix(" free"), "\(alarm)")
            #expect(
                alarm[2].hasPrefix(
                    "hint: remove old recovery points with 'node-backup prune --keep 1 --dir /var/recovery'"
                ),
                "\(alarm)"
            )
            let entries = try machine.entries("MESSAGE_ID=\(Self.failed)")
            try #require(entries.count == 1, "\(entries)")
            #expect(entries[0]["_SYSTEMD_INVOCATION_ID"].text == run)
            #expect(entries[0]["PRIORITY"].text == "3")
            #expect(entries[0]["EXIT_STATUS"].text == "73")
            #expect(entries[0]["HINT"].text?.hasPrefix("remove old recovery points with ") == true)
            // What it says helps, on a partition without a free block.
            try machine.output("node-backup prune --keep 1 --dir /var/recovery && rm /var/recovery/filler")
            try machine.output("systemctl start node-backup")
            let after = try machine.run("systemctl status node-backup").output
            #expect(after.contains("Status: \"Recovery point 4 is in "), "\(after)")
        }
    }
}
