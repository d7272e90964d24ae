public import Bolt
internal import Files
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

    /// The short form that other modules know.
    public var report: SnapshotReport { SnapshotReport(faults: faults, status: status) }
}

/// Looks at a snapshot file from its first byte to its last.
///
/// A snapshot is a bbolt file with its own SHA-256 behind it. First the whole file is read in order for the digest,
/// which also warms the page cache; then once more, page by page, for the structure, etcd's keys and the sums. The
/// structure alone cannot find a changed byte inside a value, as bbolt has no checksum on its pages; the digest alone
/// cannot find a file that was broken before it was taken.
///
/// Memory: two bits a page, 8 to 24 bytes for each live key, and less than 2 MiB of buffers.
public struct SnapshotInspector {
    /// What to do about a digest that is missing or wrong.
    public enum DigestRule: Sendable {
        /// It is a fault.
        case required
        /// It is a warning, and a file without one is taken for a copy of a database file, as `--skip-hash-check` has it.
        case optional
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
    /// - Parameter progress: called now and then with bytes read and bytes to read; each byte is read twice.
    /// - Throws: ``BoltError`` when the system cannot read, ``Stopped``; never for what the file contains.
    public func inspect(
        _ file: FileDescriptor,
        progress: (_ done: Int64, _ total: Int64) -> Void = { _, _ in }
    ) throws -> SnapshotInspection {
        let size = try Self.size(of: file)
        var inspection = SnapshotInspection()
        // etcd's own test: pages are multiples of 512 bytes, so the 32 bytes of a digest show.
        let hasTrailer = size % 512 == Self.trailerSize
        let length = hasTrailer ? size - Self.trailerSize : size
        if hasTrailer {
            let matches = try digestMatches(file, length: length) { progress(Int64($0), Int64(2 * length)) }
            if !matches {
                let text =
                    "the SHA-256 at the end does not belong to the \(length) bytes before it: "
                    + "the file was changed after it was written"
                if rule == .required { inspection.faults.append(text) } else { inspection.warnings.append(text) }
            }
        } else {
            let text =
                "there is no SHA-256 at the end: a length of \(size) bytes is that of "
                + (size > 0 && size % 512 == 0 ? "a copy of the database file or of a cut snapshot" : "a cut snapshot")
            if rule == .required { inspection.faults.append(text) } else { inspection.warnings.append(text) }
        }
        switch try BoltFile.open(file, length: length, origin: hasTrailer ? .stream : .copy) {
        case .unusable(let faults):
            inspection.faults += faults.lines
        case .file(let database):
            inspection.database = database
            inspection.warnings += database.warnings
            let walk = BoltWalk(database, cancellation: cancellation)
            var scan = SnapshotScan()
            try scan.run(walk) { pages in
                progress(Int64(length + min(length, pages * database.meta.pageSize)), Int64(2 * length))
            }
            inspection.faults += walk.faults.lines
            if walk.faults.isEmpty {
                inspection.status = scan.status(of: database)
                inspection.contents = scan.contents
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

    private func digestMatches(_ file: FileDescriptor, length: Int, progress: (Int) -> Void) throws -> Bool {
        var hasher = SHA256Hasher()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var done = 0
        func read(_ count: Int) throws(BoltError) -> Int {
            do {
                let got = try file.read(
                    fromAbsoluteOffset: Int64(done),
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                )
                guard got > 0 else { throw BoltError("read", .shrank(offset: done)) }
                return got
            } catch {
                throw error as? BoltError ?? BoltError("read", .system(error as? Errno ?? .ioError, offset: done))
            }
        }
        while done < length {
            try cancellation.check()
            let got = try read(min(buffer.count, length - done))
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
            done += got
            progress(done)
        }
        var trailer = [UInt8]()
        while trailer.count < Self.trailerSize {
            let got = try read(Self.trailerSize - trailer.count)
            trailer += buffer[..<got]
            done += got
        }
        return hasher.finish().bytes == trailer
    }
}
