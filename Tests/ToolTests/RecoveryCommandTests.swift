import SystemPackage
import TestSupport
import Testing

@Suite("upgrade-recovery", FailedNodes()) struct RecoveryCommandTests {
    private let node: FailedNode

    init() throws { node = try FailedNodes.node() }

    private static let ways = [
        ("a bit is flipped", "printf '\\377' | dd of=$f bs=1 seek=$((size / 2)) conv=notrunc status=none"),
        ("its end is missing", "truncate -s -3 $f"), ("it is empty", ": > $f"), ("it is missing", "rm $f"),
    ]

    @Test("refuses a recovery point that is damaged in any of 30 ways with 65 and the file's name, and changes nothing")
    func damaged() throws {
        let trial = try node.trial("damaged")
        let before = try trial.everything()
        let other = try FailedNode()
        let files = [
            "etcd.snapshot.zst", "etc.tar.zst", "etc.files.zst", "static-pods.tar.zst", "kubelet.files.zst",
            "usr-local.tar.zst", "machine-config.tar.zst", "manifest.json",
        ]
        var count = 0
        func damage(_ file: String, _ what: String, _ line: String) throws {
            count += 1
            try Shell.output(
                """
                set -e
                rm -rf '\(trial.store)/points/1'; cp -a '\(node.template.store)/points/1' '\(trial.store)/points/1'
                cd '\(trial.store)/points/1'
                f=\(file); size=$(stat -c %s $f)
                \(line)
                """
            )
            let result = try trial.run("--point", "1")
            #expect(result.status == 65, "\(file), \(what): \(result)")
            // an index that does not fit its archive: the two are named by either
            let name = what.contains("another") ? String(file.prefix { $0 != "." }) : file
            #expect(result.errors.contains("points/1/\(name)"), "\(file), \(what): \(result)")
            #expect(result.errors.contains("\nhint: "), "\(file), \(what): \(result)")
            #expect(try trial.leftovers() == "", "\(file), \(what)")
        }
        for file in files { for (what, line) in Self.ways { try damage(file, what, line) } }
        for file in ["etcd.snapshot.zst", "kubelet.tar.zst", "kubelet.files.zst"] {
            try damage(file, "it is another node's", "cp '\(other.template.store)/points/1/\(file)' $f")
        }
        #expect(count >= 30)
        let difference = FailedNode.difference(try trial.everything(), before)
        #expect(difference == "", "\(difference)")
    }

    @Test("refuses another node's recovery point with 78, and changes nothing") func otherNode() throws {
        let trial = try node.trial("other-node")
        try Shell.output("echo node-8 > '\(trial.root)/etc/hostname'")
        let before = try trial.everything()
        let result = try trial.run()
        #expect(result.status == 78, "\(result)")
        #expect(result.errors.contains("'node-7'") && result.errors.contains("--skip-check identity"), "\(result)")
        #expect(try trial.everything() == before)
    }

    @Test("shows what it would do and changes nothing, as text and as JSON") func dryRun() throws {
        let trial = try node.trial("dry-run")
        let before = try trial.everything()
        let text = try trial.run("--dry-run")
        #expect(text.status == 0, "\(text)")
        for name in ["etc/file-2", "etc/left/behind", "usr/local/bin/program-1"] {
            #expect(text.output.contains(name), "\(text)")
        }
        let plan = try JSON(parsing: try trial.run("--dry-run", "--json").output)
        #expect(plan["generation"].integer == 1)
        #expect(plan["trees"].items.contains { $0["component"].text == "etc" && ($0["written"].integer ?? 0) > 3 })
        #expect(plan["steps"].items.count == 30)
        #expect(try trial.everything() == before)
        #expect(try trial.leftovers() == "")
    }

    @Test("stops after each phase with --step, and tells with --status how far it is") func step() throws {
        let trial = try node.trial("step")
        #expect(try trial.run("--status").output == "No recovery has been started here.\n")
        var result = try trial.run("--step")
        for phase in ["files", "cluster", "settle"] {
            #expect(result.status == 75, "\(result)")
            #expect(result.errors.contains("paused before the phase '\(phase)'"), "\(result)")
            let status = try JSON(parsing: try trial.run("--status", "--json").output)
            #expect(status["state"].text == "under-way")
            let command = try #require(status["command"].text)
            #expect(command.hasPrefix("upgrade-recovery --resume "))
            #expect(command.contains("--dir \(trial.store)") && command.contains("--root \(trial.root)"))
            #expect(status["steps"].items.first { $0["state"].text == "pending" }?["phase"].text == phase)
            #expect(try trial.run("--status").output.contains("Type: upgrade-recovery --resume"))
            result = try trial.run("--resume", "--step")
        }
        #expect(result.status == 0, "\(result)")
        #expect(try JSON(parsing: try trial.run("--status", "--json").output)["state"].text == "done")
        #expect(FailedNode.difference(try trial.state(), node.end) == "")
    }

    @Test("is under way for backups and other recoveries: 79, nothing changed; --restart says what it forgets")
    func underWay() throws {
        let trial = try node.trial("under-way")
        // a file system of its own, as backups want it
        try Shell.output(
            """
            cd '\(trial.place)' && mv recovery aside && mkdir recovery && mount -t tmpfs -o size=200m test recovery
            cp -a aside/. recovery/ && rm -r aside
            """
        )
        _ = try trial.run("--step")
        _ = try trial.run("--resume", "--step")
        let before = try trial.everything() + Shell.output("ls '\(trial.store)/points'")
        for words in [["--take-backup"], ["launchBackup"], []] {
            let result = try node.tool.run(
                "upgrade-recovery",
                ["--root", trial.root.string, "--dir", trial.store.string] + words
            )
            #expect(result.status == 79, "\(words): \(result)")
            #expect(result.errors.contains("\nhint: "), "\(words): \(result)")
        }
        // What makes room is not refused, and keeps what the recovery needs.
        let prune = try node.tool.run("node-backup", ["prune", "--keep", "1", "--dir", trial.store.string])
        #expect(prune.status == 0, "\(prune)")
        #expect(prune.output.contains("kept 1: in use by the current recovery\n"), "\(prune)")
        #expect(try trial.everything() + Shell.output("ls '\(trial.store)/points'") == before)
        let restart = try trial.run("--restart")
        #expect(restart.status == 0, "\(restart)")
        #expect(restart.errors.contains("Forgot the steps verify, identity, certificates"), "\(restart)")
        #expect(FailedNode.difference(try trial.state(), node.end) == "")
    }

    @Test("tells a second run at once who holds the lock, and somebody else to become root") func lock() throws {
        let trial = try node.trial("lock")
        let first = try node.tool.start(
            "upgrade-recovery",
            ["--root", trial.root.string, "--dir", trial.store.string],
            under: [
                "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=syncfs", "-e",
                "inject=syncfs:delay_enter=2s:when=1",
            ]
        )
        try Shell.output("for i in $(seq 500); do [ -e '\(trial.store)/journal' ] && exit 0; sleep 0.01; done; exit 1")
        let second = try trial.run()
        #expect(second.status == 75, "\(second)")
        #expect(second.errors.contains("upgrade-recovery (process "), "\(second)")
        #expect(try first.wait().status == 0)
        let begins = try node.trial("no-root")
        let result = try node.tool.run(
            "upgrade-recovery",
            ["--root", begins.root.string, "--dir", begins.store.string],
            under: [
                "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=geteuid", "-e", "inject=geteuid:retval=1000",
            ]
        )
        #expect(result.status == 77, "\(result)")
        #expect(result.errors.contains("sudo"), "\(result)")
    }

    @Test("leaves kept paths as they are") func keepPath() throws {
        let trial = try node.trial("keep")
        let result = try trial.run("--keep-path", "etc/file-2", "--keep-path", "etc/left")
        #expect(result.status == 0, "\(result)")
        #expect(
            try Shell.output("cat '\(trial.root)/etc/file-2' '\(trial.root)/etc/left/behind/file'") == "half\nnew\n"
        )
        #expect(try Shell.output("cat '\(trial.root)/etc/file-3'") == "file 3\n")
    }

    @Test("goes back to the failed state with --undo, file by file, etcd included, and forth again") func undo() throws
    {
        let trial = try node.trial("undo")
        func files() throws -> String {
            try trial.state().split(separator: "\n")
                .filter {
                    !$0.contains("var/lib/etcd") && !$0.contains("opt/site d ") && $0.contains(" ./")
                        || $0.hasPrefix("./")
                }
                .filter { !$0.hasPrefix("./opt/site d ") }.joined(separator: "\n")
        }
        let failed = try files()
        #expect(try trial.run().status == 0)
        let recovered = try files()
        #expect(recovered != failed)
        let undo = try trial.run("--undo")
        #expect(undo.status == 0, "\(undo)")
        #expect(FailedNode.difference(try files(), failed) == "")
        let database = "\(trial.root)/var/lib/etcd/member/snap/db"
        #expect(try Shell.output("cat '\(database)'") == "the database of the failed etcd\n")
        let redo = try trial.run("--undo")
        #expect(redo.status == 0, "\(redo)")
        #expect(FailedNode.difference(try files(), recovered) == "")
        #expect(try "\(trial.etcd())" == node.etcdAtEnd)
    }
}
