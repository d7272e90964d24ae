public import Files
internal import Reporting
public import SystemPackage

/// Writes a tar archive (pax format) into a ``FrameWriter``: for each file ``begin(_:extents:)``, its content, and
/// ``end()``.
///
/// The headers are our own, see ``PaxHeader``: libarchive's writer can keep names as bytes only by marking every
/// entry with `hdrcharset=BINARY`, about which GNU tar then warns once a file, and would have us feed it the holes
/// of sparse files. What is written here is read back by libarchive in ``TarReader``, so that a misunderstanding of
/// the format cannot hide.
/// Not for use from more than one thread at a time.
public final class TarWriter {
    private let frames: FrameWriter
    private let path: FilePath
    private var header = PaxHeader()
    private var entry = TreePath.root
    private var left: Int64 = 0
    private var padding = 0

    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)

    /// Writes into `frames`; `path` names the archive in errors.
    public init(to frames: FrameWriter, path: FilePath) {
        self.frames = frames
        self.path = path
    }

    /// Writes a file's header.
    ///
    /// A regular file without `hardLink` must then get its content: the record's `size` bytes, or with `extents` only
    /// the bytes of those stretches.
    /// - Parameter extents: Where a sparse file has data, in order, without overlap, within its size; `nil` for a
    ///   file that is stored as a whole.
    /// - Throws: ``ArchiveError`` for a socket, for attributes of more than 1 MiB and when writing fails, `Stopped`.
    public func begin(_ record: FileRecord, extents: [DataExtent]? = nil) throws {
        precondition(left == 0, "the last entry is not complete")
        entry = record.path
        let type: UInt8
        switch record.kind {
        case _ where record.hardLink != nil: type = UInt8(ascii: "1")
        case .regular: type = UInt8(ascii: "0")
        case .symbolicLink: type = UInt8(ascii: "2")
        case .characterDevice: type = UInt8(ascii: "3")
        case .blockDevice: type = UInt8(ascii: "4")
        case .directory: type = UInt8(ascii: "5")
        case .fifo: type = UInt8(ascii: "6")
        case .socket:
            throw ArchiveError(
                "write",
                entry: record.path.bytes,
                in: path,
                .unsupported("a socket cannot be stored in an archive")
            )
        }
        guard type == UInt8(ascii: "0") else {
            header.build(record, type: type, storedSize: 0, isSparse: false)
            try writeHeader()
            return
        }
        if let extents {
            let map = PaxHeader.sparseMap(extents, size: record.size)
            left = extents.totalBytes
            header.build(record, type: type, storedSize: Int64(map.count) + left, isSparse: true)
            try writeHeader()
            try map.withUnsafeBytes { try frames.write($0) }
        } else {
            left = record.size
            header.build(record, type: type, storedSize: left, isSparse: false)
            try writeHeader()
        }
        padding = Int(-left & Int64(PaxHeader.blockSize - 1))
    }

    private func writeHeader() throws {
        guard header.isReadable else {
            left = 0
            throw ArchiveError(
                "write the header of",
                entry: entry.bytes,
                in: path,
                .unsupported("its extended attributes take more than 1 MiB")
            )
        }
        padding = 0
        try header.bytes.withUnsafeBytes { try frames.write($0) }
    }

    /// Bytes of content that the current entry still wants.
    public var remaining: Int64 { left }

    /// Adds content.
    /// - Precondition: not more than ``remaining``.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        precondition(bytes.count <= left)
        try frames.write(bytes)
        left -= Int64(bytes.count)
    }

    /// Lets `body` put content straight into the compressor's buffer.
    /// - Parameter body: Gets room for ``remaining`` bytes at most; returns how many it put there.
    /// - Returns: What `body` returned.
    public func fill(_ body: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Int {
        let count = try frames.fill { space in
            try body(UnsafeMutableRawBufferPointer(rebasing: space.prefix(Int(clamping: left))))
        }
        precondition(count <= left)
        left -= Int64(count)
        return count
    }

    /// Completes the entry, with zeros for content that is missing.
    public func end() throws {
        while left > 0 {
            let count = Int(min(left, Int64(Self.zeros.count)))
            try Self.zeros.withUnsafeBytes { try frames.write(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            left -= Int64(count)
        }
        if padding > 0 {
            try Self.zeros.withUnsafeBytes { try frames.write(UnsafeRawBufferPointer(rebasing: $0[..<padding])) }
            padding = 0
        }
    }

    /// Remembers this place between two entries, so that ``rewind()`` can come back to it.
    public func mark() throws {
        precondition(left == 0, "the last entry is not complete")
        try frames.mark()
    }

    /// Takes back everything since the last ``mark()``, in the middle of an entry too.
    public func rewind() throws {
        left = 0
        padding = 0
        try frames.rewind()
    }

    /// Writes the end of the archive and waits until all is written.
    /// - Throws: ``ArchiveError``, `Stopped`.
    public func finish() throws -> FrameTotals {
        precondition(left == 0, "the last entry is not complete")
        try Self.zeros.withUnsafeBytes {
            try frames.write(UnsafeRawBufferPointer(rebasing: $0[..<(2 * PaxHeader.blockSize)]))
        }
        return try frames.finish()
    }
}
