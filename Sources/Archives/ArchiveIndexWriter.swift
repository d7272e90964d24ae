public import Files
public import SystemPackage

/// Writes the index of an archive: one line a file, see ``IndexFormat``, into a ``FrameWriter``.
///
/// Not for use from more than one thread at a time.
public final class ArchiveIndexWriter {
    private let frames: FrameWriter
    private let path: FilePath
    private var buffer = IndexFormat.header
    private var last: TreePath?

    /// Lines written so far.
    public private(set) var count = 0

    /// Writes into `frames`; `path` names the index in errors.
    public init(to frames: FrameWriter, path: FilePath) {
        self.frames = frames
        self.path = path
    }

    /// Refuses a file whose line would be too long, before anything of it is written.
    func check(_ record: FileRecord) throws(ArchiveError) {
        // A value takes four digits for three bytes, a name four for one at most.
        let most = record.attributes.reduce(0) { $0 + 4 * $1.name.count + $1.value.count / 3 * 4 + 16 }
        let names =
            4 * (record.path.bytes.count + (record.linkTarget?.count ?? 0) + (record.hardLink?.bytes.count ?? 0))
        guard most + names + 1024 <= IndexFormat.largestLine else {
            throw ArchiveError(
                "write the line of",
                entry: record.path.bytes,
                in: path,
                .unsupported("its extended attributes are too large")
            )
        }
    }

    /// Adds a file.
    /// - Precondition: its path comes after the one before; a regular file that is no hard link has its digest.
    public func add(_ record: FileRecord) throws {
        if let last { precondition(last < record.path, "the walk is out of order") }
        precondition(record.digest != nil || record.kind != .regular || record.hardLink != nil)
        last = record.path
        let start = buffer.count
        IndexFormat.append(record, to: &buffer)
        guard buffer.count - start <= IndexFormat.largestLine else {
            throw ArchiveError(
                "write the line of",
                entry: record.path.bytes,
                in: path,
                .unsupported("its extended attributes are too large")
            )
        }
        count += 1
        if buffer.count >= 64 << 10 { try flush() }
    }

    /// Writes the line that proves the index complete, and waits until all is written.
    public func finish() throws -> FrameTotals {
        buffer += IndexFormat.endPrefix
        appendDecimal(UInt64(count), to: &buffer)
        buffer.append(UInt8(ascii: "\n"))
        try flush()
        return try frames.finish()
    }

    private func flush() throws {
        try buffer.withUnsafeBytes { try frames.write($0) }
        buffer.removeAll(keepingCapacity: true)
    }
}
