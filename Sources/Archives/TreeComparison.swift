public import Files
public import Reporting
public import SystemPackage

/// A file in which a tree differs from an index.
public struct TreeDifference: Sendable, Hashable {
    /// What happened to it since the index was made.
    public enum Change: Sendable, Hashable {
        /// It is new.
        case added
        /// It is gone, or left out by now.
        case removed
        /// It is another one in these respects; never empty.
        case changed([FileAspect])
    }

    /// Where it lies, relative to the root.
    public var path: TreePath
    /// What it is, or was when it is gone.
    public var kind: FileKind
    /// What happened to it.
    public var change: Change
}

/// Compares a tree with the index of an archive, in one walk and without keeping either in memory.
public struct TreeComparison {
    /// What was compared.
    public struct Summary: Sendable, Hashable {
        /// Files of the tree.
        public var files = 0
        /// Bytes of their content without holes; a file with several names counts once.
        public var sourceBytes: Int64 = 0
        /// Files in which the two differ.
        public var differences = 0
        /// Files that do not belong into an archive, with the reason.
        public var leftOut: [LeftOut] = []
        /// Files that could not be read, and so not compared.
        public var unreadable: [UnreadableFile] = []
        /// Whether all was compared; `false` when the caller ended it.
        public var isComplete = false
    }

    private let selection: TreeSelection
    private let index: FilePath
    private let readsEverything: Bool
    private let cancellation: Cancellation

    /// Chooses what to compare.
    /// - Parameter readsEverything: Whether to read also files whose ``ChangeHint`` tells that they were not touched.
    public init(
        _ selection: TreeSelection,
        index: FilePath,
        readsEverything: Bool = false,
        cancellation: Cancellation
    ) {
        self.selection = selection
        self.index = index
        self.readsEverything = readsEverything
        self.cancellation = cancellation
    }

    /// Walks the tree and tells each difference, in walking order.
    /// - Parameter report: Returns whether to go on.
    /// - Throws: ``ArchiveError`` when the index cannot be read, `FilesError` when the walk cannot go on, `Stopped`.
    public func run(_ report: (TreeDifference) throws -> Bool) throws -> Summary {
        let frames = try FrameReader(path: index, jobs: 1, cancellation: cancellation)
        let lines = ArchiveIndexReader(from: frames)
        let files = FileComparison(root: selection.root, readsEverything: readsEverything, cancellation: cancellation)
        var walk = selection.walk()
        var summary = Summary()
        var recorded = try lines.next()
        func tell(_ record: FileRecord, _ change: TreeDifference.Change) throws -> Bool {
            summary.differences += 1
            return try report(TreeDifference(path: record.path, kind: record.kind, change: change))
        }
        while let event = try walk.next() {
            try cancellation.check()
            switch event {
            case .leftOut(let file):
                if file.reason != .vanished { summary.leftOut.append(file) }
            case .unreadable(let path, let error):
                summary.unreadable.append(UnreadableFile(path: path, error: error))
                if recorded?.path == path { recorded = try lines.next() }
            case .file(let record):
                while let gone = recorded, gone.path < record.path {
                    guard try tell(gone, .removed) else { return summary }
                    recorded = try lines.next()
                }
                summary.files += 1
                if record.hardLink == nil {
                    summary.sourceBytes = summary.sourceBytes.addingSaturated(walk.stat.dataBytes)
                }
                guard let line = recorded, line.path == record.path else {
                    guard try tell(record, .added) else { return summary }
                    continue
                }
                recorded = try lines.next()
                do {
                    let aspects = try files.differences(of: record, from: line, walk)
                    if !aspects.isEmpty, try !tell(record, .changed(aspects)) { return summary }
                } catch let error as FilesError {
                    if error.errno == .noSuchFileOrDirectory || error.errno == .staleNFSFileHandle {
                        guard try tell(line, .removed) else { return summary }
                    } else {
                        summary.unreadable.append(UnreadableFile(path: record.path, error: error))
                    }
                }
            }
        }
        while let gone = recorded {
            guard try tell(gone, .removed) else { return summary }
            recorded = try lines.next()
        }
        summary.isComplete = true
        return summary
    }
}
