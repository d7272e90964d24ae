import Files
import NodeInterface
import SystemPackage
import YAML

/// A static pod manifest, as far as a backup needs it: JSON or YAML, `kind: Pod`.
struct StaticPod {
    /// The manifest's path on the node.
    let path: FilePath
    private let document: YAMLNode

    /// Reads a manifest of at most 4 MiB.
    static func read(_ path: FilePath, in root: RootDirectory) throws -> StaticPod {
        let bytes = try root.readFile(path, limitBytes: 4 << 20)
        do throws(YAMLError) {
            return StaticPod(path: path, document: try YAMLNode(reading: bytes, name: path.string))
        } catch {
            throw BackupError.staticPod(error)
        }
    }

    /// The `--name=value` and `--name value` options on the command line of a container.
    func options(ofContainer name: String) -> [String: String] {
        guard let container = containers.first(where: { $0["name"]?.string == name }) else { return [:] }
        let words = ["command", "args"].flatMap { container[$0]?.items ?? [] }.compactMap(\.string)
        var options = [String: String]()
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            guard word.hasPrefix("--") else { continue }
            if let equals = word.firstIndex(of: "=") {
                options[String(word[word.index(word.startIndex, offsetBy: 2)..<equals])] =
                    String(word[word.index(after: equals)...])
            } else if index < words.count, !words[index].hasPrefix("-") {
                options[String(word.dropFirst(2))] = words[index]
                index += 1
            }
        }
        return options
    }

    /// The paths of the node that the pod mounts (`hostPath`).
    var hostPaths: [FilePath] {
        (document["spec"]?["volumes"]?.items ?? []).compactMap { volume in
            volume["hostPath"]?["path"]?.string.map { FilePath($0).lexicallyNormalized() }
        }
    }

    private var containers: [YAMLNode] { document["spec"]?["containers"]?.items ?? [] }
}

/// The static pods of a node as one set: all manifests and what they need below `/etc/kubernetes`.
enum StaticPods {
    /// The subtrees of the node's root that make up the set, relative to it; empty when there is no manifest.
    ///
    /// A pod's host paths outside `/etc/kubernetes` are not its resources: etcd's data, the system's certificates.
    static func subtrees(in root: RootDirectory) throws -> [FilePath] {
        let directory = WellKnownPaths.staticPodManifests
        guard try root.exists(directory) else { return [] }
        let names = try root.names(in: directory)
        var paths: Set<FilePath> = [directory]
        for name in names where !name.string.hasPrefix(".") {
            guard name.extension.map({ ["yaml", "yml", "json"].contains($0) }) ?? false else { continue }
            let kubernetes: FilePath = "/etc/kubernetes"
            paths.formUnion(
                try StaticPod.read(directory.appending(name), in: root).hostPaths.filter {
                    $0.starts(with: kubernetes) && $0 != kubernetes
                }
            )
        }
        guard !names.isEmpty else { return [] }
        // What lies in another one comes with it.
        return paths.filter { path in !paths.contains { $0 != path && path.starts(with: $0) } }
            .sorted { $0.string < $1.string }
    }
}
