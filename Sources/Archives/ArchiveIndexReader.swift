public import Files
internal import Glibc

/// Reads the index of an archive, file by file, in walking order.
///
/// Everything that ``ArchiveIndexWriter`` would not have written is an error with its line: an unknown keyword, a
/// path that is out of order or listed twice, a missing last line. Not for use from more than one thread at a time.
public final class ArchiveIndexReader {
    private let frames: FrameReader
    /// The start of a line whose end is in the next piece.
    private var carried: [UInt8] = []
    private var piece = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    private var position = 0
    private var lineNumber = 0
    private var last: TreePath?
    private var isAtEnd = false

    /// Files read so far.
    public private(set) var count: UInt64 = 0

    /// Prepares to read; nothing is read yet.
    public init(from frames: FrameReader) {
        self.frames = frames
    }

    /// The next file; `nil` after the last one, when the whole index was read and is complete.
    /// - Throws: ``ArchiveError`` with the line, `Stopped`.
    public func next() throws -> FileRecord? {
        if isAtEnd { return nil }
        if lineNumber == 0 { try readHeader() }
        let line: (record: FileRecord?, end: UInt64?) = try withLine { parser throws(IndexLineParser.Fault) in
            if let end = try parser.end() { return (nil, end) }
            return (try parser.record(), nil)
        }
        if let record = line.record {
            if let last, !(last < record.path) {
                throw fault("'\(record.path)' is out of order or listed twice")
            }
            last = record.path
            count += 1
            return record
        }
        guard line.end == count else {
            throw fault("it holds \(count) files and says that it has \(line.end.map { "\($0)" } ?? "?")")
        }
        isAtEnd = true
        if try position < piece.count || frames.next() != nil { throw fault("there is something after the last line") }
        return nil
    }

    private func readHeader() throws {
        for expected in IndexFormat.header.split(separator: UInt8(ascii: "\n")) {
            let fits = try withRawLine { $0.elementsEqual(expected) }
            guard fits else { throw fault("this is not the index of an archive, or one of a later version") }
        }
    }

    private func withLine<Result>(
        _ body: (inout IndexLineParser) throws(IndexLineParser.Fault) -> Result
    ) throws -> Result {
        try withRawLine { line in
            var parser = IndexLineParser(line)
            do throws(IndexLineParser.Fault) {
                return try body(&parser)
            } catch {
                throw fault(error.reason)
            }
        }
    }

    /// Runs `body` on the next line without its newline.
    private func withRawLine<Result>(_ body: (UnsafeBufferPointer<UInt8>) throws -> Result) throws -> Result {
        lineNumber += 1
        carried.removeAll(keepingCapacity: true)
        while true {
            let rest = UnsafeBufferPointer(rebasing: piece[position...])
            let newline = rest.baseAddress.flatMap { memchr($0, 0x0A, rest.count) }
            if let newline, let base = rest.baseAddress {
                let count = UnsafeRawPointer(newline) - UnsafeRawPointer(base)
                position += count + 1
                let line = UnsafeBufferPointer(rebasing: rest[..<count])
                guard !carried.isEmpty else { return try body(line) }
                carried.append(contentsOf: line)
                return try carried.withUnsafeBufferPointer(body)
            }
            carried.append(contentsOf: rest)
            guard carried.count <= IndexFormat.largestLine else { throw fault("the line is too long") }
            guard let next = try frames.next() else { throw fault("the index ends here: it is not complete") }
            piece = next.assumingMemoryBound(to: UInt8.self)
            position = 0
        }
    }

    private func fault(_ reason: String) -> ArchiveError {
        ArchiveError("read line \(lineNumber) of the index", in: frames.path, .damaged(reason))
    }
}
