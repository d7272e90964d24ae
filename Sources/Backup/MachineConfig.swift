import FoundationEssentials

/// The current machine config, as far as a backup needs it: which paths it manages.
///
/// `/etc/machine-config-daemon/currentconfig` is the rendered MachineConfig object as JSON with an Ignition config in
/// `spec.config`; `storage` has `files`, `directories` and `links`, each with a `path`.
struct MachineConfig: Decodable {
    private struct Spec: Decodable {
        var config: Config?
    }
    private struct Config: Decodable {
        var storage: Storage?
    }
    private struct Storage: Decodable {
        var files: [Entry]?
        var directories: [Entry]?
        var links: [Entry]?
    }
    private struct Entry: Decodable {
        var path: String
    }
    private var spec: Spec?

    /// Reads the JSON document.
    static func decode(_ bytes: [UInt8], file: String) throws(BackupError) -> MachineConfig {
        do {
            return try JSONDecoder().decode(MachineConfig.self, from: Data(bytes))
        } catch {
            throw .machineConfig(path: file)
        }
    }

    /// Every absolute path that it manages, sorted, each once.
    var paths: [String] {
        guard let storage = spec?.config?.storage else { return [] }
        let entries = (storage.files ?? []) + (storage.directories ?? []) + (storage.links ?? [])
        return Set(entries.map(\.path)).filter { $0.hasPrefix("/") }.sorted()
    }

    /// Those of ``paths`` that are outside `trees`, relative to the node's root.
    func paths(outside trees: [String]) -> [String] {
        paths.map { String($0.drop { $0 == "/" }) }.filter { path in
            !path.isEmpty && !Self.isUnclear(path) && !trees.contains { path == $0 || path.hasPrefix($0 + "/") }
        }
    }

    /// Those of ``paths`` with `.` or `..` in them, relative to the node's root: which file is meant depends on links.
    var unclearPaths: [String] { paths.map { String($0.drop { $0 == "/" }) }.filter(Self.isUnclear) }

    private static func isUnclear(_ path: String) -> Bool {
        path.split(separator: "/", omittingEmptySubsequences: false).contains { [".", ".."].contains($0) }
    }
}
