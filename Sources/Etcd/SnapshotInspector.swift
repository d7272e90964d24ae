public import Bolt
public import NodeInterface
public import Reporting
public import SystemPackage

/// Everything that was learned from a snapshot file.
public struct SnapshotInspection: Sendable {
    /// What must not be so, each a line for an operator, in the order of the file; empty for a good snapshot.
    public var faults: [String] = []
    /// What is odd but can be lived with.
    public var warnings: [String] = []
    /// What `etcdutl snapshot status` would print and more; `nil` when the tree has a fault.
    public var status: SnapshotStatus?
    /// What it says about its cluster; `nil` when the tree has a fault.
    public var contents: SnapshotContents?
    /// The database, for reading it again; `nil` when neither meta page can be used.
    public var database: BoltFile?
    /// How large everything in it is; `nil` when the tree has a fault.
    var sizes: SnapshotSizes?

    /// Whether the missing digest is all that is wrong: a copy of a database file, most likely.
    public var lacksOnlyDigest = false

    /// The short form that other modules know.
    public var report: SnapshotReport { SnapshotReport(faults: faults, status: status) }
}

/// Checks a snapshot file from its first byte to its last.
///
/// A snapshot is a bbolt file with its own SHA-256 behind it. The file is read in order for the digest, by a thread of
/// its own, and at the same time page by page for the structure, etcd's keys and the sums. The structure alone cannot
/// find a changed byte inside a value, as bbolt has no checksum on its pages; the digest alone cannot find a file that
/// was broken before it was taken.
///
/// Memory: two bits a page, 8 to 24 bytes for each live key, and less than 2 MiB of buffers.
public struct SnapshotInspector {
    /// What to do about a digest that is missing or wrong.
    public enum DigestRule: Sendable {
        /// It is a fault.
        case required
        /// It is a warning, and a file without one is taken for a copy of a database file, as `--skip-hash-check` has it.
        case optional
        /// It was compared while the snapshot came, so that the bytes need not be hashed again; it must be there.
        case proved
    }

    /// Bytes of the digest behind the database.
    public static let trailerSize = 32

    private let rule: DigestRule
    private let cancellation: Cancellation

    /// An inspector.
    public init(rule: DigestRule = .required, cancellation: Cancellation) {
        self.rule = rule
        self.cancellation = cancellation
    }

    /// Inspects the snapshot in `file`.
    ///
    /// - Parameter file: open for reading, seekable; its offset is not used.
    /// - Parameter progress: called now and then with bytes checked and bytes of the database.
    /// - Throws: ``BoltError`` when the system cannot read, ``Stopped``; never for what the file contains.
    public func inspect(
        _ file: FileDescriptor,
        progress: (_ done: Int64, _ total: Int64) -> Void = { _, _ in }
    ) throws -> SnapshotInspection {
        let size = try Self.size(of: file)
        // etcd's own test: pages are multiples of 512 bytes, so the 32 bytes of a digest show.
        let hasTrailer = size % 512 == Self.trailerSize
        let length = hasTrailer ? size - Self.trailerSize : size
        let digest =
            hasTrailer && rule != .proved
            ? SnapshotDigestThread(file, length: length, cancellation: cancellation) : nil
        // Waited for even when the walk throws, as the thread uses the descriptor.
        let walked = Result { try walk(file, length: length, hasTrailer: hasTrailer, progress: progress) }
        let matches = rule == .proved && hasTrailer ? true : try digest?.wait()
        var inspection = try walked.get()
        let flaw: String? =
            if matches == nil {
                "there is no SHA-256 at the end: a length of \(size) bytes is that of "
                    + (size > 0 && size % 512 == 0
                        ? "a copy of the database file or of an incomplete snapshot" : "an incomplete snapshot")
            } else if matches == false {
                "the SHA-256 at the end does not belong to the \(length) bytes before it: "
                    + "the file was changed after it was written"
            } else {
                nil
            }
        if let flaw {
            if rule == .optional {
                inspection.warnings.insert(flaw, at: 0)
            } else {
                inspection.lacksOnlyDigest = matches == nil && inspection.faults.isEmpty && size % 512 == 0
                inspection.faults.insert(flaw, at: 0)
            }
        }
        return inspection
    }

    /// Bytes of the database that the meta page at the start of `file` states, however much of the rest is there; `nil`
    /// when no meta page can be used.
    /// - Throws: ``BoltError`` when the system cannot read.
    public static func statedLength(of file: FileDescriptor) throws -> Int64? {
        let length = try size(of: file)
        guard case .file(let database) = try BoltFile.open(file, length: length, origin: .copy) else { return nil }
        let (bytes, isTooLarge) = database.meta.pageCount.multipliedReportingOverflow(
            by: UInt64(database.meta.pageSize)
        )
        // Room for what callers add.
        return isTooLarge || bytes > 1 << 60 ? 1 << 60 : Int64(bytes)
    }

    private func walk(
        _ file: FileDescriptor,
        length: Int,
        hasTrailer: Bool,
        progress: (_ done: Int64, _ total: Int64) -> Void
    ) throws -> SnapshotInspection {
        var inspection = SnapshotInspection()
        switch try BoltFile.open(file, length: length, origin: hasTrailer ? .stream : .copy) {
        case .unusable(let faults):
            inspection.faults = faults.lines
        case .file(let database):
            inspection.database = database
            inspection.warnings = database.warnings
            let walk = BoltWalk(database, cancellation: cancellation)
            var scan = SnapshotScan(database)
            try scan.run(walk) { pages in
                progress(Int64(min(length, pages * database.meta.pageSize)), Int64(length))
            }
            inspection.faults = walk.faults.lines
            if walk.faults.isEmpty {
                inspection.status = scan.status(of: database)
                inspection.contents = scan.contents
                inspection.sizes = scan.sizes
            }
        }
        return inspection
    }

    private static func size(of file: FileDescriptor) throws(BoltError) -> Int {
        do {
            // The offset of the descriptor is the caller's: seeking to the end and back would show to others.
            return Int(try file.stat().size)
        } catch {
            throw BoltError("measure", .system(error, offset: 0))
        }
    }
}
