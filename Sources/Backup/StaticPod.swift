package import Files
import NodeInterface
package import SystemPackage
import YAML

/// A static pod manifest, as far as a backup needs it: JSON or YAML, `kind: Pod`.
package struct StaticPod {
    /// The manifest's path on the node.
    package let path: FilePath
    private let document: YAMLNode

    /// Reads a manifest of at most 4 MiB.
    package static func read(_ path: FilePath, in root: any FileSource) throws -> StaticPod {
        let bytes = try root.readFile(path, limitBytes: 4 << 20)
        do throws(YAMLError) {
            return StaticPod(path: path, document: try YAMLNode(reading: bytes, name: path.string))
        } catch {
            throw BackupError.staticPod(error)
        }
    }

    /// The `--name=value` and `--name value` options on the command line of a container.
    package func options(ofContainer name: String) -> [String: String] {
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

    /// The images of its containers, as the manifest names them.
    package var images: [String] {
        ["containers", "initContainers"].flatMap { document["spec"]?[$0]?.items ?? [] }
            .compactMap { $0["image"]?.string }
    }

    /// The image of a container; `nil` when the pod has no such container.
    func image(ofContainer name: String) -> String? {
        containers.first { $0["name"]?.string == name }?["image"]?.string
    }

    private var containers: [YAMLNode] { document["spec"]?["containers"]?.items ?? [] }
}

/// The static pods of a node as one set: all manifests and what they need below `/etc/kubernetes`.
package enum StaticPods {
    /// Every manifest in the directory of static pods, by name; none when there is no such directory.
    package static func all(in root: any FileSource) throws -> [StaticPod] {
        let directory = WellKnownPaths.staticPodManifests
        guard try root.exists(directory) else { return [] }
        return try root.names(in: directory).filter(isManifest).sorted { $0.string < $1.string }
            .map { try StaticPod.read(directory.appending($0), in: root) }
    }

    /// Whether the kubelet reads a file of this name: it passes over hidden ones.
    private static func isManifest(_ name: FilePath.Component) -> Bool {
        !name.string.hasPrefix(".") && (name.extension.map { ["yaml", "yml", "json"].contains($0) } ?? false)
    }

    /// The subtrees of the node's root that make up the set, relative to it; empty when there is no manifest.
    ///
    /// A pod's host paths outside `/etc/kubernetes` are not its resources: etcd's data, the system's certificates.
    static func subtrees(in root: RootDirectory) throws -> [FilePath] {
        let directory = WellKnownPaths.staticPodManifests
        guard try root.exists(directory) else { return [] }
        let names = try root.names(in: directory)
        var paths: Set<FilePath> = [directory]
        for pod in try all(in: root) {
            let kubernetes: FilePath = "/etc/kubernetes"
            paths.formUnion(pod.hostPaths.filter { $0.starts(with: kubernetes) && $0 != kubernetes })
        }
        guard !names.isEmpty else { return [] }
        // What lies in another one comes with it.
        return paths.filter { path in !paths.contains { $0 != path && path.starts(with: $0) } }
            .sorted { $0.string < $1.string }
    }
}
