import ArgumentParser
import Configuration
import Reporting

extension NodeBackup {
    struct Config: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Look at the configuration.",
            subcommands: [Show.self]
        )

        struct Show: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Show every setting, its value in force and where that comes from.",
                discussion: """
                    Files are read in this order, each over those before it: config.toml and config.d/*.toml in \
                    /usr/lib/node-recovery, then the same in /etc/node-recovery, all below the root; options win. \
                    What is printed is a configuration file again. Changes nothing.

                      $ node-backup config show

                    \(exitStatuses(
                        (.done, "shown"),
                        (.noInput, "the root does not exist"),
                        (.config, "a line of a configuration file cannot be used")
                    ))
                    """
            )

            @OptionGroup var common: CommonOptions

            func run() async throws {
                let layers = try common.layers()
                Streams.printResult(
                    common.json ? try JSONText.of(SettingsListing(layers)) : SettingsListing(layers).text
                )
            }
        }
    }
}

/// The settings in force: for people as a configuration file, for machines as JSON.
struct SettingsListing: Encodable {
    struct Entry: Encodable {
        /// The full name, `etcd.endpoint`.
        var key: String
        var section: String
        var name: String
        /// Absent when it is not set.
        var value: SettingValue?
        /// `default`, `file` or `option`.
        var origin: String
        var file: String?
        var line: Int?
        var option: String?
        /// What holds when nothing sets it.
        var unset: String?
        var summary: String

        /// As it stands in a file, or commented with what holds instead.
        var text: String
        /// For people.
        var originText: String

        enum CodingKeys: CodingKey {
            case key, section, name, value, origin, file, line, option, unset, summary
        }
    }

    var settings: [Entry]

    init(_ layers: LayeredSettings) {
        settings = SettingsSchema.keys.map { key in
            let value = key.value(in: layers.settings)
            var entry = Entry(
                key: key.fullName,
                section: key.section,
                name: key.name,
                value: value.map { SettingValue(value: $0) },
                origin: "default",
                unset: key.unset,
                summary: key.summary,
                text: value.map { "\(key.name) = \($0.tomlText)" } ?? "# \(key.name): \(key.unset ?? "not set")",
                originText: value == nil ? "not set" : "default"
            )
            switch layers.origin(of: key) {
            case .default: break
            case .file(let file, let line):
                entry.origin = "file"
                entry.file = file
                entry.line = line
                entry.originText = line.map { "\(file):\($0)" } ?? file
            case .option(let option):
                entry.origin = "option"
                entry.option = option
                entry.originText = option
            }
            return entry
        }
    }

    /// Every key with its origin behind it, in a form that can be read as a configuration file.
    var text: String {
        let width = settings.map(\.text.count).max() ?? 0
        var lines: [String] = []
        var section = ""
        for entry in settings {
            if entry.section != section {
                section = entry.section
                lines.append("[\(section)]")
            }
            let padding = String(repeating: " ", count: width - entry.text.count)
            lines.append("\(entry.text)\(padding)  # \(entry.originText)")
        }
        return lines.joined(separator: "\n")
    }
}

/// A setting as JSON has it: a duration is text, as in the file.
struct SettingValue: Encodable {
    var value: SettingsSchema.Value

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch value {
        case .text(let text): try container.encode(text)
        case .texts(let texts): try container.encode(texts)
        case .boolean(let boolean): try container.encode(boolean)
        case .integer(let integer): try container.encode(integer)
        case .duration(let duration): try container.encode(duration.settingText)
        }
    }
}
