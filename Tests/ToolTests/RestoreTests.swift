import SystemPackage
import TestSupport
import Testing

@Suite("node-backup restore") struct RestoreTests {
    private func listing(_ node: SmallNode, _ path: String) throws -> String {
        try Shell.output(
            """
            cd '\(node.root)'
            find \(path) -printf '%p %y %m %U:%G %n %T@ %l\\n' | sort
            find \(path) -type f -print0 | sort -z | xargs -0 sha256sum
            """
        )
    }

    @Test("makes the components that are named equal again, and leaves the others alone")
    func components() throws {
        let node = try SmallNode()
        let (etc, local) = (try listing(node, "etc"), try listing(node, "usr/local"))
        try Shell.output(
            """
            cd '\(node.root)'
            echo other > etc/file-3; rm etc/file-4; echo new > etc/new; chmod 600 etc/file-5
            echo other > usr/local/bin/program-1
            """
        )
        let changed = try listing(node, "etc usr/local")
        let plan = try node.backup("restore", "1", "etc", "--dry-run")
        #expect(plan.status == 0, "\(plan)")
        #expect(plan.output.contains("+ /etc/file-4\n- /etc/new\n") || plan.output.contains("- /etc/new\n"), "\(plan)")
        #expect(plan.output.contains("M /etc/file-5 (mode)\n"), "\(plan)")
        #expect(try listing(node, "etc usr/local") == changed)

        let kept = try node.backup("restore", "1", "etc", "--keep-path", "etc/new")
        #expect(kept.status == 0, "\(kept)")
        #expect(kept.output == "etc: 17 files: 2 written (14 B), 2 with new metadata, 0 removed, 13 as they were\n")
        let rest = try node.backup("restore", "1", "etc", "--quiet")
        #expect(rest.status == 0 && rest.output.isEmpty, "\(rest)")
        #expect(try listing(node, "etc") == etc)
        #expect(try listing(node, "usr/local") != local)
        #expect(try node.backup("restore", "1", "usr-local", "kubelet").status == 0)
        #expect(try listing(node, "usr/local") == local)
    }

    @Test("changes nothing when a component is not there, or is damaged")
    func refusals() throws {
        let node = try SmallNode()
        try Shell.output("echo other > '\(node.root)/etc/file-3'")
        let before = try listing(node, "etc")
        let missing = try node.backup("restore", "1", "etc", "static-pods")
        #expect(missing.status == 66, "\(missing)")
        let noFiles = try node.backup("restore", "1", "nonsense")
        #expect(noFiles.status == 66, "\(noFiles)")
        let nowhere = try node.backup("restore", "9", "etc")
        #expect(nowhere.status == 66, "\(nowhere)")
        try Shell.output(
            """
            f='\(node.store)/points/1/etc.tar.zst'
            printf '\\377\\376\\375\\374' | dd of="$f" bs=1 seek=$(($(stat -c %s "$f") / 2)) conv=notrunc status=none
            """
        )
        let damaged = try node.backup("restore", "1", "etc")
        #expect(damaged.status == 65, "\(damaged)")
        #expect(damaged.errors.contains("etc.tar.zst"), "\(damaged)")
        #expect(try listing(node, "etc") == before)
    }
}
