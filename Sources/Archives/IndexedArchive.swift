internal import Files
internal import Reporting
internal import SystemPackage

/// An archive and its index, read side by side: each file of the one must be the next line of the other.
final class IndexedArchive {
    private let archiveFrames: FrameReader
    private let indexFrames: FrameReader
    private let tar: TarReader
    private let index: ArchiveIndexReader
    private var hasher: ContentHasher
    /// Files whose content is to be compared with the digest of their line.
    private var batch = ContentBatch<FileRecord>()

    init(archive: FilePath, index: FilePath, jobs: Int, cancellation: Cancellation) throws {
        archiveFrames = try FrameReader(path: archive, jobs: jobs, cancellation: cancellation)
        indexFrames = try FrameReader(path: index, jobs: 1, cancellation: cancellation)
        tar = try TarReader(from: archiveFrames)
        self.index = ArchiveIndexReader(from: indexFrames)
        hasher = ContentHasher(cancellation: cancellation)
    }

    /// What was read of the two files; `nil` until ``next()`` has returned `nil`.
    var totals: (archive: FrameTotals, index: FrameTotals)? {
        guard let archive = archiveFrames.totals, let index = indexFrames.totals else { return nil }
        return (archive, index)
    }

    /// The archive's file.
    var path: FilePath { archiveFrames.path }

    /// The next file, as its index line describes it, and its bytes outside of holes; `nil` after the last one.
    /// - Throws: ``ArchiveError`` when the two do not agree.
    func next() throws -> (record: FileRecord, dataBytes: Int64)? {
        let entry = try tar.next()
        let line = try index.next()
        guard let entry else {
            guard let line else { return nil }
            throw fault("find", line.path, "the index has it, the archive does not")
        }
        guard let line else {
            throw fault("find the index line of", entry.record.path, "the archive has it, the index does not")
        }
        guard entry.record.path == line.path else {
            throw fault("find", min(entry.record.path, line.path), "the archive and its index do not agree about it")
        }
        var described = line
        described.digest = nil
        // the index has the time as it is, the archive in one of two spellings
        if line.modified.asReadByLibarchive == entry.record.modified { described.modified = entry.record.modified }
        let aspects =
            line.hardLink != nil || entry.record.hardLink != nil
            ? FileAspect.metadataDifferences(described, entry.record)
            : FileAspect.differences(described, entry.record)
        if !aspects.isEmpty {
            let names = aspects.map(\.description).joined(separator: ", ")
            throw fault("verify", line.path, "it differs from its index line: \(names)")
        }
        try refuseLongHoles(of: line, dataBytes: entry.dataBytes)
        return (line, entry.dataBytes)
    }

    /// The longest holes that are hashed byte by byte: those of the longest file that ext4 has, which takes hours.
    private static let longestHashedHoles: Int64 = 16 << 40

    /// Refuses a digest of all bytes for a file whose holes would take days to hash.
    private func refuseLongHoles(of line: FileRecord, dataBytes: Int64) throws {
        guard case .whole? = line.digest, line.size - min(dataBytes, line.size) > Self.longestHashedHoles else {
            return
        }
        throw fault("verify", line.path, "its holes are too long for a digest of all of its bytes")
    }

    /// Reads the content of a regular file and compares it with its digest, holes as zeros.
    func readContent(
        of record: FileRecord,
        _ body: (_ offset: Int64, _ bytes: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        hasher.start(record.digest?.form ?? .whole)
        try readPieces(of: record) { offset, bytes in
            try hasher.add(bytes, at: offset)
            try body(offset, bytes)
        }
        try verify(record, try hasher.finish(size: record.size))
    }

    /// Reads the content of a regular file into memory, holes as zeros; it is not compared with its digest.
    /// - Parameter room: As long as the content.
    func readContent(of record: FileRecord, into room: UnsafeMutableRawBufferPointer) throws {
        var filled = 0
        func fill(with zeros: Int) {
            UnsafeMutableRawBufferPointer(rebasing: room[filled..<zeros]).initializeMemory(as: UInt8.self, repeating: 0)
        }
        try readPieces(of: record) { offset, bytes in
            fill(with: Int(offset))
            UnsafeMutableRawBufferPointer(rebasing: room[Int(offset)...]).copyMemory(from: bytes)
            filled = Int(offset) + bytes.count
        }
        fill(with: room.count)
    }

    /// Reads the content of a regular file and compares it with its digest, at once or later together with others.
    ///
    /// The last ones are compared by ``finishComparing()``.
    func compareContent(of record: FileRecord) throws {
        guard record.size <= Int64(ContentBatch<FileRecord>.largestContent), record.digest?.form == .whole else {
            return try readContent(of: record) { _, _ in }
        }
        let room = try batch.room(for: Int(record.size), verifyItem)
        try readContent(of: record, into: room)
        batch.add(record, contentOf: room.count)
    }

    /// Compares what ``compareContent(of:)`` has put off.
    func finishComparing() throws {
        try batch.flush(verifyItem)
    }

    private func readPieces(
        of record: FileRecord,
        _ body: (_ offset: Int64, _ bytes: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var position: Int64 = 0
        try tar.readContent { offset, bytes in
            guard offset >= position, offset <= record.size - Int64(bytes.count) else {
                throw fault("read", record.path, "its pieces are not in order")
            }
            position = offset + Int64(bytes.count)
            try body(offset, bytes)
        }
    }

    private func verifyItem(_ record: FileRecord, _: UnsafeRawBufferPointer?, _ digest: ContentDigest?) throws {
        try verify(record, digest)
    }

    /// Throws when a content is not what the record's line says.
    var verify: @Sendable (FileRecord, ContentDigest?) throws -> Void {
        let archive = path
        return { record, digest in
            guard digest == record.digest else {
                let reason = "its content does not have the SHA-256 of its index line"
                throw ArchiveError("verify", entry: record.path.bytes, in: archive, .damaged(reason))
            }
        }
    }

    private func fault(_ operation: String, _ path: TreePath, _ reason: String) -> ArchiveError {
        ArchiveError(operation, entry: path.bytes, in: archiveFrames.path, .damaged(reason))
    }
}
