import ArgumentParser
import Reporting
import TestSupport
import Testing

@testable import node_recovery

@Suite("The help") struct HelpTests {
    private static let commands: [(root: any ParsableCommand.Type, command: any ParsableCommand.Type)] = [
        (NodeBackup.self, NodeBackup.Create.self), (NodeBackup.self, NodeBackup.List.self),
        (NodeBackup.self, NodeBackup.Show.self), (NodeBackup.self, NodeBackup.Verify.self),
        (NodeBackup.self, NodeBackup.Diff.self), (NodeBackup.self, NodeBackup.Extract.self),
        (NodeBackup.self, NodeBackup.Restore.self),
        (NodeBackup.self, NodeBackup.Prune.self), (NodeBackup.self, NodeBackup.Config.Show.self),
        (EtcdSnapshot.self, EtcdSnapshot.Save.self),
        (EtcdSnapshot.self, EtcdSnapshot.Status.self), (EtcdSnapshot.self, EtcdSnapshot.Verify.self),
        (EtcdSnapshot.self, EtcdSnapshot.Restore.self),
        (UpgradeRecovery.self, UpgradeRecovery.self),
    ]

    private static func help(_ index: Int) -> String {
        commands[index].root.helpMessage(for: commands[index].command, columns: 80)
    }

    @Test("of every command ends its story with an example and the exit statuses", arguments: commands.indices)
    func parts(index: Int) throws {
        let text = Self.help(index)
        #expect(text.contains("\n  $ "), "\(text)")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let title = try #require(lines.firstIndex(of: "EXIT STATUS:"))
        let statuses = lines[(title + 1)...].prefix { $0.hasPrefix("  ") }
            .compactMap { Int32($0.drop { $0 == " " }.prefix { $0.isNumber }) }
        #expect(statuses.first == 0)
        #expect(statuses == statuses.sorted())
        #expect(statuses.allSatisfy { ExitStatus(rawValue: $0) != nil })
        #expect(statuses.contains(ExitStatus.usage.rawValue))
    }

    @Test("fits on a terminal of 80 columns and says nothing twice", arguments: commands.indices)
    func width(index: Int) {
        let lines = Self.help(index).split(separator: "\n")
        // The parser does not break the line of the usage.
        #expect(lines.filter { $0.count > 80 && !$0.hasPrefix("USAGE: ") }.isEmpty)
        let options = lines.filter { $0.hasPrefix("  -") }
        #expect(Set(options).count == options.count)
    }

    @Test("has examples that fit on a line of 80 columns, so that none breaks inside a command") func examples() {
        let configurations = Self.commands.map { $0.command.configuration } + [NodeBackup.Doctor.configuration]
        let examples = configurations.flatMap { $0.discussion.split(separator: "\n") }.filter { $0.hasPrefix("  $ ") }
        #expect(examples.count > 15)
        // Of the examples of etcd-snapshot one goes on behind a backslash.
        for line in examples where !line.contains("etcd-snapshot ") {
            #expect(line.count <= 80, "\(line)")
        }
    }

    @Test("of create, word for word") func create() {
        #expect(
            NodeBackup.helpMessage(for: NodeBackup.Create.self, columns: 80).trimmed == """
                OVERVIEW: Take a recovery point.

                Reads the node and writes a new directory below DIR/points; nothing on the node
                itself changes, but for the pin on the booted ostree deployment. What has not
                changed is shared with an earlier recovery point, and read back like the rest.
                Earlier ones stay until the new one is verified. With --component or --skip the
                recovery point is a partial one: it never replaces a whole one. Needs root, and
                a file system of its own at DIR.

                  $ node-backup create --dry-run
                  $ node-backup create --keep 3 --timeout 8min

                EXIT STATUS:
                   0  the recovery point is complete and was read back
                  64  the command line cannot be understood
                  65  what etcd sent, or what was written, is damaged
                  66  a component cannot be found on this node
                  69  etcd or the container runtime does not answer
                  73  no space, or DIR is not a file system of its own
                  74  reading or writing failed
                  75  stopped by a signal, by --timeout, or another run is working
                  77  not root
                  78  the configuration cannot be used

                USAGE: node-backup create <options>

                OPTIONS:
                  --dir <dir>             The directory with the recovery points (default:
                                          /var/recovery).
                  --root <dir>            Treat DIR as the node's '/'. (default: /)
                  --config <file>         Read the configuration from FILE alone (default:
                                          /etc/node-recovery/config.toml below the root).
                  --profile <profile>     What kind of node this is: auto, openshift, kubeadm
                                          or plain. (values: auto, openshift, kubeadm, plain)
                  --json                  Print the result as JSON.
                  -q, --quiet             Print errors only.
                  -v, --verbose           Print every step.
                  -n, --dry-run           Print what would be done, and do nothing.
                  --keep <n>              Keep the newest N recovery points (default: 2).
                  --timeout <duration>    Give up after this long: 90s, 8min, 1h.
                  --component <name>      Take only this component; may be repeated.
                  --skip <name>           Leave this component out; may be repeated.
                  --exclude <pattern>     Leave this path or pattern out; may be repeated.
                  --level <level>         Compress at this level, 1 to 19 (default: follow the
                                          disk).
                  --jobs <n>              Compress with this many threads (default: one per
                                          processor).
                  --allow-rootfs          Accept a DIR on the root file system.
                  --skip-unreadable       List files that cannot be read and leave them out,
                                          instead of failing.
                  --no-verify             Do not read the recovery point back before it counts.
                  --etcd-endpoint <url>   etcd's client URL (default: found on the node).
                  --etcd-cacert <file>    The authority that signed etcd's certificate.
                  --etcd-cert <file>      Our certificate for etcd.
                  --etcd-key <file>       Our private key for etcd.
                  --metrics <file>        Write figures for node_exporter into FILE.
                  --version               Show the version.
                  -h, --help              Show help information.
                """
        )
    }
}

@Suite("The command line") struct CommandLineTests {
    private let directory: TemporaryDirectory
    private let tool: Tool

    init() throws {
        directory = try TemporaryDirectory()
        tool = try Tool(in: directory)
    }

    @Test(
        "answers to each of its names, and to each as the first argument",
        arguments: [
            ("node-backup", "node-backup"), ("upgrade-recovery", "upgrade-recovery"),
            ("upgrade-recovery.sh", "upgrade-recovery"), ("etcd-snapshot", "etcd-snapshot"),
        ]
    )
    func names(name: String, command: String) throws {
        for result in [
            try tool.run(name, ["--version"]),
            try tool.run("../bin/\(name)", ["--version"]),
        ] {
            #expect(result.status == 0, "\(result)")
            #expect(result.output == "\(command) \(Program.version)\n")
        }
        let direct = try Shell.run("'\(tool.program)' \(name) --version")
        #expect(direct.status == 0 && direct.output == "\(command) \(Program.version)\n", "\(direct)")
    }

    @Test("of the program's own name tells which commands there are") func ownName() throws {
        for arguments in ["", "frobnicate", "create"] {
            let result = try Shell.run("'\(tool.program)' \(arguments)")
            #expect(result.status == 64)
            #expect(result.output.contains("node-backup, upgrade-recovery, etcd-snapshot\nhint: "), "\(result)")
        }
        #expect(try Shell.output("'\(tool.program)' --version") == "node-recovery \(Program.version)\n")
        #expect(try Shell.output("'\(tool.program)' --help").contains("node-backup, upgrade-recovery, etcd-snapshot"))
    }

    @Test(
        "that cannot be understood ends with 64 and says why",
        arguments: [
            ("node-backup", "frobnicate", "Unexpected argument 'frobnicate'"),
            ("node-backup", "create --keep 0", "--keep takes a number from 1 to 1000"),
            ("node-backup", "create --keep many", "'many'"),
            ("node-backup", "create --level 20", "--level takes a number from 1 to 19"),
            ("node-backup", "create --jobs 0", "--jobs takes a number from 1 to 64"),
            ("node-backup", "create --timeout soon", "'soon'"),
            ("node-backup", "create --timeout", "--timeout"),
            ("node-backup", "create --profile mainframe", "'auto', 'openshift', 'kubeadm' or 'plain'"),
            ("node-backup", "create --exclude /../x", "--exclude '/../x' is not a path or pattern below the root"),
            (
                "node-backup", "create --component etcetera",
                "there is no component 'etcetera'; the components are etcd, "
            ),
            ("node-backup", "create --skip etcetera", "there is no component 'etcetera'"),
            ("node-backup", "create --quiet --verbose", "--quiet and --verbose exclude each other"),
            ("node-backup", "show seven", "'seven'"),
            ("node-backup", "verify 1 --all", "--all and a recovery point exclude each other"),
            ("node-backup", "extract 1", "component"),
            ("node-backup", "extract 1 etc", "--to"),
            ("node-backup", "prune --keep 0", "--keep takes a number from 1 to 1000"),
            ("etcd-snapshot", "save", "file"),
            ("etcd-snapshot", "save --endpoint nonsense x", "'nonsense' is not a client URL of etcd"),
            ("etcd-snapshot", "save x", "takes --cacert, --cert and --key"),
            ("upgrade-recovery", "--resume --restart", "exclude each other"),
            ("upgrade-recovery", "--resume --point 3", "--point goes with none of --resume, --undo and --abort"),
            ("upgrade-recovery", "--resume --without-undo", "--resume continues with"),
            ("upgrade-recovery", "13", "did you mean --point 13?"),
            ("upgrade-recovery", "--skip-check everything", "'everything'"),
            ("upgrade-recovery", "--keep-path /../x", "--keep-path '/../x' is not a path or pattern below the root"),
            ("upgrade-recovery", "launchRocket", "'launchRocket'"),
        ]
    )
    func usage(name: String, arguments: String, text: String) throws {
        let result = try tool.run(name, arguments.split(separator: " ").map(String.init))
        #expect(result.status == 64, "\(result)")
        #expect(result.errors.contains(text), "\(result)")
        #expect(result.output.isEmpty)
    }
}
