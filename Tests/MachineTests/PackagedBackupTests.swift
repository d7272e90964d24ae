import SystemPackage
import TestSupport
import Testing

/// The unit that the package ships, on a real node with a real systemd.
@Suite("The packaged backup on a real node", .enabled(if: Tier.machine.isWanted, Tier.machine.comment))
struct PackagedBackupTests {
    @Test("takes the same recovery point confined as 'node-backup create' does, and pins the deployment")
    func confined() throws {
        let machine = try Machine()
        try machine.waitUntilReady()
        let project = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        let unit = try Shell.output("base64 -w0 '\(project)/packaging/systemd/node-backup.service'").trimmed
        try machine.output(
            """
            set -e
            echo \(unit) | base64 -d > /etc/systemd/system/node-backup.service
            # The programs of this machine are elsewhere, and /usr is read-only.
            mkdir /etc/systemd/system/node-backup.service.d
            printf '[Service]\\nExecStart=\\nExecStart=%s create\\n' $(command -v node-backup) \
                > /etc/systemd/system/node-backup.service.d/here.conf
            chown 12345 /etc/site.conf
            chmod 000 /etc/site.conf
            setfattr -n trusted.test -v value /etc/testbed.conf 2> /dev/null || true
            systemctl daemon-reload
            """
        )
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
        func components(_ point: Int) throws -> [JSON] {
            let manifest = try JSON(parsing: try machine.output("node-backup show \(point) --json"))
            return manifest["components"].items
        }
        let (first, second) = (try components(1), try components(2))
        #expect(first.count > 5)
        for key in ["name", "source_files", "left_out", "unreadable"] {
            #expect(first.map { $0[key] } == second.map { $0[key] }, "\(key)")
        }
        #expect(
            try machine.output("node-backup diff 1 --component etc --component usr-local") == "Nothing has changed."
        )
    }
}
