import Backup
import SystemPackage
import TestSupport
import Testing

@testable import Configuration

@Suite("The settings as they are shipped") struct SettingsFileTests {
    private let lines: [String]

    init() throws {
        lines = try Shell.output("cat '\(project)/packaging/config.toml'").split(separator: "\n").map { String($0) }
    }

    /// `key = value` behind `mark`, with the sections that they stand in.
    private func uncommented(_ marks: [String]) -> String {
        lines.compactMap { line in
            if line.hasPrefix("[") { return line }
            for mark in marks where line.hasPrefix(mark) {
                let rest = line.dropFirst(mark.count)
                let name = rest.prefix { $0.isLowercase || $0 == "_" }
                if !name.isEmpty, rest.dropFirst(name.count).hasPrefix(" = ") { return String(rest) }
            }
            return nil
        }
        .joined(separator: "\n")
    }

    @Test("say nothing: every key is a comment") func silent() throws {
        var settings = Settings()
        try settings.apply(lines.joined(separator: "\n"), file: "config.toml")
        #expect(settings == Settings())
    }

    @Test("have every key that there is, once") func everyKey() throws {
        let text = uncommented(["#", "# "])
        var settings = Settings()
        try settings.apply(text, file: "config.toml")
        var section = ""
        var names: [String] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("[") {
                section = line.dropFirst().prefix { $0 != "]" } + "."
            } else {
                names.append(section + line.prefix { $0 != " " })
            }
        }
        #expect(names == SettingsSchema.keys.map(\.fullName))
    }

    @Test("are the defaults where they are no examples") func defaults() throws {
        var settings = Settings()
        try settings.apply(uncommented(["#"]), file: "config.toml")
        #expect(settings == Settings())
        for key in SettingsSchema.keys where key.unset != nil {
            #expect(lines.contains { $0.hasPrefix("# \(key.name) = ") }, "\(key.name)")
        }
    }

    @Test("name every component that can be left out") func components() {
        let text = lines.joined(separator: "\n")
        for component in BackupPlan.components { #expect(text.contains("\"\(component.name)\"")) }
    }
}
