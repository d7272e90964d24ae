import Archives
import Files
import NodeInterface
import RecoveryPoints
import SystemPackage

/// The static pods of a recovery point and the kubelet's certificates in it, unpacked beside the recovery points for
/// the time of the recovery: what tells how etcd is to be restored and whether the control plane can run.
struct PointFiles: PointContents {
    /// One directory a component, each standing for the node's `/`; what was not unpacked is not there.
    private let parts: [RootDirectory]
    private let staticPodsPart: RootDirectory?
    /// The static pods' part; `nil` when the recovery point has none.
    var staticPods: (any FileSource)? { staticPodsPart }

    /// What is unpacked of each component; no paths take all of it.
    private static let wanted: [(component: ComponentName, paths: [TreePath])] = [
        (.staticPods, []),
        (.kubelet, ["var/lib/kubelet/pki"]),
    ]

    /// Unpacks, over what a run that was cut has left.
    init(point: RecoveryPoint, in store: RecoveryStore, recovery: String, node: Node, jobs: Int) throws {
        let name = Self.directoryName(recovery)
        let top = try Directory(path: store.path)
        try top.removeTree(name)
        try top.makeDirectory(name, mode: 0o700)
        let directory = try top.directory(name)
        var parts: [ComponentName: RootDirectory] = [:]
        for (component, paths) in Self.wanted {
            guard let entry = point.manifest.component(component), let archive = entry.file(.archive),
                let index = entry.file(.index), let part = FilePath.Component(component.rawValue)
            else { continue }
            let present = try Self.present(paths, index: point.path(of: index), node: node)
            if !paths.isEmpty, present.isEmpty { continue }
            try directory.makeDirectory(part, mode: 0o700)
            let place = directory.path.appending(part)
            let writer = try TreeWriter(directory: place, toleratesLosses: true)
            _ = try ArchiveExtractor.extract(
                present,
                archive: point.path(of: archive),
                index: point.path(of: index),
                to: writer,
                jobs: jobs,
                cancellation: node.cancellation
            )
            try writer.finish()
            parts[component] = try RootDirectory(path: place)
        }
        staticPodsPart = parts[.staticPods]
        self.parts = Self.wanted.compactMap { parts[$0.component] }
    }

    /// Removes what ``init(point:in:recovery:node:jobs:)`` made.
    static func remove(_ recovery: String, from store: RecoveryStore) throws(FilesError) {
        try Directory(path: store.path).removeTree(directoryName(recovery))
    }

    /// The content of a file of the node as the recovery point has it; `nil` when it was not unpacked.
    func read(_ path: FilePath) throws(FilesError) -> [UInt8]? {
        for part in parts {
            if try part.exists(path) { return try part.readFile(path, limitBytes: 1 << 20) }
        }
        return nil
    }

    /// The recovery whose files are there, when there is just one: for a journal that cannot tell any more.
    static func recovery(in store: RecoveryStore) throws(FilesError) -> String? {
        let names = try Directory(path: store.path).names().map(\.string).filter { $0.hasPrefix("recovery.") }
        guard names.count == 1, let name = names.first else { return nil }
        let identity = name.dropFirst("recovery.".count)
        return identity.count == 16 && identity.allSatisfy(\.isHexDigit) ? String(identity) : nil
    }

    private static func directoryName(_ recovery: String) -> FilePath.Component {
        FilePath.Component("recovery.\(recovery)")!  // hexadecimal digits are a component
    }

    /// Those of the paths that the index has.
    static func present(_ paths: [TreePath], index: FilePath, node: Node) throws -> [TreePath] {
        guard !paths.isEmpty else { return [] }
        let frames = try FrameReader(path: index, jobs: 1, cancellation: node.cancellation)
        let lines = ArchiveIndexReader(from: frames)
        var found: [TreePath] = []
        while let record = try lines.next() {
            if paths.contains(record.path) { found.append(record.path) }
        }
        return found
    }
}
