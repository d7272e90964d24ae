internal import Files
internal import Reporting
internal import SystemPackage

/// Adds up what the files that are made take, by file system.
struct RestoreSpace {
    /// What a file takes beside its content: an inode, its name, its attributes.
    private static let overheadBytes: Int64 = 4096
    private static let blockBytes: Int64 = 4096

    private let root: RootDirectory
    private var bytes: [UInt64: Int64] = [:]
    private var paths: [UInt64: FilePath] = [:]
    private var last: (path: TreePath, device: UInt64)?

    init(root: RootDirectory) {
        self.root = root
    }

    /// By path.
    var needed: [TreeRestorer.NeededSpace] {
        paths.map { TreeRestorer.NeededSpace(path: $1, bytes: bytes[$0] ?? 0) }
            .sorted { $0.path.string < $1.path.string }
    }

    /// Adds a file; those that are made in a directory come behind it.
    /// - Parameter directory: what it is put into; `nil` when it comes there with the directory that it is made in.
    mutating func add(dataBytes: Int64, in directory: TreePath?) throws {
        if let directory { try enter(directory) }
        guard let last else { return }
        let whole = dataBytes.addingSaturated(Self.blockBytes - 1) / Self.blockBytes * Self.blockBytes
        let size = whole.addingSaturated(Self.overheadBytes)
        bytes[last.device] = (bytes[last.device] ?? 0).addingSaturated(size)
    }

    /// Finds the file system of a directory, or of the one above that is there.
    private mutating func enter(_ directory: TreePath) throws {
        if last?.path == directory { return }
        var path = directory
        while true {
            do {
                let device = try root.stat(FilePath(path)).identity.device
                last = (directory, device)
                if paths[device] == nil { paths[device] = root.fullPath(of: path.isRoot ? "" : FilePath(path)) }
                return
            } catch {
                guard error.errno == .noSuchFileOrDirectory, let above = path.parent else { throw error }
                path = above
            }
        }
    }
}
