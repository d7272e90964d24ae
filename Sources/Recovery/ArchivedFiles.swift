import Archives
import Files
import NodeInterface
import RecoveryPoints
import SystemPackage

/// Small files of a recovery point in memory, found by their paths on the node: what says how etcd is to be restored and
/// whether the control plane can run, without a byte of it on a disk.
struct ArchivedFiles: FileSource {
    private enum Node {
        case directory
        case link([UInt8])
        case file([UInt8])
        case other(FileKind)
    }

    private var nodes: [TreePath: Node] = [.root: .directory]
    private var children: [TreePath: [[UInt8]]] = [:]
    private let hasStaticPods: Bool

    /// The static pods and what they name; `nil` when the recovery point has none.
    var staticPods: (any FileSource)? { hasStaticPods ? self : nil }

    /// The content of a file of the node as the recovery point has it; `nil` when it has none.
    func read(_ path: FilePath) throws(FilesError) -> [UInt8]? {
        try exists(path) ? try readFile(path, limitBytes: 1 << 20) : nil
    }

    /// What is looked at of each component, and which files of it are read: what says who somebody is, until when, and
    /// which images are wanted.
    private static let wanted: [(component: ComponentName, top: TreePath, isRead: @Sendable (TreePath) -> Bool)] = [
        (.staticPods, .root, { !hasEnding($0, ".key", "-key.pem") }),
        (.kubelet, "var/lib/kubelet", { path in kubeletFiles.contains { path.isWithin($0) } }),
        (.etc, "etc", { path in settings.contains { path.isWithin($0) } && !hasEnding(path, ".key", "-key.pem") }),
    ]

    /// Reads the archives of a recovery point as far as they are needed.
    init(_ point: RecoveryPoint, node: NodeInterface.Node, jobs: Int) throws {
        hasStaticPods = point.manifest.component(.staticPods) != nil
        for (component, top, isRead) in Self.wanted {
            guard let entry = point.manifest.component(component), let archive = entry.file(.archive),
                let index = entry.file(.index)
            else { continue }
            let lines = ArchiveIndexReader(
                from: try FrameReader(path: point.path(of: index), jobs: 1, cancellation: node.cancellation)
            )
            var contents: Set<TreePath> = []
            // A hard link's content lies under its first name.
            var linked: [(path: TreePath, first: TreePath)] = []
            while let record = try lines.next() {
                guard record.path.isWithin(top) else { continue }
                guard record.kind == .regular else {
                    // Directories of pods below the kubelet's are many, and nothing in them is asked for.
                    if component != .kubelet || isRead(record.path) { add(record) }
                    continue
                }
                guard isRead(record.path), record.size <= Self.limitBytes(of: record.path) else { continue }
                contents.insert(record.hardLink ?? record.path)
                if let first = record.hardLink { linked.append((record.path, first)) }
            }
            guard !contents.isEmpty else { continue }
            let tar = try TarReader(
                from: FrameReader(path: point.path(of: archive), jobs: jobs, cancellation: node.cancellation)
            )
            while !contents.isEmpty, let found = try tar.next() {
                guard contents.remove(found.record.path) != nil else { continue }
                var bytes = [UInt8](repeating: 0, count: Int(found.record.size))
                try tar.readContent { offset, piece in
                    guard offset >= 0, Int(offset) + piece.count <= bytes.count else { return }
                    bytes.replaceSubrange(Int(offset)..<(Int(offset) + piece.count), with: piece)
                }
                place(.file(bytes), at: found.record.path)
            }
            for (path, first) in linked { nodes[first].map { place($0, at: path) } }
        }
    }

    /// The largest file that is read: manifests can be long, what else is asked for is short.
    private static func limitBytes(of path: TreePath) -> Int64 {
        hasEnding(path, ".yaml", ".yml", ".json") ? 4 << 20 : 256 << 10
    }

    private static let kubeletFiles: [TreePath] = [
        "var/lib/kubelet/pki", "var/lib/kubelet/config.yaml", "var/lib/kubelet/kubeconfig",
        "var/lib/kubelet/kubeadm-flags.env",
    ]
    /// Kubeconfigs, settings of the kubelet, an etcd that systemd runs and its certificates.
    private static let settings: [TreePath] = [
        "etc/kubernetes/admin.conf", "etc/kubernetes/super-admin.conf", "etc/kubernetes/kubelet.conf",
        "etc/kubernetes/kubelet-config.yaml", "etc/kubernetes/kubelet.env", "etc/kubernetes/kubelet",
        "etc/kubernetes/ssl", "etc/default/kubelet", "etc/sysconfig/kubelet", "etc/systemd/system/kubelet.service",
        "etc/systemd/system/kubelet.service.d", "etc/systemd/system/etcd.service",
        "etc/systemd/system/etcd.service.d", "etc/default/etcd", "etc/etcd.env", "etc/etcd", "etc/ssl/etcd",
    ]

    private static func hasEnding(_ path: TreePath, _ endings: String...) -> Bool {
        endings.contains { path.bytes.suffix($0.utf8.count).elementsEqual($0.utf8) }
    }

    private mutating func add(_ record: FileRecord) {
        switch record.kind {
        case .directory: place(.directory, at: record.path)
        case .symbolicLink: place(.link(record.linkTarget ?? []), at: record.path)
        default: place(.other(record.kind), at: record.path)
        }
    }

    /// Puts something at a path, and directories above it.
    private mutating func place(_ node: Node, at path: TreePath) {
        var path = path
        let isNew = nodes.updateValue(node, forKey: path) == nil
        guard isNew else { return }
        while let parent = path.parent {
            children[parent, default: []].append(Array(path.name))
            if nodes[parent] != nil { return }
            nodes[parent] = .directory
            path = parent
        }
    }

    // MARK: FileSource

    func exists(_ path: FilePath) throws(FilesError) -> Bool { find(path, followsLast: true) != nil }

    func kind(of path: FilePath) throws(FilesError) -> FileKind {
        switch try found(path, followsLast: false, "look at").node {
        case .directory: .directory
        case .link: .symbolicLink
        case .file: .regular
        case .other(let kind): kind
        }
    }

    func names(in path: FilePath) throws(FilesError) -> [FilePath.Component] {
        let (place, node) = try found(path, followsLast: true, "open")
        guard case .directory = node else { throw error("open", path, .notDirectory) }
        return (children[place] ?? []).sorted { $0.lexicographicallyPrecedes($1) }.compactMap {
            FilePath.Component(platformString: $0.map { CChar(bitPattern: $0) } + [0])
        }
    }

    func readFile(_ path: FilePath, limitBytes: Int) throws(FilesError) -> [UInt8] {
        guard case .file(let bytes) = try found(path, followsLast: true, "open").node else {
            throw error("read", path, .isDirectory)
        }
        guard bytes.count <= limitBytes else { throw error("read", path, .fileTooLarge) }
        return bytes
    }

    private func found(
        _ path: FilePath,
        followsLast: Bool,
        _ operation: String
    ) throws(FilesError) -> (place: TreePath, node: Node) {
        guard let found = find(path, followsLast: followsLast) else {
            throw error(operation, path, .noSuchFileOrDirectory)
        }
        return found
    }

    private func error(_ operation: String, _ path: FilePath, _ errno: Errno) -> FilesError {
        FilesError(operation: operation, path: "\(path) in the recovery point", errno: errno)
    }

    /// Follows links as the kernel does below a root: an absolute one and `..` stay inside.
    private func find(_ path: FilePath, followsLast: Bool) -> (place: TreePath, node: Node)? {
        let slash = UInt8(ascii: "/")
        var rest = Array(path.string.utf8).split(separator: slash).map { Array($0) }[...]
        var place: [[UInt8]] = []
        var hops = 0
        while let name = rest.popFirst() {
            if name == Array(".".utf8) { continue }
            if name == Array("..".utf8) {
                _ = place.popLast()
                continue
            }
            place.append(name)
            guard let node = nodes[TreePath(unchecked: Array(place.joined(separator: [slash])))] else { return nil }
            guard case .link(let target) = node, followsLast || !rest.isEmpty else { continue }
            hops += 1
            guard hops <= 40 else { return nil }
            place.removeLast()
            if target.first == slash { place = [] }
            rest = target.split(separator: slash).map { Array($0) }[...] + rest
        }
        let end = TreePath(unchecked: Array(place.joined(separator: [slash])))
        return nodes[end].map { (end, $0) }
    }
}
