internal import Files
internal import Glibc
internal import Reporting
internal import SystemPackage

/// One run of ``TreeArchiver/write(_:name:into:options:cancellation:progress:)``.
final class ArchiveRun {
    /// How often a file is read at most.
    static let attempts = 3
    /// Read in pieces that stay in the processor's cache until they are hashed.
    private static let pieceSize = 256 << 10

    private let selection: TreeSelection
    private let tar: TarWriter
    private let index: ArchiveIndexWriter
    private let skipsUnreadable: Bool
    private let cancellation: Cancellation
    private let progress: (_ files: Int, _ bytes: Int64) -> Void
    /// Records whose index line waits for the digests of small files.
    private var batch = ContentBatch<FileRecord>()
    /// For files that are too large for the batch.
    private var hasher: ContentHasher
    private var links = LinkNames()
    private var summary: TreeArchiveSummary

    init(
        _ selection: TreeSelection,
        tar: TarWriter,
        index: ArchiveIndexWriter,
        skipsUnreadable: Bool,
        cancellation: Cancellation,
        progress: @escaping (_ files: Int, _ bytes: Int64) -> Void
    ) {
        self.selection = selection
        self.tar = tar
        self.index = index
        self.skipsUnreadable = skipsUnreadable
        self.cancellation = cancellation
        self.progress = progress
        hasher = ContentHasher(cancellation: cancellation)
        let nothing = FrameTotals(contentBytes: 0, fileBytes: 0, fileDigest: SHA256Hasher.digest(of: []))
        summary = TreeArchiveSummary(archive: nothing, index: nothing)
    }

    func run() throws -> TreeArchiveSummary {
        var walk = selection.walk()
        while let event = try walk.next() {
            try cancellation.check()
            switch event {
            case .file(let record):
                if try !add(links.resolve(record), walk) { walk.skipContents() }
                progress(summary.files, summary.sourceBytes)
            case .leftOut(let file) where file.reason == .vanished:
                summary.vanished.append(file.path)
            case .leftOut(let file):
                summary.leftOut.append(file)
            case .unreadable(let path, let error):
                try skip(path, error)
            }
        }
        try batch.flush(writeLine)
        summary.archive = try tar.finish()
        summary.index = try index.finish()
        return summary
    }

    /// - Returns: whether it is in the archive; of a directory that is not, nothing in it can be.
    private func add(_ record: FileRecord, _ walk: borrowing TreeWalk) throws -> Bool {
        do {
            if record.kind == .regular, record.hardLink == nil {
                try addContent(record, walk)
            } else {
                let now = FileTime.now
                var record = record
                try walk.readDetails(&record)
                // All names of a file share its attributes: they come with the first one.
                if record.hardLink != nil { record.attributes = [] }
                try index.check(record)
                try tar.begin(record)
                try tar.end()
                try batch.add(finished(record, dataBytes: 0, readAt: now), writeLine)
            }
            return true
        } catch let error as ArchiveError {
            guard case .unsupported(let reason) = error.cause else { throw error }
            links.lost(record.path)
            summary.leftOut.append(LeftOut(path: record.path, reason: .notStorable(reason)))
        } catch let error as FilesError {
            links.lost(record.path)
            if error.errno == .argListTooLong {
                let reason = "its attributes are more than the kernel gives out at once"
                summary.leftOut.append(LeftOut(path: record.path, reason: .notStorable(reason)))
            } else if error.errno == .noSuchFileOrDirectory || error.errno == .staleNFSFileHandle {
                summary.vanished.append(record.path)
            } else {
                try skip(record.path, error)
            }
        }
        return false
    }

    private func skip(_ path: TreePath, _ error: FilesError) throws {
        guard skipsUnreadable else { throw error }
        summary.unreadable.append(UnreadableFile(path: path, error: error))
    }

    /// Counts a file whose entry has been written, and gives its record as the index is to have it.
    private func finished(_ record: FileRecord, dataBytes: Int64, readAt moment: FileTime) -> FileRecord {
        var record = record
        if let hint = record.hint, !hint.isTrustworthy(readAt: moment) { record.hint = nil }
        summary.files += 1
        summary.sourceBytes = summary.sourceBytes.addingSaturated(dataBytes)
        return record
    }

    private func writeLine(_ record: FileRecord, _: UnsafeRawBufferPointer?, _ digest: ContentDigest?) throws {
        var record = record
        if let digest { record.digest = digest }
        try index.add(record)
    }

    // MARK: Content

    private func addContent(_ record: FileRecord, _ walk: borrowing TreeWalk) throws {
        let file = try walk.openContent()
        var record = record
        var before = walk.stat
        for attempt in 1...Self.attempts {
            let moment = FileTime.now
            try walk.readDetails(&record)
            try index.check(record)
            let extents =
                before.mayHaveHoles
                ? try DataExtents.find(in: file.descriptor, size: before.size, path: text(of: record.path)) : nil
            let source = Source(file: file.descriptor, stat: before, isLastAttempt: attempt == Self.attempts)
            if extents == nil, before.size <= ContentBatch<FileRecord>.largestContent {
                if try addBuffered(&record, source) {
                    let line = finished(record, dataBytes: record.size, readAt: moment)
                    return batch.add(line, contentOf: Int(line.size))
                }
            } else if try addStreamed(&record, source, extents) {
                let dataBytes = extents?.totalBytes ?? record.size
                return try batch.add(finished(record, dataBytes: dataBytes, readAt: moment), writeLine)
            }
            before = try FileStat(of: file.descriptor, path: text(of: record.path))
            record = before.record(path: record.path)
        }
    }

    /// A file that is open, and how one attempt to read it is to end.
    private struct Source {
        let file: FileDescriptor
        let stat: FileStat
        let isLastAttempt: Bool
    }

    /// Reads a small file as a whole into the batch's room, then writes its entry.
    /// - Returns: Whether it was written; `false` when it changed and there are attempts left.
    private func addBuffered(_ record: inout FileRecord, _ source: Source) throws -> Bool {
        var count = 0
        let wanted = Int(source.stat.size) + 1
        let buffer = try batch.room(for: wanted, writeLine)
        // The last byte of room shows that the file has grown; a read that fills all but that is the whole file.
        while count < Int(source.stat.size) {
            let space = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<wanted])
            let got = try read(source.file, into: space, at: Int64(count), record.path)
            if got == 0 { break }
            count += got
        }
        if try count != Int(source.stat.size) || !isUnchanged(source, record.path) {
            guard source.isLastAttempt else { return false }
            noteChanging(&record)
        }
        let content = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        record.size = Int64(count)
        try tar.begin(record)
        try tar.write(content)
        try tar.end()
        return true
    }

    /// Reads a large or sparse file into its entry, piece by piece.
    /// - Returns: As above; when it is not written, the archive is as before.
    private func addStreamed(_ record: inout FileRecord, _ source: Source, _ extents: [DataExtent]?) throws -> Bool {
        try tar.mark()
        do {
            try tar.begin(record, extents: extents)
            let extents = extents ?? [DataExtent(offset: 0, length: record.size)]
            hasher.start(ContentDigest.Form(size: record.size, dataBytes: extents.totalBytes))
            guard let isWhole = try copy(extents, source, record) else {
                try tar.rewind()
                return false
            }
            let digest = try hasher.finish(size: record.size)
            if try !isWhole || !isUnchanged(source, record.path) {
                guard source.isLastAttempt else {
                    try tar.rewind()
                    return false
                }
                noteChanging(&record)
            }
            record.digest = digest
            try tar.end()
            return true
        } catch let error as FilesError {
            try tar.rewind()
            throw error
        }
    }

    /// Copies stretches of a file into the archive, and hashes them.
    ///
    /// What is missing because the file was cut short meanwhile is stored and hashed as zeros too, at the last attempt.
    /// - Returns: Whether nothing was missing; `nil` when something was and there are attempts left.
    private func copy(_ extents: [DataExtent], _ source: Source, _ record: FileRecord) throws -> Bool? {
        var isWhole = true
        var done: Int64 = 0
        for extent in extents {
            var position = extent.offset
            let end = extent.offset + extent.length
            while position < end {
                try cancellation.check()
                let offset = position
                let count = try tar.fill { space in
                    let limit = min(space.count, Self.pieceSize, Int(clamping: end - offset))
                    let piece = UnsafeMutableRawBufferPointer(rebasing: space[..<limit])
                    var got = try read(source.file, into: piece, at: offset, record.path)
                    if got == 0 {
                        isWhole = false
                        piece.initializeMemory(as: UInt8.self, repeating: 0)
                        got = limit
                    }
                    try hasher.add(UnsafeRawBufferPointer(rebasing: piece[..<got]), at: offset)
                    return got
                }
                if !isWhole, !source.isLastAttempt { return nil }
                position += Int64(count)
                done += Int64(count)
                progress(summary.files, summary.sourceBytes.addingSaturated(done))
            }
        }
        return isWhole
    }

    private func isUnchanged(_ source: Source, _ path: TreePath) throws(FilesError) -> Bool {
        source.stat.isUnchanged(in: try FileStat(of: source.file, path: text(of: path)))
    }

    private func text(of path: TreePath) -> String { selection.root.text(of: path) }

    private func noteChanging(_ record: inout FileRecord) {
        record.hint = nil
        summary.changed.append(record.path)
    }

    private func read(
        _ file: FileDescriptor,
        into space: UnsafeMutableRawBufferPointer,
        at offset: Int64,
        _ path: TreePath
    ) throws(FilesError) -> Int {
        while true {
            let count = pread(file.rawValue, space.baseAddress, space.count, Int(offset))
            if count >= 0 { return count }
            if errno != EINTR { throw .last("read", text(of: path)) }
        }
    }
}

extension [DataExtent] {
    /// How long they are together.
    var totalBytes: Int64 { reduce(0) { $0.addingSaturated($1.length) } }
}

/// The first names of files with several, when the first one did not make it into the archive: the next one takes
/// its place.
private struct LinkNames {
    private var lostNames: Set<TreePath> = []
    private var replacements: [TreePath: TreePath] = [:]

    /// The file of this name is not in the archive.
    mutating func lost(_ path: TreePath) {
        lostNames.insert(path)
        for (first, replacement) in replacements where replacement == path { replacements[first] = nil }
    }

    /// The record with a first name that is in the archive; it becomes the first name itself when there is none.
    mutating func resolve(_ record: FileRecord) -> FileRecord {
        guard let first = record.hardLink, lostNames.contains(first) else { return record }
        var record = record
        record.hardLink = replacements[first]
        if record.hardLink == nil { replacements[first] = record.path }
        return record
    }
}

extension FileTime {
    /// The moment, by the clock that the kernel takes file times from.
    static var now: FileTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return FileTime(seconds: Int64(time.tv_sec), nanoseconds: Int32(time.tv_nsec))
    }
}

extension ChangeHint {
    /// Whether a file that was read at `moment` cannot have been written to later with the same change time.
    func isTrustworthy(readAt moment: FileTime) -> Bool {
        let seconds = moment.seconds.subtractingReportingOverflow(changeTime.seconds)
        guard !seconds.overflow, seconds.partialValue >= 0 else { return false }
        // Above an hour the product below could overflow, and there is nothing left to decide.
        if seconds.partialValue > 3600 { return true }
        let elapsed =
            seconds.partialValue * 1_000_000_000 + Int64(moment.nanoseconds) - Int64(changeTime.nanoseconds)
        return elapsed >= Self.racyIntervalNanoseconds
    }
}
