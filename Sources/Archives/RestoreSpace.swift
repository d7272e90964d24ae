internal import Files
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
    mutating func add(_ made: RestorePlan.Made) throws {
        if made.placing != nil { try enter(made.record.path.parent ?? .root) }
        guard let last else { return }
        var size: Int64 = Self.overheadBytes
        if case .content = made.making {
            let (sum, isTooLarge) = made.record.size.addingReportingOverflow(Self.overheadBytes + Self.blockBytes - 1)
            size = isTooLarge ? .max : sum / Self.blockBytes * Self.blockBytes
        }
        let (sum, isTooLarge) = (bytes[last.device] ?? 0).addingReportingOverflow(size)
        bytes[last.device] = isTooLarge ? .max : sum
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
