public import Files
public import Reporting
public import SystemPackage

/// Writes trees into archives.
public enum TreeArchiver {
    /// How an archive is made.
    public struct Options: Sendable {
        /// How hard to compress.
        public var level: CompressionLevel
        /// Compressing threads, of which at most four are used; 12 to 18 MiB of memory each.
        public var jobs: Int
        /// Whether a file that cannot be read is listed instead of failing the whole.
        public var skipsUnreadable: Bool

        /// Options.
        public init(level: CompressionLevel = .automatic, jobs: Int = 2, skipsUnreadable: Bool = false) {
            self.level = level
            self.jobs = jobs
            self.skipsUnreadable = skipsUnreadable
        }
    }

    /// Writes an archive (`NAME.tar.zst`) and its index (`NAME.files.zst`), reading each byte once.
    ///
    /// The calling thread walks, reads and hashes; `jobs` threads compress. No file is held in memory: up to 1 MiB is
    /// read before its entry is written, and what is larger goes straight into the frames. A file that changes
    /// meanwhile is read again, up to three times; for a large one the archive is rewound to where its entry starts.
    /// So each file is in the archive once, and its index line describes exactly what is there.
    ///
    /// Both files are synced, their directory is not; nothing is left of them at failure.
    /// - Parameters:
    ///   - selection: The tree.
    ///   - name: The first part of the file names.
    ///   - directory: Exists; neither of the two is in it yet. They get mode 0600.
    ///   - progress: Called with the files and the bytes of content so far: at every file and every MiB.
    /// - Throws: `FilesError` for a file that cannot be read, ``ArchiveError`` when the archive cannot be written,
    ///   `Stopped`.
    public static func write(
        _ selection: TreeSelection,
        name: String,
        into directory: FilePath,
        options: Options = Options(),
        cancellation: Cancellation,
        progress: @escaping (_ files: Int, _ bytes: Int64) -> Void = { _, _ in }
    ) throws -> TreeArchiveSummary {
        let archive = try NewFile("\(name).tar.zst", in: directory)
        let index = try NewFile("\(name).files.zst", in: directory)
        let archiveFrames = try FrameWriter(
            to: archive.descriptor,
            path: archive.path,
            level: options.level,
            jobs: options.jobs,
            cancellation: cancellation
        )
        defer { archiveFrames.stop() }
        // An index is small: one thread, and frames that take little memory.
        let indexFrames = try FrameWriter(
            to: index.descriptor,
            path: index.path,
            level: options.level,
            jobs: 1,
            layout: .frames(256 << 10),
            cancellation: cancellation
        )
        defer { indexFrames.stop() }
        let run = ArchiveRun(
            selection,
            tar: TarWriter(to: archiveFrames, path: archive.path),
            index: ArchiveIndexWriter(to: indexFrames, path: index.path),
            skipsUnreadable: options.skipsUnreadable,
            cancellation: cancellation,
            progress: progress
        )
        let summary = try run.run()
        try archive.commit()
        try index.commit()
        return summary
    }
}

/// What went into an archive, and what did not.
public struct TreeArchiveSummary: Sendable, Hashable {
    /// Files of all kinds, hard links too.
    public var files = 0
    /// Bytes of content without holes; a file with several names counts once.
    public var sourceBytes: Int64 = 0
    /// The archive itself.
    public var archive: FrameTotals
    /// The index itself.
    public var index: FrameTotals
    /// Files that do not belong into an archive, with the reason.
    public var leftOut: [LeftOut] = []
    /// Files that changed each time they were read; they are in the archive as the last reading found them.
    public var changed: [TreePath] = []
    /// Files that went away before they could be read.
    public var vanished: [TreePath] = []
    /// Files that could not be read, when that is allowed.
    public var unreadable: [UnreadableFile] = []
}
