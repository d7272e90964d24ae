public import Files
public import Reporting
public import SystemPackage

/// Makes a tree equal to an archive by writing only what differs.
///
/// The tops of the trees come from the index: records whose directory is not recorded. What lies below a top that is a
/// directory and is not in the index goes away, and so does what an earlier run has left when it was killed.
/// Exclusions, what the request leaves out and mount points below a top are neither entered, nor written, nor removed;
/// directories that hold such a thing stay. A directory above a top that is missing is made with mode 0755.
///
/// A file is unchanged when its ``ChangeHint`` says so, or when all of its metadata and its SHA-256 are those of the
/// index. Sockets go away: an archive has none.
public struct TreeRestorer {
    /// What is to be made equal to what.
    public struct Request: Sendable {
        /// Stands for the node's `/`; the paths in the archive are relative to it.
        public var root: RootDirectory
        /// `NAME.tar.zst` of a recovery point.
        public var archive: FilePath
        /// `NAME.files.zst` of the same recovery point.
        public var index: FilePath
        /// Kept as they are: neither written nor removed, relative to the root.
        public var exclusions: [PathPattern]
        /// Files that are kept whatever they are called, and what they are.
        public var leaveOut: [FileIdentity: String]
        /// Decompressing threads, 1 to 16.
        public var jobs: Int
        /// What the archive may be about: an index that has anything else is refused.
        public var within: [TreePath]
        /// Whether files that the index does not have stay: for an archive whose list of what was left out is not
        /// complete, so that nobody can tell which of them it is about.
        public var keepsExtras: Bool

        /// A request.
        public init(
            root: RootDirectory,
            archive: FilePath,
            index: FilePath,
            exclusions: [PathPattern] = [],
            leaveOut: [FileIdentity: String] = [:],
            jobs: Int = 2,
            within: [TreePath] = [.root],
            keepsExtras: Bool = false
        ) {
            self.root = root
            self.archive = archive
            self.index = index
            self.exclusions = exclusions
            self.leaveOut = leaveOut
            self.jobs = jobs
            self.within = within
            self.keepsExtras = keepsExtras
        }
    }

    /// Room that must be free on one file system.
    public struct NeededSpace: Sendable, Hashable {
        /// A directory on it that is there.
        public var path: FilePath
        /// At most: whole blocks of 4096 bytes and one for the file itself; long holes do not count.
        public var bytes: Int64
    }

    /// What was done, or would be.
    public struct Summary: Sendable, Hashable {
        /// Files of all kinds that the index has, without those that are kept as they are.
        public var files = 0
        /// Of those, files that are as they should be.
        public var unchanged = 0
        /// Of those, files that are made, anew or for the first time.
        public var written = 0
        /// Of those, files whose content is right and whose metadata is set.
        public var metadataOnly = 0
        /// Files that go away.
        public var removed = 0
        /// Bytes of content of the files that are made, without long holes.
        public var writtenBytes: Int64 = 0
        /// What is kept as it is, with the reason.
        public var leftOut: [LeftOut] = []
        /// Room that the new files take while the old ones are still there.
        public var neededSpace: [NeededSpace] = []

        /// A summary of nothing.
        public init() {}
    }

    private let request: Request
    private let cancellation: Cancellation

    /// Prepares; nothing is read yet.
    public init(_ request: Request, cancellation: Cancellation) {
        self.request = request
        self.cancellation = cancellation
    }

    /// Tells what would change, in walking order; nothing is touched.
    ///
    /// The differences are told from the tree's view: `.added` is made, `.removed` goes away.
    /// - Parameter report: Returns whether to go on; the summary is then that of what was seen.
    /// - Throws: As ``run(progress:)`` does before it changes anything.
    public func plan(_ report: @escaping (TreeDifference) throws -> Bool) throws -> Summary {
        let planner = try RestorePlanner(request, cancellation: cancellation, report: report)
        do {
            return try planner.run().summary
        } catch is RestorePlanner.Ended {
            return planner.plan.summary
        }
    }

    /// The room that a run needs, by file system: new files lie beside the old ones until all of them are whole.
    public func neededBytes() throws -> [NeededSpace] {
        try plan { _ in true }.neededSpace
    }

    /// Makes the tree equal to the archive.
    ///
    /// First everything that differs is made beside its place, and every content compared with its digest; the archive
    /// is read at most once, and not at all when no content differs. When all of it is on the disk, it is renamed;
    /// then what is too much goes away, and metadata is set where that is all that differs. A failure before the
    /// renames leaves the tree as it was. A run that is killed anywhere leaves under each name either the old file or
    /// the new one, and the next run brings the tree to the same end.
    /// - Parameter progress: Called with the files made and their bytes so far.
    /// - Throws: ``ArchiveError`` for damage, and when something that is kept is in the way; `FilesError` when the tree
    ///   cannot be read or written; `Stopped`, before the renames.
    public func run(progress: (_ files: Int, _ bytes: Int64) -> Void = { _, _ in }) throws -> Summary {
        try run(observer: nil, progress: progress)
    }

    func run(
        observer: (any ChangeObserver)?,
        progress: (_ files: Int, _ bytes: Int64) -> Void = { _, _ in }
    ) throws -> Summary {
        let planner = try RestorePlanner(request, cancellation: cancellation) { _ in true }
        let plan = try planner.run()
        guard !plan.isEmpty else { return plan.summary }
        let editor = TreeEditor(root: request.root, tops: plan.tops, observer: observer)
        let run = RestoreRun(plan, request, editor, cancellation)
        try run.run(progress)
        return plan.summary
    }
}
