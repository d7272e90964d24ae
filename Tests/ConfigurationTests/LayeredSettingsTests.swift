import Configuration
import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("The layers of the configuration") struct LayeredSettingsTests {
    private static let directories: [FilePath] = ["/usr/lib/node-recovery", "/etc/node-recovery"]
    /// Every place of a file, the one that counts least first.
    private static let files = [
        "usr/lib/node-recovery/config.toml", "usr/lib/node-recovery/config.d/10-a.toml",
        "usr/lib/node-recovery/config.d/20-b.toml", "etc/node-recovery/config.toml",
        "etc/node-recovery/config.d/05-z.toml", "etc/node-recovery/config.d/10-a.toml",
    ]

    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        for place in ["usr/lib", "etc"] {
            try Shell.output("mkdir -p '\(directory / "node")/\(place)/node-recovery/config.d'")
        }
    }

    private func write(_ text: String, to file: String) throws {
        try Shell.output("printf '%s' \"$TEXT\" > '\(directory / "node")/\(file)'", environment: ["TEXT": text])
    }

    private func read() throws -> LayeredSettings {
        var layers = LayeredSettings()
        try layers.read(Self.directories, in: RootDirectory(path: directory / "node"))
        return layers
    }

    private func key(_ name: String) throws -> SettingsSchema.Key {
        try #require(SettingsSchema.keys.first { $0.fullName == name })
    }

    @Test("are the defaults where there is no file at all") func none() throws {
        try Shell.output("rm -r '\(directory / "node")'/*")
        let layers = try read()
        #expect(layers == LayeredSettings())
        #expect(layers.settings == Settings())
        #expect(SettingsSchema.keys.allSatisfy { layers.origin(of: $0) == .default })
    }

    @Test("win in the order of their places, whichever are there", arguments: 1..<64) func order(set: Int) throws {
        let present = Self.files.indices.filter { set >> $0 & 1 == 1 }
        for index in present { try write("\nkeep = \(index + 10)\n", to: Self.files[index]) }
        let layers = try read()
        let last = try #require(present.last)
        #expect(layers.settings.keep == last + 10)
        #expect(
            layers.origin(of: try key("keep")) == .file("\(directory / "node")/\(Self.files[last])", line: 2)
        )
    }

    @Test("keep what a later one does not name, and each value knows its line") func mixed() throws {
        try write("keep = 4\n[etcd]\nstall_limit = \"9s\"\n", to: Self.files[0])
        try write("# a comment\nlevel = 7\n\n[etcd]\nkey = \"/k\"\n", to: Self.files[4])
        let layers = try read()
        let root = directory / "node"
        #expect(layers.settings.keep == 4)
        #expect(layers.settings.level == 7)
        #expect(layers.settings.etcdStallLimit == .seconds(9))
        #expect(layers.origin(of: try key("keep")) == .file("\(root)/\(Self.files[0])", line: 1))
        #expect(layers.origin(of: try key("etcd.stall_limit")) == .file("\(root)/\(Self.files[0])", line: 3))
        #expect(layers.origin(of: try key("etcd.key")) == .file("\(root)/\(Self.files[4])", line: 5))
        #expect(layers.origin(of: try key("level")) == .file("\(root)/\(Self.files[4])", line: 2))
        #expect(layers.origin(of: try key("jobs")) == .default)
    }

    @Test("give way to an option") func option() throws {
        try write("dir = \"/a\"\n", to: Self.files[5])
        var layers = try read()
        layers.apply(option: "--dir", to: "dir") { $0.directory = "/b" }
        #expect(layers.settings.directory == "/b")
        #expect(layers.origin(of: try key("dir")) == .option("--dir"))
    }

    @Test("refuse a key that is not known in each of them, with file and line", arguments: files)
    func unknownKey(file: String) throws {
        try write("keep = 3\n\nkep = 3\n", to: file)
        let error = #expect(throws: ConfigurationError.self) { try read() }
        #expect(error?.summary.hasPrefix("'\(directory / "node")/\(file)', line 3: there is no key 'kep'") == true)
        #expect(error?.exitStatus.rawValue == 78)
    }

    @Test("pass over what is not called .toml") func otherNames() throws {
        try write("kep = 3\n", to: "etc/node-recovery/config.d/10-a.toml.dpkg-old")
        #expect(try read().settings == Settings())
    }

    @Test("follow links inside the root only") func links() throws {
        try write("keep = 9\n", to: "etc/real.toml")
        try Shell.output(
            "ln -s /etc/real.toml '\(directory / "node")/etc/node-recovery/config.d/link.toml'"
        )
        #expect(try read().settings.keep == 9)
    }

    @Test("end with a named file that is not there") func missing() throws {
        var layers = LayeredSettings()
        let path = directory / "none.toml"
        let error = #expect(throws: ConfigurationError.self) { try layers.read(path) }
        #expect(error?.summary == "'\(path)': could not be read: No such file or directory")
    }
}

@Suite("The keys of the configuration") struct SettingsSchemaTests {
    @Test("have names of their own, a line each, and a default or a word about the lack of one") func rows() {
        let names = SettingsSchema.keys.map(\.fullName)
        #expect(Set(names).count == names.count)
        for key in SettingsSchema.keys {
            #expect((key.defaultText == nil) == (key.unset != nil), "\(key.fullName)")
            #expect(key.defaultText == nil || key.defaultText == key.exampleText, "\(key.fullName)")
            #expect(!key.summary.isEmpty && !key.summary.contains("\n") && !key.summary.hasSuffix("."))
        }
    }

    @Test("stand in sections that are not torn apart, those of the top first") func sections() {
        var sections: [String] = []
        for key in SettingsSchema.keys where sections.last != key.section { sections.append(key.section) }
        #expect(sections.first == "")
        #expect(Set(sections).count == sections.count)
    }

    @Test("take their own defaults, which change nothing, and their examples", arguments: SettingsSchema.keys.indices)
    func values(index: Int) throws {
        let key = SettingsSchema.keys[index]
        var settings = Settings()
        try settings.apply("\(key.fullName) = \(key.exampleText)\n", file: "x")
        #expect(key.text(in: settings) == key.exampleText)
        #expect((settings == Settings()) == (key.defaultText != nil))
        for other in SettingsSchema.keys where other.fullName != key.fullName {
            #expect(other.text(in: settings) == other.defaultText)
        }
    }

    @Test("are written as they are read", arguments: ["\"quoted\" \\ back", "tab\tnew\nline", "ümlaut", "\u{7F}\u{1}"])
    func quoting(text: String) throws {
        var settings = Settings()
        settings.etcdEndpoint = text
        let key = try #require(SettingsSchema.keys.first { $0.fullName == "etcd.endpoint" })
        var read = Settings()
        try read.apply("etcd.endpoint = \(try #require(key.text(in: settings)))", file: "x")
        #expect(read.etcdEndpoint == text)
    }

    @Test(
        "say durations in the largest unit that fits",
        arguments: [(1, "1s"), (90, "90s"), (480, "8min"), (3600, "1h"), (5400, "90min"), (7 * 86_400, "7d")]
    )
    func durations(seconds: Int, text: String) {
        #expect(Duration.seconds(seconds).settingText == text)
        #expect(Duration(operatorText: text) == .seconds(seconds))
    }
}
