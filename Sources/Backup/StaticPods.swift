package import Files
import NodeInterface
package import SystemPackage

/// The static pods of a node as one set: all manifests, what they need below `/etc/kubernetes`, and the files that
/// their options name.
package struct StaticPods {
    /// The directories of manifests that exist.
    package private(set) var directories: [FilePath] = []
    /// Every manifest that can be read, by directory and name.
    package private(set) var pods: [StaticPod] = []
    /// What was ignored, a sentence each.
    package private(set) var remarks: [String] = []

    /// Every manifest that can be read, by name; none when there is no directory of static pods.
    package static func all(in files: any FileSource) throws -> [StaticPod] { try StaticPods(in: files).pods }

    /// Reads what the kubelet reads: every file in the directory whose name does not start with a dot, whatever its
    /// ending is.
    ///
    /// What is no manifest is ignored with a remark, as the kubelet ignores it.
    ///
    /// Source: kubelet `pkg/kubelet/config/file.go`, `extractFromDir`; `common.go`, `tryDecodeSinglePod`.
    /// - Throws: when a directory of manifests cannot be listed.
    package init(in files: any FileSource) throws {
        for directory in try KubeletSettings(in: files).manifestDirectories where try files.exists(directory) {
            directories.append(directory)
            for name in try files.names(in: directory) where !name.string.hasPrefix(".") {
                read(directory.appending(name), in: files)
            }
        }
    }

    private mutating func read(_ path: FilePath, in files: any FileSource) {
        do {
            guard try files.exists(path) else {
                remarks.append("'\(path)' is a link that leads nowhere, ignored")
                return
            }
            guard try files.kind(of: path) != .directory else {
                remarks.append("'\(path)' is a directory, which the kubelet does not look into, ignored")
                return
            }
            let pod = try StaticPod.read(path, in: files)
            guard pod.isPod else {
                remarks.append("'\(path)' is not the manifest of a pod, ignored")
                return
            }
            if let remark = pod.remark { remarks.append(remark) }
            if let name = pod.name, let other = pods.first(where: { $0.name == name }) {
                remarks.append(
                    "'\(path)' and '\(other.path)' both describe the pod '\(name)': the kubelet reads every file in "
                        + "this directory, and runs one of the two"
                )
            }
            pods.append(pod)
        } catch let error as BackupError {
            remarks.append("\(error.summary), ignored")
        } catch let error as FilesError {
            remarks.append("\(error.summary), ignored")
        } catch {
            remarks.append("'\(path)' cannot be read, ignored")
        }
    }

    // MARK: What belongs to them

    /// What a backup of the set takes.
    package struct Places: Equatable {
        /// Subtrees of the node's root, by name; empty when there is no manifest.
        package var subtrees: [FilePath] = []
        /// Links to what is not taken, a sentence each.
        package var remarks: [String] = []
    }

    /// The subtrees of the node's root that make up the set; empty when there is no manifest.
    static func subtrees(in root: RootDirectory) throws -> [FilePath] {
        try StaticPods(in: root).places(in: root).subtrees
    }

    /// The directories of manifests, the pods' host paths below `/etc/kubernetes`, the files that their options name,
    /// and what links in all that lead to.
    ///
    /// A pod's other host paths are not its resources: etcd's data, the system's certificates.
    package func places(in root: RootDirectory) throws -> Places {
        guard try directories.contains(where: { try !root.names(in: $0).isEmpty }) else { return Places() }
        let kubernetes: FilePath = "/etc/kubernetes"
        var wanted = directories
        for pod in pods {
            wanted += pod.hostPaths.filter { $0.starts(with: kubernetes) && $0 != kubernetes }
            wanted += try namedFiles(of: pod, in: root)
        }
        var follower = LinkFollower(root: root)
        for path in wanted { try follower.take(path) }
        return Places(subtrees: follower.subtrees, remarks: follower.remarks)
    }

    /// Regular files outside the whole trees of the plan that options of a pod's containers name: keys and certificates
    /// in a place of their own.
    private func namedFiles(of pod: StaticPod, in root: RootDirectory) throws -> [FilePath] {
        var paths: [FilePath] = []
        for path in pod.namedPaths where !Self.isTakenAnyway(path) {
            guard try root.exists(path) else { continue }
            let stat = try root.stat(path)
            if stat.kind == .regular, stat.size <= 4 << 20 { paths.append(path) }
        }
        return paths
    }

    /// Whether another component has it, or it belongs to the operating system or changes all the time.
    private static func isTakenAnyway(_ path: FilePath) -> Bool {
        let others = BackupPlan.wholeTrees.map { FilePath("/\($0)") }
        return (others + ["/usr", "/var/log", "/proc", "/sys", "/dev", "/run", "/tmp"]).contains {
            path.starts(with: $0)
        }
    }
}

extension StaticPod {
    /// The paths of the node that its containers' command lines name, mapped through its volumes, with the name of the
    /// option; without one it is empty.
    package var namedFiles: [(option: String, path: FilePath)] {
        var found: [(option: String, path: FilePath)] = []
        for container in allContainers {
            let script = container.words.flatMap { ShellScript($0).commands.joined() }
            var option = ""
            for word in container.words + script {
                var value = word[...]
                if word.hasPrefix("-") {
                    let name = word.drop { $0 == "-" }.prefix { $0 != "=" }
                    option = String(name)
                    value = word.drop { $0 != "=" }.dropFirst()
                }
                if value.hasPrefix("/"), let path = nodePath(of: FilePath(String(value)), in: container),
                    !found.contains(where: { $0 == (option, path) })
                {
                    found.append((option, path))
                }
                if !word.hasPrefix("-") || word.contains("=") { option = "" }
            }
        }
        return found
    }

    /// The same without the options, each once.
    var namedPaths: [FilePath] { Set(namedFiles.map(\.path)).sorted { $0.string < $1.string } }
}

/// Collects subtrees, and with each what its links lead to, so that a restore brings back files and not only links.
private struct LinkFollower {
    let root: RootDirectory
    private var taken: Set<FilePath> = []
    private(set) var remarks: [String] = []

    init(root: RootDirectory) { self.root = root }

    /// What was collected; what is in another one comes with it.
    var subtrees: [FilePath] {
        taken.filter { path in !taken.contains { $0 != path && path.starts(with: $0) } }
            .sorted { $0.string < $1.string }
    }

    private static let limit = 1000

    mutating func take(_ path: FilePath) throws {
        var waiting = [(path: path, from: nil as FilePath?)]
        while let (path, link) = waiting.popLast() {
            let (place, links) = try root.place(of: path)
            taken.formUnion(links)
            guard !taken.contains(where: { place.starts(with: $0) && !links.contains($0) }) else { continue }
            guard try root.exists(place) else {
                // What a pod names and nobody has made yet is no fault; a link to nothing is one.
                if let link { remarks.append("the link '\(link)' leads to '\(place)', which does not exist") }
                if link == nil { taken.insert(place) }
                continue
            }
            guard Self.isTakeable(place), taken.count < Self.limit else {
                remarks.append(
                    "the link '\(link ?? path)' leads to '\(place)', which is not taken: it is no directory of this set"
                )
                continue
            }
            taken.insert(place)
            var walk = TreeWalk(root: root, subtrees: TreePath(place).map { [$0] } ?? [])
            while let event = try walk.next() {
                guard case .file(let record) = event, record.kind == .symbolicLink else { continue }
                let found = FilePath("/").appending(record.path)
                waiting.append((found, found))
            }
        }
    }

    /// Whether a place is so deep that it cannot be half the system, and on a file system that lasts.
    private static func isTakeable(_ place: FilePath) -> Bool {
        guard place.components.count >= 2, let top = place.components.first else { return false }
        return !["proc", "sys", "dev", "run", "tmp"].contains(top.string) && place != "/var/lib" && place != "/usr/lib"
    }
}
