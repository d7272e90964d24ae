import Backup
import Configuration
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("config show") struct ConfigShowTests {
    private let directory: TemporaryDirectory
    private let tool: Tool

    init() throws {
        directory = try TemporaryDirectory()
        tool = try Tool(in: directory)
        try Shell.output("mkdir -p '\(directory / "node")'/{etc,usr/lib}/node-recovery")
    }

    private var root: FilePath { directory / "node" }

    private func show(_ arguments: String...) throws -> Tool.Result {
        try tool.run("node-backup", ["config", "show", "--root", root.string] + arguments)
    }

    @Test("prints every key with its value and where that comes from") func origins() throws {
        try Shell.output(
            """
            printf 'keep = 3\\nlevel = 5\\n' > '\(root)/usr/lib/node-recovery/config.toml'
            printf '\\n[etcd]\\nendpoint = "http://127.0.0.1:1"\\n' > '\(root)/etc/node-recovery/config.toml'
            """
        )
        let result = try show("--dir", "/mnt/points")
        #expect(result.status == 0, "\(result)")
        let lines = result.output.split(separator: "\n").map { line in
            line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
        for line in [
            "dir = \"/mnt/points\" # --dir",
            "profile = \"auto\" # default",
            "keep = 3 # \(root)/usr/lib/node-recovery/config.toml:1",
            "level = 5 # \(root)/usr/lib/node-recovery/config.toml:2",
            "# jobs: one per processor # not set",
            "[etcd]",
            "endpoint = \"http://127.0.0.1:1\" # \(root)/etc/node-recovery/config.toml:3",
        ] {
            #expect(lines.contains(line), "\(line)\n\(result.output)")
        }
        for key in SettingsSchema.keys {
            #expect(lines.contains { $0.hasPrefix("\(key.name) = ") || $0.hasPrefix("# \(key.name): ") }, "\(key.name)")
        }
    }

    @Test("prints what reads back as the same configuration") func roundTrip() throws {
        try Shell.output(
            "printf 'jobs = 2\\n[components]\\nexclude = [\"/a b\", \"c*\"]\\n' > '\(root)/etc/node-recovery/config.toml'"
        )
        let text = try show().output
        var read = LayeredSettings()
        try read.apply(text, file: "shown")
        #expect(read.settings.jobs == 2)
        #expect(read.settings.excludedPaths == ["/a b", "c*"])
        #expect(read.settings.keep == Settings().keep)
        try Shell.output("cat > '\(directory / "shown.toml")' <<< \"$TEXT\"", environment: ["TEXT": text])
        let again = try show("--config", (directory / "shown.toml").string)
        let strip = { (text: String) in text.split(separator: "\n").map { $0.split(separator: "#")[0] } }
        #expect(strip(again.output) == strip(text))
    }

    @Test("has the same as JSON, each value in its own type") func json() throws {
        try Shell.output("printf 'timeout = \"90s\"\\n' > '\(root)/etc/node-recovery/config.toml'")
        let settings = try JSON(parsing: try show("--json").output)["settings"]
        #expect(settings.items.map { $0["key"].text } == SettingsSchema.keys.map(\.fullName))
        let named = { (name: String) in settings.items.first { $0["key"].text == name } ?? .null }
        #expect(named("keep")["value"].integer == 2)
        #expect(named("keep")["origin"].text == "default")
        #expect(named("timeout")["value"].text == "90s")
        #expect(named("timeout")["origin"].text == "file")
        #expect(named("timeout")["line"].integer == 1)
        #expect(named("timeout")["file"].text == "\(root)/etc/node-recovery/config.toml")
        #expect(named("level")["unset"].text == "follows the disk")
    }

    @Test("refuses what the files must not say, as every command does") func refused() throws {
        try Shell.output("echo kep=3 > '\(root)/usr/lib/node-recovery/config.toml'")
        let result = try show()
        #expect(result.status == 78)
        #expect(result.errors.contains("'\(root)/usr/lib/node-recovery/config.toml', line 1: there is no key 'kep'"))
        #expect(result.output.isEmpty)
    }

    @Test("has the defaults that a backup has") func defaults() {
        let request = BackupRequest(directory: "/", jobs: 1, toolVersion: "")
        #expect(request.keep == Settings().keep)
        #expect(request.etcd.stallLimit == Settings().etcdStallLimit)
        #expect(WellKnownPaths.recovery.string == Settings().directory)
    }
}
