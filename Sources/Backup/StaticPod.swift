package import Files
import NodeInterface
package import SystemPackage
import YAML

/// A static pod manifest, as far as a backup needs it: JSON or YAML, `kind: Pod`.
package struct StaticPod {
    /// The manifest's path on the node.
    package let path: FilePath
    /// What the kubelet ignores in the file, as a sentence; `nil` when it is one document.
    let remark: String?
    private let document: YAMLNode

    /// Reads a manifest of at most 4 MiB; of several documents the first one counts, as for the kubelet.
    package static func read(_ path: FilePath, in root: any FileSource) throws -> StaticPod {
        let bytes = try root.readFile(path, limitBytes: 4 << 20)
        do throws(YAMLError) {
            let parser = try YAMLParser(bytes, name: path.string)
            let first = try parser.nextDocument()
            var hasMore = false
            do throws(YAMLError) {
                while let other = try parser.nextDocument() { hasMore = hasMore || !other.isNull }
            } catch {
                hasMore = true
            }
            let empty = try YAMLNode(reading: [UInt8](), name: path.string)
            return StaticPod(
                path: path,
                remark: hasMore ? "only the first document of '\(path)' counts, for the kubelet as well" : nil,
                document: first ?? empty
            )
        } catch {
            throw BackupError.staticPod(error)
        }
    }

    /// `metadata.name`.
    package var name: String? { document["metadata"]?["name"]?.string }

    /// Whether it is a pod at all: a file without containers is nothing that the kubelet runs.
    var isPod: Bool { document["kind"]?.string == "Pod" }

    /// The `--name=value` and `--name value` options on the command line of a container.
    package func options(ofContainer name: String) -> [String: String] {
        guard let container = containers.first(where: { $0.name == name }) else { return [:] }
        return CommandLineOptions.values(in: container.words[...])
    }

    /// The paths of the node that the pod mounts (`hostPath`).
    package var hostPaths: [FilePath] { volumes.values.map(\.self).sorted { $0.string < $1.string } }

    /// The images of its containers, as the manifest names them.
    package var images: [String] {
        ["containers", "initContainers"].flatMap { document["spec"]?[$0]?.items ?? [] }
            .compactMap { $0["image"]?.string }
    }

    /// Its containers, without those that only prepare.
    package var containers: [Container] { (document["spec"]?["containers"]?.items ?? []).map(Container.init) }

    /// Every container, those that only prepare among them.
    var allContainers: [Container] {
        containers + (document["spec"]?["initContainers"]?.items ?? []).map(Container.init)
    }

    /// `hostPath` volumes: the node's path by the volume's name.
    private var volumes: [String: FilePath] {
        var volumes: [String: FilePath] = [:]
        for volume in document["spec"]?["volumes"]?.items ?? [] {
            guard let name = volume["name"]?.string, let path = volume["hostPath"]?["path"]?.string else { continue }
            volumes[name] = FilePath(path).lexicallyNormalized()
        }
        return volumes
    }

    /// Where a path inside a container is on the node; `nil` when no part of the node is mounted there.
    ///
    /// The volume with the longest mount path decides, as the kernel does: what is mounted deeper hides what is above.
    /// A relative path starts at the container's working directory.
    package func nodePath(of path: FilePath, in container: Container) -> FilePath? {
        let whole = container.workingDirectory.pushing(path).lexicallyNormalized()
        let mounts = container.mounts.filter { whole.starts(with: $0.path) }
        guard let mount = mounts.max(by: { $0.path.components.count < $1.path.components.count }),
            let volume = volumes[mount.volume]
        else { return nil }
        var rest = whole
        guard rest.removePrefix(mount.path) else { return nil }
        var place = volume
        if let part = mount.subPath { place.append(FilePath(part).components) }
        return place.appending(rest.components).lexicallyNormalized()
    }
}

extension StaticPod {
    /// A container of a pod.
    package struct Container {
        /// A volume's place in it.
        struct Mount {
            var volume: String
            /// Absolute, inside the container.
            var path: FilePath
            /// The part of the volume that is mounted.
            var subPath: String?
        }

        /// Its name.
        package let name: String?
        /// Its image, as the manifest names it.
        package let image: String?
        /// `command` and behind it `args`, with `$(NAME)` replaced.
        package let words: [String]
        /// `env`, as far as the values stand in the manifest.
        package let environment: [String: String]
        /// `workingDir`; the image's own, which is not known, counts as `/`.
        let workingDirectory: FilePath
        let mounts: [Mount]

        init(_ node: YAMLNode) {
            name = node["name"]?.string
            image = node["image"]?.string
            var environment: [String: String] = [:]
            for variable in node["env"]?.items ?? [] {
                guard let name = variable["name"]?.string, variable["valueFrom"] == nil else { continue }
                environment[name] = Self.expand(variable["value"]?.string ?? "", environment)
            }
            self.environment = environment
            words = ["command", "args"].flatMap { node[$0]?.items ?? [] }.compactMap(\.string)
                .map { Self.expand($0, environment) }
            workingDirectory = FilePath(node["workingDir"]?.string ?? "/")
            mounts = (node["volumeMounts"]?.items ?? []).compactMap { mount in
                guard let volume = mount["name"]?.string, let path = mount["mountPath"]?.string else { return nil }
                let part = mount["subPath"]?.string ?? mount["subPathExpr"]?.string.map { Self.expand($0, environment) }
                return Mount(
                    volume: volume,
                    path: FilePath("/").pushing(FilePath(path)).lexicallyNormalized(),
                    subPath: part.flatMap { $0.isEmpty ? nil : $0 }
                )
            }
        }

        /// What stands behind a program's name in the command; all of it when the image's own entry point gets it.
        ///
        /// A shell's script is searched for the command.
        package func arguments(of program: String, variables: [String: String] = [:]) -> ArraySlice<String>? {
            var environment = variables.merging(environment) { $1 }
            environment = environment.filter { !$0.value.isEmpty }
            if let first = words.first, Self.shells.contains(ShellScript.baseName(first)),
                let option = words.firstIndex(where: { $0.hasPrefix("-") && $0.hasSuffix("c") && !$0.hasPrefix("--") }),
                option + 1 < words.count
            {
                let script = ShellScript(words[option + 1], variables: environment)
                if let found = script.arguments(of: program) { return found }
                // `sh -c 'exec "$@"' -- PROGRAM …`
                let behind = words[(option + 2)...]
                return behind.firstIndex { ShellScript.baseName($0) == program }.map { behind[($0 + 1)...] }
            }
            if let index = words.firstIndex(where: { ShellScript.baseName($0) == program && !$0.hasPrefix("-") }) {
                return words[(index + 1)...]
            }
            return words.allSatisfy { $0.hasPrefix("-") } ? words[...] : nil
        }

        private static let shells: Set<Substring> = ["sh", "bash", "dash", "ash", "busybox"]

        /// Replaces `$(NAME)` as the kubelet does: a name that is not known stays, `$$` is one dollar.
        private static func expand(_ text: String, _ environment: [String: String]) -> String {
            var result = ""
            var rest = text[...]
            while let dollar = rest.firstIndex(of: "$") {
                result += rest[..<dollar]
                rest = rest[rest.index(after: dollar)...]
                if rest.first == "$" {
                    result += "$"
                    rest = rest.dropFirst()
                } else if rest.first == "(", let end = rest.firstIndex(of: ")"),
                    let value = environment[String(rest[rest.index(after: rest.startIndex)..<end])]
                {
                    result += value
                    rest = rest[rest.index(after: end)...]
                } else {
                    result += "$"
                }
            }
            return result + rest
        }
    }
}

/// Options as Go's programs take them: `--name=value`, `--name value`, with one dash or two.
enum CommandLineOptions {
    /// The values by name; of an option that comes twice the last one counts.
    static func values(in words: ArraySlice<String>) -> [String: String] {
        var options = [String: String]()
        var index = words.startIndex
        while index < words.endIndex {
            let word = words[index]
            index += 1
            guard word.hasPrefix("-") else { continue }
            let name = word.drop { $0 == "-" }
            if let equals = name.firstIndex(of: "=") {
                options[String(name[..<equals])] = String(name[name.index(after: equals)...])
            } else if index < words.endIndex, !words[index].hasPrefix("-") {
                options[String(name)] = words[index]
                index += 1
            }
        }
        return options
    }
}
