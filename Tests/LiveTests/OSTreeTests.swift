import NodeInterface
import OSTree
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("A real ostree sysroot", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct OSTreeTests {
    private let directory: TemporaryDirectory
    private let root: FilePath
    private let adapter: OSTreeDeployments

    init() throws {
        directory = try TemporaryDirectory()
        // A file system of its own, as ostree remounts the one that the sysroot is on.
        root = try directory.mount("disk", options: "size=200m").appending("sysroot")
        try Shell.output("\(Self.script("ostree-sysroot")) \(root)")
        adapter = OSTreeDeployments(root: root, cancellation: Cancellation())
    }

    static func script(_ name: String) -> FilePath {
        var repository = FilePath(#filePath)
        for _ in 0..<3 { repository.removeLastComponent() }
        return repository.appending("scripts/testbed").appending(name)
    }

    private func list() async throws -> [Deployment] {
        try #require(try await adapter.deployments())
    }

    /// Deploys another version and gives nothing up.
    private func deploy(_ version: String) throws {
        let ref = "practice/x86_64/stable"
        try Shell.output(
            """
            set -e
            ostree commit --repo=\(root)/ostree/repo -b \(ref) --tree=ref=\(ref) --bootable -s x \
                --add-metadata-string=version=\(version)
            ostree admin --sysroot=\(root) deploy --os=practice --retain \(ref)
            """
        )
    }

    @Test("is read as ostree itself reads it")
    func listed() async throws {
        try deploy("3.0")
        try Shell.output(
            "ostree admin --sysroot=\(root) deploy --os=practice --retain --karg=x=1 practice/x86_64/stable"
        )
        let found = try await list()
        #expect(found.map(\.version) == ["3.0", "3.0", "2.0", "1.0"])
        #expect(found.map(\.serial) == [1, 0, 0, 0])
        #expect(found.allSatisfy { $0.origin == "practice/x86_64/stable" && $0.osName == "practice" })
        #expect(found.allSatisfy { !$0.isBooted && !$0.isStaged && !$0.isPinned })
        #expect(found[0].kernelArguments.contains("x=1"))
        #expect(!found[1].kernelArguments.contains("x=1"))
        #expect(found[3].kernelArguments.starts(with: ["root=LABEL=practice", "rw"]))
        let status = try Shell.output("ostree admin --sysroot=\(root) status")
        let names = status.split(separator: "\n").filter { $0.hasPrefix("  practice ") }.map { $0.dropFirst(11) }
        #expect(names.map(String.init) == found.map { "\($0.checksum).\($0.serial)" })
    }

    @Test("gets one pin at a time, on the deployment that was meant, though indexes move")
    func pinned() async throws {
        let oldest = try await list()[1]
        try deploy("3.0")
        try await adapter.pin(oldest)
        #expect(try await list().map(\.isPinned) == [false, false, true])
        #expect(
            try Shell.output("ostree admin --sysroot=\(root) status | grep -A2 \(oldest.checksum)").contains(
                "Pinned: yes"
            )
        )
        try await adapter.pin(oldest)
        let newest = try await list()[0]
        try await adapter.pin(newest)
        #expect(try await list().map(\.isPinned) == [true, false, true])
        try Shell.output("ostree admin --sysroot=\(root) undeploy 1")
        #expect(try await list().map(\.isPinned) == [true, true])
        let gone = Deployment(
            osName: "practice",
            checksum: oldest.checksum,
            serial: 7,
            origin: nil,
            version: nil,
            kernelArguments: [],
            isBooted: false,
            isPinned: false,
            isStaged: false
        )
        await #expect(throws: OSTreeError.self) { try await adapter.pin(gone) }
    }

    @Test("has a booted deployment in a namespace that looks booted")
    func booted() throws {
        let status = try Shell.run("\(Self.script("ostree-booted")) \(root) 1 ostree admin status")
        #expect(status.status == 0, "\(status.output)")
        let lines = status.output.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("* practice ") })
        #expect(lines.contains { $0.hasPrefix("  practice ") && $0.hasSuffix(" (pending)") })
        let refused = try Shell.run("\(Self.script("ostree-booted")) \(root) 1 ostree admin undeploy 1")
        #expect(refused.output.contains("Cannot undeploy currently booted deployment"))
    }

    @Test("survives a deployment whose origin file is gone")
    func noOrigin() async throws {
        let first = try await list()[0]
        try Shell.output("rm \(root)/ostree/deploy/practice/deploy/\(first.checksum).0.origin")
        let found = try await list()
        #expect(found[0].origin == nil)
        #expect(found[1].origin == "practice/x86_64/stable")
    }

    @Test("gets another default, with every deployment, pin and kernel argument as it was")
    func newDefault() async throws {
        try deploy("3.0")
        let before = try await list()
        #expect(before.map(\.version) == ["3.0", "2.0", "1.0"])
        try await adapter.pin(before[0])
        try await adapter.pin(before[2])
        for deployment in before { #expect(try await adapter.obstacles(toBooting: deployment) == []) }
        try await adapter.makeDefault(before[2])
        let after = try await list()
        #expect(after.map(\.version) == ["1.0", "3.0", "2.0"])
        #expect(after.map(\.isPinned) == [true, true, false])
        #expect(after.allSatisfy { $0.kernelArguments.starts(with: ["root=LABEL=practice", "rw"]) })
        for deployment in after { #expect(try await adapter.obstacles(toBooting: deployment) == []) }
        let status = try Shell.output("ostree admin --sysroot=\(root) status")
        let names = status.split(separator: "\n").filter { $0.hasPrefix("  practice ") }.map { $0.dropFirst(11) }
        #expect(names.map(String.init) == after.map { "\($0.checksum).\($0.serial)" })
        let entries = try Shell.output("ls -i \(root)/boot/loader/entries")
        try await adapter.makeDefault(after[0])
        #expect(try Shell.output("ls -i \(root)/boot/loader/entries") == entries)
        try await adapter.makeDefault(after[1])
        #expect(try await list().map(\.version) == ["3.0", "1.0", "2.0"])
    }

    @Test("says what keeps a deployment from being booted")
    func obstacles() async throws {
        let found = try await list()
        try Shell.output("rm \(root)/boot/ostree/practice-*/initramfs*")
        for deployment in found {
            let lines = try await adapter.obstacles(toBooting: deployment)
            #expect(lines.count == 1 && lines[0].hasPrefix("its initramfs '\(root)/boot/ostree/practice-"), "\(lines)")
        }
    }

    /// Whether it has everything again, byte for byte as ostree left it.
    private func listing() throws -> String {
        try Shell.output("cd \(root)/boot; find -L ostree loader/entries -type f | sort | xargs sha256sum")
    }

    @Test("gets the kernel and the initramfs of a deployment back from the deployment itself")
    func repaired() async throws {
        let found = try await list()
        let before = try listing()
        #expect(try await adapter.repairBoot(of: found[1]) == [])
        try Shell.output(
            "cd \(root)/boot/ostree; rm practice-*/initramfs*; for f in practice-*/vmlinuz*; do rm $f; : > $f; done"
        )
        for deployment in found {
            let repair = try await adapter.bootRepair(of: deployment)
            #expect(repair.isPossible && repair.obstacles.count == 2 && repair.files.count == 2, "\(repair)")
            #expect(try await adapter.repairBoot(of: deployment) == repair.files)
            #expect(try await adapter.obstacles(toBooting: deployment) == [])
        }
        #expect(try listing() == before)
        // A folder that is gone altogether.
        try Shell.output("rm -r \(root)/boot/ostree/*")
        for deployment in found { #expect(try await adapter.repairBoot(of: deployment).count == 2) }
        #expect(try listing() == before)
    }

    @Test("gets nothing back that is not what was deployed, and nothing without a boot partition")
    func refusedRepair() async throws {
        let found = try await list()
        let repository = "\(root)/ostree/repo"
        try Shell.output("rm \(root)/boot/ostree/*/vmlinuz*; rm -rf \(root)/boot/loader.kept; mkdir \(root)/kept")
        let modules = "\(root)/ostree/deploy/practice/deploy/\(found[0].checksum).0/usr/lib/modules/5.14.0-practice"
        try Shell.output("chattr -R -i \(root)/ostree/deploy; rm \(modules)/vmlinuz; echo other > \(modules)/vmlinuz")
        let other = try await adapter.bootRepair(of: found[0])
        #expect(
            !other.isPossible && other.reasons.map { $0.hasSuffix("are not those that it was deployed with") } == [true]
        )
        let error = await #expect(throws: OSTreeError.self) { try await adapter.repairBoot(of: found[0]) }
        #expect(error?.exitStatus == .unavailable)
        #expect(try Shell.output("ls \(root)/boot/ostree/*/vmlinuz* 2>/dev/null | wc -l").trimmed == "0")
        try Shell.output("mv \(root)/boot/loader* \(root)/kept")
        let unmounted = try await adapter.bootRepair(of: found[1])
        #expect(unmounted.reasons.map { $0.hasSuffix("is the boot partition mounted?") } == [true], "\(unmounted)")
        try Shell.output(
            "mv \(root)/kept/* \(root)/boot; mv \(repository)/objects \(root)/kept; mkdir \(repository)/objects"
        )
        #expect(
            try await adapter.bootRepair(of: found[1]).reasons.map { $0.hasPrefix("its commit is not in") } == [true]
        )
    }

    @Test("gets a commit deployed again that was undeployed, behind the others, as it was, and pinned")
    func deployedAgain() async throws {
        let before = try await list()
        let old = before[1]
        let refs = "ostree refs --repo=\(root)/ostree/repo"
        try Shell.output("\(refs) --create=kept \(old.checksum); ostree admin --sysroot=\(root) undeploy 1")
        #expect(try await list().map(\.checksum) == [before[0].checksum])
        #expect(try await adapter.isInRepository(old.checksum))
        let made = try await adapter.deployAgain(old)
        let after = try await list()
        #expect(after.map(\.checksum) == before.map(\.checksum) && after[1] == made)
        #expect(made.isPinned && made.checksum == old.checksum && made.origin == old.origin)
        let arguments = { (deployment: Deployment) in deployment.kernelArguments.filter { !$0.hasPrefix("ostree=") } }
        #expect(arguments(made) == arguments(old))
        #expect(try await adapter.obstacles(toBooting: made) == [])
        #expect(try await adapter.deployAgain(old) == made)
        try await adapter.unpin(made)
        #expect(try await list().map(\.isPinned) == [false, false])
        try Shell.output(
            "ostree admin --sysroot=\(root) undeploy 1; \(refs) --delete kept; ostree prune --repo=\(root)/ostree/repo --refs-only --depth=0"
        )
        #expect(try await !adapter.isInRepository(old.checksum))
        let gone = await #expect(throws: OSTreeError.self) { try await adapter.deployAgain(old) }
        #expect(gone?.exitStatus == .noInput)
        #expect(try await list().map(\.checksum) == [before[0].checksum])
    }

    @Test("gets back what the booted deployment lacks, its boot loader entry included, where /boot is read-only")
    func repairedOnBooted() async throws {
        let run = try Shell.run(
            """
            export OSTREE_BOOTED_USR=host OSTREE_BOOTED_LIBRARIES=/run/host\(try TestProgram.libraries)
            export NODE_RECOVERY_INSIDE=repair OSTREE_BOOTED_READONLY=yes
            exec \(Self.script("ostree-booted")) \(root) 0 \(TestProgram.path) --testing-library swift-testing \
                --filter OSTreeRepairInsideTests
            """
        )
        #expect(run.status == 0, "\(run.output)")
        #expect(run.output.contains("Test run with 1 test"), "\(run.output)")
        #expect(try await list().map(\.version) == ["2.0", "1.0"])
        for deployment in try await list() { #expect(try await adapter.obstacles(toBooting: deployment) == []) }
        // ostree itself goes on with the entry.
        try deploy("3.0")
        #expect(try await list().map(\.version) == ["3.0", "2.0", "1.0"])
    }

    @Test("keeps its order when libostree cannot write, and the error is libostree's own")
    func refused() async throws {
        let found = try await list()
        try Shell.output("mv \(root)/boot/loader \(root)/boot/loader.broken; ln -s \(root)/nowhere \(root)/boot/loader")
        let gone = await #expect(throws: OSTreeError.self) { try await adapter.makeDefault(found[1]) }
        #expect(gone?.exitStatus == .noInput)
        try Shell.output("rm \(root)/boot/loader; mv \(root)/boot/loader.broken \(root)/boot/loader")
        try Shell.output("rm -rf \(root)/boot/ostree; touch \(root)/boot/ostree")
        let error = await #expect(throws: OSTreeError.self) { try await adapter.makeDefault(found[1]) }
        #expect(
            error?.summary.hasPrefix("could not make the deployment '\(found[1].checksum).0' the default: ") == true
        )
        #expect(try await list().map(\.checksum) == found.map(\.checksum))
    }

    @Test("would boot a deployment that is staged, and lose the one that it was to go back to")
    func stagedWins() throws {
        try deploy("3.0")
        let run = try Shell.run(
            """
            export OSTREE_BOOTED_USR=host
            exec \(Self.script("ostree-booted")) \(root) 0 bash -c '
                ostree admin deploy --os=practice --stage practice/x86_64/stable && ostree admin finalize-staged'
            """
        )
        #expect(run.status == 0, "\(run.output)")
        let status = try Shell.output("ostree admin --sysroot=\(root) status | grep Version")
        #expect(status.split(separator: "\n").map { $0.dropFirst(13) } == ["3.0", "3.0"])
    }

    @Test("gives up a deployment that is staged when a booted node gets another default")
    func stagedOnBooted() async throws {
        try deploy("3.0")
        let ref = "practice/x86_64/stable"
        try Shell.output(
            "ostree commit --repo=\(root)/ostree/repo -b \(ref) --tree=ref=\(ref) --bootable -s x"
                + " --add-metadata-string=version=4.0"
        )
        let run = try Shell.run(
            """
            export OSTREE_BOOTED_USR=host OSTREE_BOOTED_LIBRARIES=/run/host\(try TestProgram.libraries)
            export NODE_RECOVERY_INSIDE=staged OSTREE_BOOTED_READONLY=yes
            exec \(Self.script("ostree-booted")) \(root) 0 \(TestProgram.path) --testing-library swift-testing \
                --filter OSTreeInsideTests
            """
        )
        #expect(run.status == 0, "\(run.output)")
        #expect(run.output.contains("Test run with 1 test"), "\(run.output)")
        #expect(try await list().map(\.version) == ["1.0", "3.0", "2.0"])
    }
}

/// Runs in the namespace that ``OSTreeTests`` makes: there the deployment 3.0 is booted.
@Suite("On a booted ostree node", .enabled(if: TestProgram.isInside("staged"), "started by another test"))
struct OSTreeInsideTests {
    @Test("a new default holds against a staged deployment")
    func staged() async throws {
        let adapter = OSTreeDeployments(root: "/", cancellation: Cancellation())
        let ostree = "ostree admin deploy --os=practice --stage practice/x86_64/stable"
        let staged = try Shell.run(ostree)
        let before = try #require(try await adapter.deployments())
        #expect(before.map(\.version) == ["4.0", "3.0", "2.0", "1.0"], "\(staged.output)")
        #expect(before.map(\.isStaged) == [true, false, false, false])
        #expect(before.map(\.isBooted) == [false, true, false, false])
        #expect(try await adapter.obstacles(toBooting: before[0]).map { $0.hasPrefix("it is staged") } == [true])
        try await adapter.makeDefault(before[3])
        let after = try #require(try await adapter.deployments())
        #expect(after.map(\.version) == ["1.0", "3.0", "2.0"])
        #expect(after.map(\.isBooted) == [false, true, false])
        #expect(try Shell.run("test -e /run/ostree/staged-deployment").status != 0)
        #expect(try !Shell.output("ostree admin status").contains("(staged)"))
        // /sysroot is as read-only for everybody else as before.
        #expect(try Shell.run("touch /sysroot/new").status != 0)
        // What systemd runs at the shutdown.
        try Shell.output("ostree admin finalize-staged")
        #expect(try await adapter.deployments()?.map(\.version) == ["1.0", "3.0", "2.0"])
    }
}

/// Runs in the namespace that ``OSTreeTests`` makes: there the deployment 2.0 is booted, and /boot is read-only.
@Suite(
    "On a booted ostree node with a damaged /boot",
    .enabled(if: TestProgram.isInside("repair"), "started by another test")
)
struct OSTreeRepairInsideTests {
    @Test("the kernel and the entry of the booted deployment come back")
    func repair() async throws {
        var adapter = OSTreeDeployments(root: "/", cancellation: Cancellation())
        let before = try #require(try await adapter.deployments())
        #expect(before.map(\.isBooted) == [true, false])
        #expect(try await adapter.obstacles(toBooting: before[0]) == [])
        // The kernel's command line is that of this machine: what the deployment would have been booted with is laid over it.
        try Shell.output(
            """
            echo "BOOT_IMAGE=/x \(before[0].kernelArguments.joined(separator: " "))" > /run/cmdline
            mount --bind /run/cmdline /proc/cmdline
            unshare -m sh -c 'mount -o remount,rw /boot; rm /boot/ostree/*/vmlinuz*; rm /boot/loader/entries/*-2-* /boot/loader/entries/ostree-2.conf' 2> /dev/null || true
            """
        )
        adapter = OSTreeDeployments(root: "/", cancellation: Cancellation())
        let damaged = try #require(try await adapter.deployments())
        try #require(damaged.count == 2)
        #expect(damaged.map(\.version) == ["1.0", "2.0"])
        #expect(damaged.map(\.isBooted) == [false, true])
        #expect(
            try await adapter.obstacles(toBooting: damaged[1]).map { $0.hasPrefix("no entry of the boot loader") } == [
                true
            ]
        )
        #expect(try Shell.run("touch /boot/new").status != 0)
        let repair = try await adapter.bootRepair(of: damaged[1])
        #expect(repair.isPossible && repair.files.count == 2, "\(repair)")
        #expect(try await adapter.repairBoot(of: damaged[1]) == repair.files)
        #expect(try await adapter.repairBoot(of: damaged[0]).count == 1)
        let after = try #require(try await adapter.deployments())
        #expect(after.map(\.version) == ["2.0", "1.0"])
        #expect(after[0].kernelArguments == before[0].kernelArguments)
        #expect(after.map(\.isBooted) == [true, false])
        #expect(try Shell.run("touch /boot/new").status != 0)
        let status = try Shell.output("ostree admin status")
        #expect(status.contains("* practice \(before[0].checksum).0"), "\(status)")
    }
}
