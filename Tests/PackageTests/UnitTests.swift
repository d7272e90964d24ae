import SystemPackage
import TestSupport
import Testing

@Suite("The units", .enabled(if: Tier.package.isWanted, Tier.package.comment)) struct UnitTests {
    private static let names = ["node-backup.service", "node-backup.timer", "upgrade-recovery-resume.service"]
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// A root with the units and empty programs where they name them.
    private func root() throws -> FilePath {
        try Shell.output(
            """
            set -e
            cd '\(directory.path)'
            mkdir -p root/lib/systemd/system root/usr/sbin root/var/recovery
            cp '\(project)'/packaging/systemd/* '\(project)'/packaging/examples/*.mount root/lib/systemd/system
            cp /lib/systemd/system/*.target /lib/systemd/system/-.slice root/lib/systemd/system 2>/dev/null || true
            install -m 755 /bin/true root/usr/sbin/node-backup
            install -m 755 /bin/true root/var/recovery/upgrade-recovery
            """
        )
        return directory / "root"
    }

    @Test("are understood by systemd, without a word", arguments: names + ["var-recovery.mount"])
    func verify(name: String) throws {
        let root = try root()
        let result = try Shell.run(
            "systemd-analyze verify --root='\(root)' --man=no --recursive-errors=no \(name)"
        )
        #expect(result.status == 0 && result.output.isEmpty, "\(result)")
    }

    @Test("confine the backup as far as its work allows: an exposure of 4.0 at most") func security() throws {
        let root = try root()
        let result = try Shell.run(
            "systemd-analyze security --offline=yes --threshold=40 --root='\(root)' node-backup.service"
        )
        #expect(result.status == 0, "\(result)")
        #expect(result.output.contains("Overall exposure level"))
    }

    @Test("are off, and the backup has no way to be switched on by itself") func off() throws {
        let service = try Shell.output("cat '\(project)/packaging/systemd/node-backup.service'")
        #expect(!service.split(separator: "\n").contains("[Install]"))
        let rules = try Shell.output("cat '\(project)/packaging/debian/rules'")
        #expect(rules.contains("dh_installsystemd --no-enable --no-start --no-stop-on-upgrade"))
    }
}
