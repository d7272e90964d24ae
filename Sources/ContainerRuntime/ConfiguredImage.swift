internal import Files
internal import NodeInterface
internal import SystemPackage

/// Finds the name of the sandbox (pause) image in what runtimes say and in their configuration.
///
/// Sources: containerd `docs/cri/config.md` (`sandbox_image` up to 1.7; `sandbox` of the table `pinned_images` from 2.0
/// on), CRI-O `docs/crio.conf.5.md` (`pause_image`); the built-in names from `pkg/cri/config/config_unix.go`,
/// `internal/cri/config/config.go` and CRI-O's `pkg/config/config.go`.
enum ConfiguredImage {
    /// Files that configure a runtime, in the order in which later ones win; a directory stands for its files, sorted.
    static let files: [(runtime: String, paths: [FilePath])] = [
        ("containerd", ["/var/lib/rancher/k3s/agent/etc/containerd/config.toml", "/etc/containerd/config.toml"]),
        ("containerd", ["/etc/containerd/conf.d"]),
        ("cri-o", ["/etc/crio/crio.conf", "/etc/crio/crio.conf.d"]),
    ]

    /// The names that versions take by themselves: the first row whose version is not above the runtime's.
    static let builtIn: [(runtime: String, from: (major: Int, minor: Int), name: String)] = [
        ("containerd", (2, 2), "registry.k8s.io/pause:3.10.1"),
        ("containerd", (2, 0), "registry.k8s.io/pause:3.10"),
        ("containerd", (1, 7), "registry.k8s.io/pause:3.8"),
        ("containerd", (1, 5), "registry.k8s.io/pause:3.6"),
        ("cri-o", (1, 34), "registry.k8s.io/pause:3.10.1"),
        ("cri-o", (1, 31), "registry.k8s.io/pause:3.10"),
        ("cri-o", (1, 27), "registry.k8s.io/pause:3.9"),
        ("cri-o", (1, 20), "registry.k8s.io/pause:3.6"),
    ]

    /// The name in what a runtime says about its configuration (`Status`, verbose): containerd's is JSON, CRI-O's TOML.
    static func name(inStatus info: String) -> String? {
        if let key = info.range(of: "\"sandboxImage\":") {
            let rest = info[key.upperBound...].drop { $0 == " " }
            if rest.first == "\"" {
                let name = rest.dropFirst().prefix { $0 != "\"" }
                if !name.isEmpty { return String(name) }
            }
        }
        return name(inFile: info)
    }

    /// The name in a TOML file; `nil` when it sets none.
    ///
    /// Each of the keys stands on one line in every file that these runtimes write or document.
    static func name(inFile text: String) -> String? {
        var table = ""
        var found: String?
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop { $0 == " " || $0 == "\t" }
            if line.first == "[" { table = String(line) }
            guard let equals = line.firstIndex(of: "=") else { continue }
            let key = line[..<equals].filter { !" \t\"'".contains($0) }
            guard
                ["sandbox_image", "pause_image"].contains(key) || (key == "sandbox" && table.contains("pinned_images"))
            else { continue }
            let value = line[line.index(after: equals)...].drop { $0 == " " || $0 == "\t" }
            guard let quote = value.first, quote == "\"" || quote == "'" else { continue }
            let name = value.dropFirst().prefix { $0 != quote }
            if !name.isEmpty { found = String(name) }
        }
        return found
    }

    /// The name that the configuration below a root sets, and the file that does.
    static func name(for runtime: String, in root: RootDirectory) throws(FilesError) -> (name: String, FilePath)? {
        var found: (String, FilePath)?
        for row in files where runtime.hasPrefix(row.runtime) {
            for place in row.paths where try root.exists(place) {
                var paths = [place]
                if try root.stat(place).kind == .directory {
                    paths = try root.names(in: place)
                        .filter { row.runtime == "cri-o" || $0.extension == "toml" }
                        .sorted { $0.string < $1.string }.map { place.appending($0) }
                }
                for path in paths where try root.exists(path) {
                    guard try root.stat(path).kind == .regular else { continue }
                    let text = String(decoding: try root.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
                    if let name = name(inFile: text) { found = (name, path) }
                }
            }
        }
        return found
    }

    /// The name that a runtime takes by itself: `containerd v1.7.29`, `cri-o 1.30.14`.
    static func builtIn(of runtime: String) -> String? {
        let words = runtime.split(separator: " ")
        guard words.count >= 2 else { return nil }
        let numbers = words[1].drop { !$0.isNumber }.split(separator: ".", maxSplits: 2).map { part in
            Int(part.prefix { $0.isNumber }) ?? 0
        }
        guard numbers.count >= 2 else { return nil }
        return builtIn.first { row in
            words[0] == row.runtime && (row.from.major, row.from.minor) <= (numbers[0], numbers[1])
        }?.name
    }
}

extension String {
    /// Where `text` is first.
    fileprivate func range(of text: String) -> Range<String.Index>? {
        let wanted = Array(text.utf8)
        let bytes = utf8
        var start = bytes.startIndex
        while let first = bytes[start...].firstIndex(of: wanted[0]) {
            let rest = bytes[first...]
            if rest.starts(with: wanted) { return first..<bytes.index(first, offsetBy: wanted.count) }
            start = bytes.index(after: first)
        }
        return nil
    }
}
