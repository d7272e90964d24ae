import Files
import SystemPackage
import YAML

/// The settings of one etcd server by the names of its options: `data-dir`, `listen-client-urls`.
///
/// As etcd reads them: a configuration file alone when there is one, else its command line over the variables
/// `ETCD_DATA_DIR` and so on. Source: etcd `server/etcdmain/config.go`, `parse`, `configFromFile`;
/// `pkg/flags/flag.go`, `SetFlagsFromEnv`.
struct EtcdSettings: Equatable {
    private let values: [String: String]

    /// The settings by command line and variables.
    init(arguments: ArraySlice<String> = [], environment: [String: String] = [:]) {
        var values: [String: String] = [:]
        for (name, value) in environment where name.hasPrefix("ETCD_") && !value.isEmpty {
            values[String(name.dropFirst(5).map { $0 == "_" ? "-" : $0 }).lowercased()] = value
        }
        self.values = values.merging(CommandLineOptions.values(in: arguments)) { $1 }
    }

    /// The settings of a configuration file.
    init(configuration bytes: [UInt8], file: FilePath) throws(YAMLError) {
        let document = try YAMLNode(reading: bytes, name: file.string)
        var values: [String: String] = [:]
        for entry in document.entries {
            if let text = entry.value.string { values[entry.key] = text }
        }
        for (section, prefix) in [("client-transport-security", ""), ("peer-transport-security", "peer-")] {
            for entry in document[section]?.entries ?? [] {
                if let text = entry.value.string { values[prefix + entry.key] = text }
            }
        }
        self.values = values
    }

    /// A value; `nil` when there is none, and when it stands there unresolved (`https://${HOST}:2380`).
    subscript(name: String) -> String? {
        guard let value = values[name], !value.isEmpty, !value.contains("$"), !value.contains("`") else { return nil }
        return value
    }

    /// Whether it is set, also to something that cannot be resolved.
    func isSet(_ name: String) -> Bool { values[name] != nil }

    /// A list with commas between its items.
    func list(_ name: String) -> [String] {
        (self[name] ?? "").split(separator: ",").map { item in
            String(item.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// Whether anything is set.
    var isEmpty: Bool { values.isEmpty }
}
