import Files
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import OSTree

@Suite("The deployments of a node") struct OSTreeDeploymentsTests {
    private let new = String(repeating: "a1", count: 32)
    private let old = String(repeating: "b2", count: 32)
    /// The target in the fixture `staged-deployment`.
    private let staged = "e4cdd4a5af4c4901eee68c5cd92cda77cb18da6a072bd3bb31da35c0628a5433"
    /// What the target in the fixture was merged from.
    private let merged = "a7d4f5dc0d00e2cfb706455024349cc2bb3fd1acdfa25d9b1075f5740c4fc2a6"

    @Test("are none where ostree is not")
    func notManaged() async throws {
        let sysroot = try FakeSysroot(empty: true)
        #expect(try await sysroot.adapter().deployments() == nil)
        let error = await #expect(throws: OSTreeError.self) {
            try await sysroot.adapter().pin(sysroot.deployment(new))
        }
        #expect(error?.exitStatus == .noInput)
        try Shell.output("mkdir -p \(sysroot.root)/run; touch \(sysroot.root)/run/ostree-booted")
        #expect(try await sysroot.adapter().deployments() == [])
    }

    @Test("come in the boot loader's order with origin, pin and kernel arguments")
    func order() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(old, version: 2, origin: "[origin]\nrefspec=os:stable\n[libostree-transient]\npinned=true\n")
        try sysroot.add(new, version: 10, origin: "[origin]\ncontainer-image-reference=ostree-image:x\n")
        try sysroot.add(new, serial: 1, version: 1, origin: "# none\n")
        let list = try #require(try await sysroot.adapter().deployments())
        #expect(list.map { "\($0.checksum.prefix(2)).\($0.serial)" } == ["a1.0", "b2.0", "a1.1"])
        #expect(list.map(\.origin) == ["ostree-image:x", "os:stable", nil])
        #expect(list.map(\.isPinned) == [false, true, false])
        #expect(list.allSatisfy { $0.osName == "rhcos" && !$0.isBooted && !$0.isStaged })
        #expect(list[1].kernelArguments.prefix(2) == ["root=UUID=1", "opt=\"a b\""])
        #expect(list[1].kernelArguments.last?.hasPrefix("ostree=/ostree/boot.1/rhcos/") == true)
    }

    @Test("begin with the one that waits for the next shutdown")
    func stagedFirst() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(merged, version: 2)
        try sysroot.add(staged, entry: false)
        try sysroot.add(old, entry: false)
        #expect(try await sysroot.adapter().deployments()?.map(\.checksum) == [merged])
        try Shell.output(
            "mkdir -p \(sysroot.root)/run/ostree; cp \(fixture("staged-deployment")) \(sysroot.root)/run/ostree"
        )
        let list = try #require(try await sysroot.adapter().deployments())
        #expect(list.map(\.checksum) == [staged, merged])
        #expect(list.map(\.isStaged) == [true, false])
        let error = await #expect(throws: OSTreeError.self) { try await sysroot.adapter().pin(list[0]) }
        #expect(error?.reason == .staged(DeploymentName(checksum: staged, serial: 0)))
        #expect(try sysroot.calls() == [])
    }

    @Test("know the booted one by device and inode, or else by the kernel's command line")
    func booted() async throws {
        let sysroot = try FakeSysroot()
        let first = try sysroot.add(new, version: 2)
        let second = try sysroot.add(old, version: 1)
        let folder = try RootDirectory(path: second.folder).stat("").identity
        let elsewhere = FileIdentity(device: 0, inode: 0)
        let byFolder = RunningSystem(identity: folder, commandLine: "ostree=\(first.argument)")
        #expect(try await sysroot.adapter(byFolder).deployments()?.map(\.isBooted) == [false, true])
        let byLine = RunningSystem(identity: elsewhere, commandLine: "rw ostree=\(first.argument) quiet\n")
        #expect(try await sysroot.adapter(byLine).deployments()?.map(\.isBooted) == [true, false])
        let neither = RunningSystem(identity: elsewhere, commandLine: "rw quiet")
        #expect(try await sysroot.adapter(neither).deployments()?.map(\.isBooted) == [false, false])
    }

    @Test("have the version of their commit, or none")
    func version() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 2)
        try sysroot.add(old, version: 1)
        try sysroot.program(
            "case $* in *\(new)) echo \"'415.92 \\\\'x\\\\''\";; *) echo 'no such key' >&2; exit 1;; esac"
        )
        #expect(try await sysroot.adapter().deployments()?.map(\.version) == ["415.92 'x'", nil])
        try Shell.output("rm \(sysroot.programPath)")
        #expect(try await sysroot.adapter().deployments()?.map(\.version) == [nil, nil])
    }

    @Test("are pinned by checksum and serial, whatever their index is now")
    func pin() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 3)
        try sysroot.add(old, version: 2)
        try sysroot.add(old, serial: 1, version: 1)
        try sysroot.program(
            """
            case $* in
            *status) echo '  rhcos \(staged).0 (staged)'; echo '    Version: 3'
                     echo '* rhcos \(new).0'; echo '  rhcos \(old).0 (rollback)'; echo '  rhcos \(old).1';;
            *"pin 3") printf '[libostree-transient]\\npinned=true\\n' >> \(sysroot.origin(old, 1));;
            *) exit 1;;
            esac
            """
        )
        try await sysroot.adapter().pin(sysroot.deployment(old, 1))
        #expect(try await sysroot.adapter().deployments()?.map(\.isPinned) == [false, false, true])
        let calls = try sysroot.calls()
        #expect(calls.filter { $0.contains("pin") } == ["admin --sysroot=\(sysroot.root) pin 3"])
        try await sysroot.adapter().pin(sysroot.deployment(old, 1))
        #expect(try sysroot.calls().count { $0.contains("pin") } == 1)
    }

    @Test("are not said to be pinned when ostree did not, or pinned another")
    func pinUnproven() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 2)
        try sysroot.add(old, version: 1)
        let status = "*status) echo '* rhcos \(new).0'; echo '  rhcos \(old).0';;"
        try sysroot.program("case $* in \(status) esac")
        let notPinned = await #expect(throws: OSTreeError.self) {
            try await sysroot.adapter().pin(sysroot.deployment(new))
        }
        #expect(notPinned?.reason == .notPinned(DeploymentName(checksum: new, serial: 0)))
        try sysroot.program(
            "case $* in \(status) *pin*) printf '[libostree-transient]\\npinned=true\\n' >> \(sysroot.origin(old, 0));; esac"
        )
        let other = await #expect(throws: OSTreeError.self) {
            try await sysroot.adapter().pin(sysroot.deployment(new))
        }
        #expect(other?.summary.contains(" changed the pin of '\(old).0'") == true)
        #expect(other?.hint?.contains("ostree admin pin --unpin INDEX") == true)
    }

    @Test("are looked up inside the root, wherever its links point")
    func confined() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 2)
        // As a rescue system sees them: absolute, and right only for the node itself.
        try Shell.output("cd \(sysroot.root); mkdir real; mv ostree boot real; ln -s /real/ostree /real/boot .")
        #expect(try await sysroot.adapter().deployments()?.map(\.checksum) == [new])
        try Shell.output("cd \(sysroot.root); rm ostree; ln -s '\(sysroot.root)/real/ostree' ostree")
        #expect(try await sysroot.adapter().deployments() == nil)
    }

    @Test("lose their pin by ostree's own verb, and only where they have one")
    func unpin() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 2)
        try sysroot.add(old, version: 1, origin: "[libostree-transient]\npinned=true\n")
        let status = "*status) echo '* rhcos \(new).0'; echo '  rhcos \(old).0';;"
        try sysroot.program("case $* in \(status) *'pin --unpin 1') : > \(sysroot.origin(old, 0));; *) exit 1;; esac")
        for deployment in [sysroot.deployment(new), sysroot.deployment(old), sysroot.deployment(old, 4)] {
            try await sysroot.adapter().unpin(deployment)
        }
        #expect(try await sysroot.adapter().deployments()?.map(\.isPinned) == [false, false])
        #expect(try sysroot.calls().count { $0.contains("pin") } == 1)
        try Shell.output("printf '[libostree-transient]\npinned=true\n' > \(sysroot.origin(old, 0))")
        try sysroot.program("case $* in \(status) esac")
        let error = await #expect(throws: OSTreeError.self) {
            try await sysroot.adapter().unpin(sysroot.deployment(old))
        }
        #expect(error?.reason == .notUnpinned(DeploymentName(checksum: old, serial: 0)))
    }

    @Test("that do not exist cannot be pinned")
    func unknown() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 2)
        for missing in [sysroot.deployment(old), sysroot.deployment(new, 1)] {
            let error = await #expect(throws: OSTreeError.self) { try await sysroot.adapter().pin(missing) }
            #expect(error?.exitStatus == .noInput)
        }
    }

    @Test(
        "in a damaged sysroot are an error that names the file",
        arguments: [
            "rm -r ostree/deploy/rhcos/deploy/*.0", "rm ostree/boot.1/rhcos/*/0",
            "ln -sfn ../../../etc ostree/boot.1/rhcos/*/0",
            "sed -i 's/ostree=[^ ]*/ostree=..\\/..\\/etc/' boot/loader/entries/*",
            "head -c 2000000 /dev/zero > boot/loader/entries/ostree-2-rhcos.conf",
        ]
    )
    func damaged(line: String) async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 2)
        try Shell.output("cd \(sysroot.root); set -e; \(line)")
        let error = await #expect(throws: OSTreeError.self) { try await sysroot.adapter().deployments() }
        #expect(error?.summary.contains("boot/loader/entries/ostree-2-rhcos.conf'") == true)
    }

    @Test("can be booted only with tree, commit, entry, kernel and initramfs, on a boot partition or without one")
    func obstacles() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 2)
        try sysroot.add(old, version: 1)
        func lines() async throws -> [String] {
            try await sysroot.adapter().obstacles(toBooting: sysroot.deployment(old))
        }
        let missing = try await lines()
        #expect(missing.count == 3, "\(missing)")
        #expect(missing[0] == "its tree '\(sysroot.root)/ostree/deploy/rhcos/deploy/\(old).0' does not exist")
        #expect(missing[1] == "its commit is not in the repository '\(sysroot.root)/ostree/repo'")
        #expect(missing[2].hasPrefix("its kernel '\(sysroot.root)/boot/ostree/rhcos-cc"))
        try sysroot.completeBoot(of: old)
        #expect(try await lines() == [])
        try Shell.output("cd \(sysroot.root)/boot; mv ostree/* ../ostree; rmdir ostree")
        #expect(try await lines() == [])
        try Shell.output("cd \(sysroot.root)/boot/loader/entries; echo 'initrd /ostree/i' >> ostree-1-rhcos.conf")
        #expect(try await lines() == ["its initramfs '\(sysroot.root)/boot/ostree/i' does not exist"])
        try Shell.output("touch \(sysroot.root)/ostree/i")
        #expect(try await lines() == ["its initramfs '\(sysroot.root)/ostree/i' is empty"])
        // The entry of another deployment is damaged, and says nothing about this one.
        try Shell.output("cd \(sysroot.root); echo x > ostree/i; rm -r ostree/deploy/rhcos/deploy/\(new).0")
        #expect(try await lines() == [])
        try Shell.output("sed -i '/^linux/d' \(sysroot.root)/boot/loader/entries/ostree-1-rhcos.conf")
        #expect(try await lines().map { $0.hasSuffix("names no kernel") } == [true])
        try Shell.output("rm \(sysroot.root)/boot/loader/entries/ostree-1-rhcos.conf")
        #expect(try await lines().map { $0.hasPrefix("no entry of the boot loader") } == [true])
    }

    @Test("that wait for the next shutdown can neither be booted nor be made the default")
    func stagedDefault() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(merged, version: 2)
        try sysroot.add(staged, entry: false)
        try sysroot.stage(fixture("staged-deployment"))
        let target = sysroot.deployment(staged)
        #expect(try await sysroot.adapter().obstacles(toBooting: target).map { $0.hasPrefix("it is staged") } == [true])
        let error = await #expect(throws: OSTreeError.self) { try await sysroot.adapter().makeDefault(target) }
        #expect(error?.reason == .stagedDefault(DeploymentName(checksum: staged, serial: 0)))
        #expect(try sysroot.calls() == [])
    }

    @Test("become the default by ostree's own verb where it has one, and one that is staged is given up before")
    func makeDefault() async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(merged, version: 2)
        try sysroot.add(old, version: 1)
        try sysroot.add(staged, entry: false)
        try sysroot.stage(fixture("staged-deployment"))
        try sysroot.program(
            """
            case $* in
            *--help) echo '  set-default        Make deployment INDEX the default';;
            *status) [ -e \(sysroot.root)/run/ostree/staged-deployment ] && echo '  rhcos \(staged).0 (staged)'
                     echo '* rhcos \(merged).0'; echo '  rhcos \(old).0 (rollback)';;
            *"undeploy 0") rm \(sysroot.root)/run/ostree/staged-deployment;;
            *"set-default 1") sed -i 's/^version 1/version 9/' \(sysroot.root)/boot/loader/entries/ostree-1-rhcos.conf;;
            *) exit 1;;
            esac
            """
        )
        try await sysroot.adapter().makeDefault(sysroot.deployment(old))
        #expect(try await sysroot.adapter().deployments()?.map(\.checksum) == [old, merged])
        let prefix = "admin --sysroot=\(sysroot.root)"
        let expected = ["\(prefix) status", "\(prefix) undeploy 0", "admin --help", "\(prefix) status"]
        #expect(try sysroot.calls() == expected + ["\(prefix) set-default 1"])
        try await sysroot.adapter().makeDefault(sysroot.deployment(old))
        #expect(try sysroot.calls().count == 5)
    }

    @Test(
        "are not said to be the default when ostree did not make them so, or did more",
        arguments: [
            (":", "is not the default afterwards, 'a1"),
            ("rm $e/ostree-2-rhcos.conf", "other deployments disappeared: 'a1"),
            ("rm $e/ostree-1-rhcos.conf", "other deployments disappeared: 'b2"),
            ("$v; printf '[libostree-transient]\npinned=true\n' >> $d/a1*.origin", "the pin of 'a1"),
        ]
    )
    func defaultUnproven(effect: String, summary: String) async throws {
        let sysroot = try FakeSysroot()
        try sysroot.add(new, version: 2)
        try sysroot.add(old, version: 1)
        try sysroot.program(
            """
            e=\(sysroot.root)/boot/loader/entries d=\(sysroot.root)/ostree/deploy/rhcos/deploy
            v="sed -i s/^version.1/version\\ 9/ $e/ostree-1-rhcos.conf"
            case $* in
            *--help) echo '  set-default   x';;
            *status) echo '* rhcos \(new).0'; echo '  rhcos \(old).0';;
            *"set-default 1") \(effect);;
            esac
            """
        )
        let error = await #expect(throws: OSTreeError.self) {
            try await sysroot.adapter().makeDefault(sysroot.deployment(old))
        }
        #expect(error?.summary.contains(summary) == true, "\(error?.summary ?? "")")
        #expect(error?.exitStatus == .unavailable)
    }

    private func fixture(_ name: String) -> FilePath {
        FilePath(#filePath).removingLastComponent().appending("Fixtures").appending(name)
    }
}

/// A folder with the files of a sysroot, and a program in ostree's place that writes down its calls.
private final class FakeSysroot {
    private let directory: TemporaryDirectory
    let root: FilePath
    let programPath: FilePath

    init(empty: Bool = false) throws {
        directory = try TemporaryDirectory()
        root = directory / "root"
        programPath = directory / "ostree"
        try Shell.output(empty ? "mkdir \(root)" : "mkdir -p \(root)/ostree/repo \(root)/boot/loader/entries")
        try program("exit 1")
    }

    func adapter(_ running: RunningSystem? = nil) -> OSTreeDeployments {
        OSTreeDeployments(root: root, running: running, program: programPath.string, cancellation: Cancellation())
    }

    func program(_ script: String) throws {
        try Shell.output(
            "cat > \(programPath); chmod +x \(programPath)".withInput(
                "#!/bin/bash\necho \"$*\" >> \(root)/calls\n\(script)\n"
            )
        )
    }

    func calls() throws -> [String] {
        try Shell.output("cat \(root)/calls 2>/dev/null || true").split(separator: "\n").map(String.init)
            .filter { !$0.contains(" show ") }
    }

    func deployment(_ checksum: String, _ serial: Int = 0) -> Deployment {
        Deployment(
            osName: "rhcos",
            checksum: checksum,
            serial: serial,
            origin: nil,
            version: nil,
            kernelArguments: [],
            isBooted: false,
            isPinned: false,
            isStaged: false
        )
    }

    func stage(_ file: FilePath) throws {
        try Shell.output("mkdir -p \(root)/run/ostree; cp \(file) \(root)/run/ostree/staged-deployment")
    }

    /// Adds to a deployment what a boot needs beside its entry.
    func completeBoot(of checksum: String) throws {
        try Shell.output(
            """
            set -e; cd \(root); mkdir -p ostree/deploy/rhcos/deploy/\(checksum).0/usr ostree/repo/objects/\(checksum.prefix(2))
            echo x > ostree/repo/objects/\(checksum.prefix(2))/\(checksum.dropFirst(2)).commit
            k=boot/ostree/rhcos-\(String(repeating: "c", count: 64)); mkdir -p $k; echo x > $k/vmlinuz
            """
        )
    }

    func origin(_ checksum: String, _ serial: Int) -> FilePath {
        root.appending("ostree/deploy/rhcos/deploy/\(checksum).\(serial).origin")
    }

    @discardableResult
    func add(
        _ checksum: String,
        serial: Int = 0,
        version: Int = 0,
        origin text: String = "[origin]\nrefspec=os:stable\n",
        entry: Bool = true
    ) throws -> (folder: FilePath, argument: String) {
        let name = "\(checksum).\(serial)"
        let boot = String(repeating: "c", count: 64)
        let argument = "/ostree/boot.1/rhcos/\(boot)/\(version == 2 ? 0 : version)"
        try Shell.output(
            """
            set -e; cd \(root); d=ostree/deploy/rhcos/deploy
            mkdir -p $d/\(name) ostree/boot.1.1/rhcos/\(boot); ln -sfn boot.1.1 ostree/boot.1
            """
        )
        try Shell.output("cat > \(origin(checksum, serial))".withInput(text))
        if entry {
            try Shell.output("ln -s ../../../deploy/rhcos/deploy/\(name) \(root)\(argument)")
            try Shell.output(
                "cat > \(root)/boot/loader/entries/ostree-\(version)-rhcos.conf".withInput(
                    """
                    title Red Hat Enterprise Linux CoreOS 415.92 (Plow) (ostree:0)
                    version \(version)
                    options root=UUID=1 opt="a b" ostree=\(argument)
                    linux /ostree/rhcos-\(boot)/vmlinuz

                    """
                )
            )
        }
        return (root.appending("ostree/deploy/rhcos/deploy/\(name)"), argument)
    }
}

extension String {
    /// This shell line with a text on its standard input.
    fileprivate func withInput(_ text: String) -> String { "(\(self)) <<'END-OF-INPUT'\n\(text)END-OF-INPUT\n" }
}
