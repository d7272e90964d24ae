import Glibc
import SystemPackage
import TestSupport
import Testing

@Suite("A backup that cannot be taken", .enabled(if: Tier.live.isWanted, Tier.live.comment))
struct BadInputTests {
    /// Expects that a run ended as it must, with its message and its hint, and left the recovery points alone.
    private func expect(
        _ result: Tool.Result,
        _ status: Int32,
        says text: String,
        hint: String?,
        on node: SmallNode,
        as points: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(result.status == status, "\(result)", sourceLocation: sourceLocation)
        let lines = result.errors.split(separator: "\n").map(String.init)
        let message = lines.last { $0.hasPrefix("node-backup: ") } ?? ""
        #expect(message.contains(text), "\(result)", sourceLocation: sourceLocation)
        #expect(!message.hasSuffix(".") && !message.contains("Error:"), "\(message)", sourceLocation: sourceLocation)
        let advice = lines.last { $0.hasPrefix("hint: ") }
        if let hint {
            #expect(advice?.contains(hint) == true, "\(result)", sourceLocation: sourceLocation)
        } else {
            #expect(advice == nil, "\(result)", sourceLocation: sourceLocation)
        }
        #expect(result.output.isEmpty, "\(result)", sourceLocation: sourceLocation)
        let after = try node.points()
        #expect(after == points, sourceLocation: sourceLocation)
        let halves = try Shell.output("ls '\(node.store)/points' | grep -F . || true")
        #expect(halves == "", sourceLocation: sourceLocation)
    }

    @Test("for want of root says so") func notRoot() throws {
        let node = try SmallNode(copyOfProgram: true)
        let points = try node.points()
        try Shell.output("chmod 755 '\(node.directory.path)'")
        let result = try node.create(under: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
        try expect(result, 77, says: "can only be taken by root", hint: "sudo", on: node, as: points)
    }

    @Test("for want of a place says so") func noPlace() throws {
        let node = try SmallNode()
        let points = try node.points()
        let missing = node.directory / "missing"
        try expect(
            try node.create("--dir", missing.string),
            73,
            says: "the directory for recovery points '\(missing)' does not exist",
            hint: "mount the recovery partition at '\(missing)'",
            on: node,
            as: points
        )
        let plain = node.directory / "plain"
        try Shell.output("mkdir '\(plain)'")
        try expect(
            try node.create("--dir", plain.string),
            73,
            says: "'\(plain)' is not a file system of its own",
            hint: "insist with --allow-rootfs",
            on: node,
            as: points
        )
        #expect(try Shell.output("ls -A '\(plain)'") == "")
        #expect(try node.create("--dir", plain.string, "--allow-rootfs").status == 0)
        try expect(
            try node.create("--root", missing.string),
            66,
            says: "could not open '\(missing)': No such file or directory",
            hint: nil,
            on: node,
            as: points
        )
        try Shell.output("mount -o remount,ro '\(node.store)'")
        try expect(
            try node.create(),
            73,
            says: "'\(node.store)",
            hint: "findmnt",
            on: node,
            as: points
        )
    }

    @Test("with a configuration that cannot be used names the line") func configuration() throws {
        let node = try SmallNode()
        let points = try node.points()
        let file = node.directory / "config.toml"
        for (text, says) in [
            ("kep = 3", "'\(file)', line 1: there is no key 'kep'; did you mean 'keep'?"),
            ("\n[etcd]\nendpiont = 'x'", "'\(file)', line 3: there is no key 'etcd.endpiont'"),
            ("profile = \"mainframe\"", "'\(file)', line 1: 'profile' must be \"auto\", \"openshift\""),
            ("keep = \"two\"", "'\(file)', line 1: 'keep' must be a number from 1 to 1000"),
            ("keep = ", "'\(file)', line 1: "),
        ] {
            try Shell.output("cat > '\(file)' <<< \"$TEXT\"", environment: ["TEXT": text])
            let result = try node.create("--config", file.string)
            try expect(result, 78, says: says, hint: "fix the line in '\(file)'", on: node, as: points)
        }
        try Shell.output("rm '\(file)'")
        try expect(
            try node.create("--config", file.string),
            78,
            says: "'\(file)': could not be read: No such file or directory",
            hint: "--config",
            on: node,
            as: points
        )
        // The default ones count as well.
        for place in [
            "usr/lib/node-recovery/config.toml", "usr/lib/node-recovery/config.d/1.toml",
            "etc/node-recovery/config.toml", "etc/node-recovery/config.d/1.toml",
        ] {
            let file = node.root.appending(place)
            try Shell.output("mkdir -p '\(file.removingLastComponent())'; echo kep=3 > '\(file)'")
            try expect(
                try node.create(),
                78,
                says: "'\(file)', line 1: there is no key 'kep'",
                hint: "fix the line",
                on: node,
                as: points
            )
            try Shell.output("rm '\(file)'")
        }
    }

    @Test("with a component that there is not lists those that there are") func unknownComponent() throws {
        let node = try SmallNode()
        let points = try node.points()
        for option in ["--component", "--skip"] {
            let result = try node.create(option, "etcetera")
            try expect(
                result,
                64,
                says: "there is no component 'etcetera'; the components are etcd, static-pods, etc,",
                hint: nil,
                on: node,
                as: points
            )
        }
        try expect(
            try node.create("--component", "machine-config"),
            66,
            says: "component 'machine-config' cannot be taken: the node has no machine config",
            hint: "leave it out with --skip machine-config",
            on: node,
            as: points
        )
    }

    // MARK: etcd

    @Test("from an etcd that does not answer, or not to us, tells the reasons apart") func etcd() throws {
        let node = try SmallNode()
        let points = try node.points()
        let pki = node.directory / "pki"
        try Shell.output("\(testbed("certificates")) \(pki) ecdsa")
        let etcd = try RunningEtcd(in: node.directory / "etcd", certificates: (pki, "server-ip"))
        func create(host: String = "127.0.0.1", ca: String = "ca", client: String = "client") throws -> Tool.Result {
            try node.create(
                "--etcd-endpoint",
                "https://\(host):\(etcd.port)",
                "--etcd-cacert",
                "\(pki)/\(ca).crt",
                "--etcd-cert",
                "\(pki)/\(client).crt",
                "--etcd-key",
                "\(pki)/\(client).key"
            )
        }
        let url = "https://127.0.0.1:\(etcd.port)"
        try expect(
            try create(ca: "foreign-ca"),
            69,
            says:
                "the certificate of '\(url)' is not trusted: signed by 'CN = ca', which is not in '\(pki)/foreign-ca.crt'",
            hint: "--etcd-cacert",
            on: node,
            as: points
        )
        try expect(
            try create(client: "client-foreign"),
            69,
            says: "'\(url)' refused our certificate '\(pki)/client-foreign.crt'",
            hint: "--etcd-cert and --etcd-key",
            on: node,
            as: points
        )
        try expect(
            try create(client: "client-expired"),
            69,
            says: "it expired on 2021-01-01 00:00:00 UTC",
            hint: "--etcd-cert",
            on: node,
            as: points
        )
        let wrongHost = try create(host: "localhost")
        #expect(wrongHost.errors.contains("it is for 127.0.0.1 only"), "\(wrongHost)")
        #expect(wrongHost.status == 69)
        let missing = try create(client: "nobody")
        #expect(missing.errors.contains("cannot read '\(pki)/nobody.crt'"), "\(missing)")
        #expect(try create().status == 0)
        let taken = try node.points()
        etcd.end()
        try expect(
            try create(),
            69,
            says: "cannot connect to '\(url)': Connection refused",
            hint: "check whether etcd is running",
            on: node,
            as: taken
        )
        try expect(
            try node.create("--etcd-endpoint", "nonsense"),
            78,
            says: "'nonsense' is not a client URL of etcd",
            hint: "--etcd-endpoint, such as https://127.0.0.1:2379",
            on: node,
            as: taken
        )
        try expect(
            try node.create("--profile", "kubeadm"),
            66,
            says: "no etcd was found on this kubeadm node",
            hint: "--skip etcd",
            on: node,
            as: taken
        )
    }

    @Test("from an etcd whose stream stalls, ends early or brings damage keeps nothing of it") func stream() throws {
        let node = try SmallNode()
        let points = try node.points()
        let config = node.directory / "config.toml"
        try Shell.output("printf '[etcd]\\nstall_limit = \"2s\"\\n' > '\(config)'")
        for (behaviour, status, text) in [
            (PartialEtcd.Behaviour.stall, Int32(69), "ended early: 512.0 KiB of 1.0 MiB ("),
            (.hangUp, 69, "ended early: 512.0 KiB of 1.0 MiB"), (.wrongDigest, 69, "its SHA-256 is not the one"),
            (.garbage, 65, "the snapshot from 'http://127.0.0.1:"),
        ] {
            let etcd = try PartialEtcd(behaviour)
            let result = try node.create("--config", config.string, "--etcd-endpoint", etcd.url)
            try expect(result, status, says: text, hint: "etcd's own log", on: node, as: points)
            #expect(try node.status()["state"].text == "UnrecoverableError")
            #expect(try node.status()["error"]["exit_status"].integer == Int64(status))
        }
    }

    // MARK: stopped

    @Test("because another run is working tells who, and that one is stopped by SIGTERM without a trace")
    func lockAndSignal() throws {
        let node = try SmallNode()
        let points = try node.points()
        let etcd = try PartialEtcd(.stall)
        let first = try node.tool.start("node-backup", node.words("create", ["--etcd-endpoint", etcd.url]))
        try Shell.output(
            "for i in $(seq 600); do grep -q '\"component\" : \"etcd\"' '\(node.store)/status.json' && exit; sleep 0.05; done; exit 1"
        )
        #expect(try Shell.output("ls '\(node.store)/points'") == "1\n2.partial\n")
        #expect(try node.status()["component"].text == "etcd")
        #expect(try node.status()["pid"].integer == Int64(first.pid))
        for command in ["create", "prune"] {
            let second = try node.backup(command)
            #expect(second.status == 75, "\(second)")
            #expect(
                second.errors.contains(
                    "node-backup: another run is working in '\(node.store)': node-backup create (process \(first.pid), since "
                ),
                "\(second)"
            )
            #expect(second.errors.contains("hint: wait until it has ended"), "\(second)")
        }
        // Who only looks is not kept out.
        #expect(try node.backup("list").status == 0)
        #expect(try node.backup("verify", "1").status == 0)
        let verified = try node.points()
        first.signal(SIGTERM)
        let result = try first.wait()
        try expect(result, 75, says: "stopped by SIGTERM before it was done", hint: nil, on: node, as: verified)
        #expect(try node.status()["state"].text == "BackupTimeout")
        #expect(try node.status()["error"]["exit_status"].integer == 75)
        #expect(verified.split(separator: "\n").count == points.split(separator: "\n").count)
        #expect(try node.create().status == 0)
    }

    @Test("within its time limit leaves nothing behind") func timeout() throws {
        let node = try SmallNode()
        let points = try node.points()
        let etcd = try PartialEtcd(.stall)
        let result = try node.create("--etcd-endpoint", etcd.url, "--timeout", "1s")
        try expect(result, 75, says: "stopped: not done within the limit of 1.0 s", hint: nil, on: node, as: points)
        #expect(try node.status()["state"].text == "BackupTimeout")
        let last = node.directory / "last-words"
        try Shell.output("touch '\(last)'")
        let etcd2 = try PartialEtcd(.stall)
        _ = try node.create("--etcd-endpoint", etcd2.url, "--timeout", "1s", "--termination-log", last.string)
        let words = try JSON(parsing: try Shell.output("cat '\(last)'"))
        #expect(words["state"].text == "BackupTimeout")
    }

    @Test("after a run that was cut removes what that one left, and works") func leftovers() throws {
        let node = try SmallNode()
        try Shell.output(
            """
            cd '\(node.store)/points'
            cp -a 1 7.partial; rm 7.partial/manifest.json; cp -a 1 5.removing; rm 5.removing/etc.tar.zst
            mkdir -p 7.partial/sub/sub; mkfifo 7.partial/sub/pipe
            """
        )
        // Neither counts as a recovery point.
        let listed = try JSON(parsing: try node.backup("list", "--json").output)
        #expect(listed.items.map { $0["generation"].integer } == [1])
        let result = try node.create()
        #expect(result.status == 0, "\(result)")
        #expect(result.errors.contains("Removed '7.partial', left by an interrupted run"), "\(result)")
        #expect(try Shell.output("ls '\(node.store)/points'") == "1\n2\n")
        #expect(try node.backup("verify", "--all").status == 0)
    }

    // MARK: space and faults of the disk

    @Test("for want of space says so before it writes a byte") func noSpace() throws {
        let node = try SmallNode()
        let points = try node.points()
        try Shell.output("fallocate -l 4G '\(node.root)/usr/local/image'")
        let result = try node.create()
        try expect(
            result,
            73,
            says: "not enough space in '\(node.store)': about 2.4 GiB needed, ",
            hint: "node-backup prune --keep 1 --dir \(node.store)",
            on: node,
            as: points
        )
        let plan = try node.create("--dry-run")
        #expect(plan.status == 0)
        #expect(plan.output.contains("NOT ENOUGH"), "\(plan)")
    }

    @Test("because the file system fills up on the way leaves the others as they were, wherever that was")
    func fillsUp() throws {
        let node = try SmallNode(takesPoint: false)
        // Zeros make the next forecast believe that little space is needed, random bytes then take all of it.
        let files = ["etc/image", "usr/local/image", "var/lib/kubelet/image"].map { "'\(node.root)/\($0)'" }
        for file in files { try Shell.output("head -c 4M /dev/zero > \(file)") }
        let first = try node.create()
        try #require(first.status == 0, "\(first)")
        for file in files { try Shell.output("head -c 24M /dev/urandom > \(file)") }
        var points = try node.points()
        let used = Int(try Shell.output("df -k --output=used '\(node.store)' | tail -n 1").trimmed) ?? 0
        var places: [String: Int] = [:]

        /// Runs with so much free space in KiB, and tells whether it was enough.
        func isEnough(_ free: Int) throws -> Bool {
            try Shell.output("mount -o remount,size=\(used + free)k '\(node.store)'")
            let result = try node.create()
            if result.status == 0 { return true }
            #expect(result.status == 73, "\(free): \(result)")
            let message = result.errors.split(separator: "\n").last { $0.hasPrefix("node-backup: ") } ?? ""
            #expect(message.hasSuffix(": No space left on device"), "\(free): \(result)")
            #expect(result.errors.contains("\nhint: "), "\(free): \(result)")
            places[String(message.drop { $0 != "'" }), default: 0] += 1
            #expect(try node.points() == points, "\(free): \(result)")
            return false
        }

        // In steps of 2 MiB until it is enough, then in small ones through the end of the run.
        var free = 34 << 10
        while try !isEnough(free) {
            free += 2 << 10
            try #require(free < 96 << 10)
        }
        try Shell.output("rm -r '\(node.store)/points/2'; ln -sfn points/1 '\(node.store)/latest'")
        points = try node.points()
        for less in stride(from: 2 << 10, to: 0, by: -64) {
            if try isEnough(free - less) { break }
        }
        #expect(places.count >= 3 && places.values.reduce(0, +) >= 15, "\(places)")
        #expect(try node.backup("verify", "--all").status == 0)
    }

    @Test("for want of inodes leaves nothing behind, wherever that was") func fillsUpWithFiles() throws {
        let node = try SmallNode()
        try node.touchEverything()
        let points = try node.points()
        let used = Int(try Shell.output("df --output=iused '\(node.store)' | tail -n 1").trimmed) ?? 0
        var failures = 0
        for more in 0..<40 {
            try Shell.output("mount -o remount,nr_inodes=\(used + more) '\(node.store)'")
            let result = try node.create()
            if result.status == 0 { break }
            failures += 1
            #expect(result.status == 73, "\(result)")
            #expect(result.errors.contains(": No space left on device\nhint: "), "\(result)")
            #expect(try node.points() == points, "after \(more) more inodes: \(result)")
        }
        #expect(failures >= 8 && failures < 40, "\(failures)")
        #expect(try node.backup("verify", "--all").status == 0)
    }

    @Test("because a file of the node cannot be read names it; with --skip-unreadable it is listed") func unreadable()
        throws
    {
        let node = try SmallNode()
        try node.touchEverything()
        let points = try node.points()
        let file = node.root.appending("usr/local/bin/program-2")
        let wrapper = [
            "strace", "-f", "-qq", "-o", "/dev/null", "-P", file.string, "-e",
            "inject=pread64,read,preadv:error=EIO",
        ]
        let result = try node.create(under: wrapper)
        try expect(
            result,
            74,
            says: "usr/local/bin/program-2': Input/output error",
            hint: "dmesg",
            on: node,
            as: points
        )
        let skipping = try node.create("--skip-unreadable", under: wrapper)
        #expect(skipping.status == 0, "\(skipping)")
        let manifest = try JSON(parsing: try node.backup("show", "--json").output)
        #expect(
            manifest["components"].named("usr-local")["unreadable"].items.map { $0["path"].text } == [
                "usr/local/bin/program-2"
            ]
        )
    }

    @Test("ends quietly when nobody reads what it prints") func brokenPipe() throws {
        let node = try SmallNode()
        try Shell.output(
            "cd '\(node.root)/etc'; for i in $(seq 4000); do : > a-file-with-a-name-of-some-length-that-fills-the-pipe-soon-$i; done"
        )
        let line = node.words("diff").map { "'\($0)'" }.joined(separator: " ")
        let result = try Shell.run(
            "( '\(node.tool.path("node-backup"))' \(line) 2> '\(node.directory / "err")'; echo $? > '\(node.directory / "rc")' ) | head -n 1"
        )
        #expect(result.output.hasPrefix("+ /etc/") || result.output.hasPrefix("M /etc"), "\(result)")
        #expect(try Shell.output("cat '\(node.directory / "err")' '\(node.directory / "rc")'") == "0\n")
    }
}
