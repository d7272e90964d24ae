public import Files
public import Reporting
public import SystemPackage

/// What a `.zst` file holds, told by the one who wrote it or read it to its end.
public struct FrameTotals: Sendable, Hashable {
    /// Bytes before compression.
    public var contentBytes: Int64
    /// Bytes of the file.
    public var fileBytes: Int64
    /// SHA-256 of the file's bytes, as `sha256sum` prints it.
    public var fileDigest: SHA256Digest

    /// Totals.
    public init(contentBytes: Int64, fileBytes: Int64, fileDigest: SHA256Digest) {
        self.contentBytes = contentBytes
        self.fileBytes = fileBytes
        self.fileDigest = fileDigest
    }
}

/// Writes a `.zst` file while the caller goes on: compressing, writing and hashing have threads of their own.
///
/// Any zstd reads the whole as one stream, and ``Layout`` says how it is cut. The caller fills a buffer while threads
/// compress earlier ones and one more thread writes and hashes what is ready, in order. The
/// buffers are few, so memory does not depend on the input. The file is written past the page cache where it can be.
/// Not for use from more than one thread at a time. After a failure ``stop()`` must be called before the descriptor
/// is closed.
public final class FrameWriter {
    /// How the content is cut into frames.
    public enum Layout: Sendable, Hashable {
        /// Frames of so many bytes of content, except the last one, each by itself and with its size.
        ///
        /// They are compressed, and later decompressed, side by side by at most four threads: with frames of 8 MiB
        /// (``archive``) that is 12 to 18 MiB of memory a thread, and as fast as one thread can read files.
        case frames(Int)
        /// One frame that looks back 32 MiB, by one thread.
        ///
        /// For content that repeats itself from far away and comes from one source that is not faster than the thread,
        /// such as an etcd database with its outdated pages: 16 % smaller than as frames. About 40 MiB of memory.
        case stream

        /// 8 MiB: against 4 MiB text gets 4 % smaller at equal speed, and damage still stays inside a frame.
        public static let archive = frames(8 << 20)

        /// Bytes that are compressed in one go.
        var pieceSize: Int {
            switch self {
            case .frames(let size): min(max(size, 1 << 12), FrameReader.largestParallelFrame)
            case .stream: 1 << 20
            }
        }

        /// The power of two up to which zstd looks back: the whole frame.
        ///
        /// Level 2 by itself would look back 1 MiB.
        var windowLog: Int32 {
            switch self {
            case .frames: Int32(Int.bitWidth - (pieceSize - 1).leadingZeroBitCount)
            case .stream: FrameReader.largestWindowLog
            }
        }

        /// Whether zstd's search for matches far back finds something that the usual one does not.
        var looksFarBack: Bool { self == .stream || pieceSize > 1 << 20 }

        /// Buffers beside those that are being compressed.
        ///
        /// One is being filled; one that is being written is empty long before the next one is full, but in a stream,
        /// where they are small and whoever sends must not wait.
        var sparePieces: Int { self == .stream ? 3 : 1 }

        /// The compressing threads of so many that were asked for.
        func compressors(_ jobs: Int) -> Int { self == .stream ? 1 : min(max(jobs, 1), 4) }

        /// The level that is meant: a frame cannot change it on the way, and more than 2 hardly makes a stream smaller.
        func level(_ level: CompressionLevel) -> CompressionLevel {
            self == .stream && level == .automatic ? .fixed(2) : level
        }
    }

    private let pipeline: CompressionPipeline
    private let layout: Layout
    private let cancellation: Cancellation
    private var workers: [WorkerThread] = []
    private var current: CompressionPipeline.Slot?
    private var used = 0
    /// Bytes of the current frame that came through ``fill(_:)``.
    private var filled = 0
    private var markedContentBytes: Int64 = 0

    /// Bytes taken so far.
    public private(set) var contentBytes: Int64 = 0

    /// Starts the threads.
    /// - Parameters:
    ///   - descriptor: An empty file, open for writing; stays the caller's to sync and close.
    ///   - path: Names the file in errors.
    ///   - level: See ``CompressionLevel``.
    ///   - jobs: Compressing threads at most.
    ///   - layout: Smaller frames for a small file that is to take little memory.
    ///   - cancellation: Checked at every frame.
    public init(
        to descriptor: FileDescriptor,
        path: FilePath,
        level: CompressionLevel,
        jobs: Int,
        layout: Layout = .archive,
        cancellation: Cancellation
    ) throws(ArchiveError) {
        let jobs = layout.compressors(jobs)
        self.layout = layout
        self.cancellation = cancellation
        let pipeline = CompressionPipeline(
            descriptor: descriptor,
            path: path,
            level: layout.level(level),
            compressors: jobs,
            layout: layout
        )
        self.pipeline = pipeline
        do {
            for _ in 0..<jobs { workers.append(try WorkerThread { pipeline.compressFrames() }) }
            workers.append(try WorkerThread { pipeline.writeFrames() })
        } catch {
            stop()
            throw ArchiveError("start threads to write", in: path, .system(error.errno))
        }
    }

    deinit {
        stop()
    }

    /// Adds bytes.
    /// - Throws: ``ArchiveError`` when an earlier frame could not be written, `Stopped`.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let taken = try put { space in
                let count = min(space.count, rest.count)
                space.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
                return count
            }
            rest = rest.dropFirst(taken)
        }
    }

    /// Lets `body` put bytes straight into the buffer of the current frame.
    ///
    /// What comes this way is taken for the content of one large file: in a frame of little else zstd does not look far
    /// back, as programs and libraries repeat themselves nearby or not at all.
    /// - Parameter body: Gets the free part, never empty; returns how many bytes it put at its start.
    /// - Returns: What `body` returned.
    public func fill(_ body: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Int {
        try put { space in
            let count = try body(space)
            filled += count
            return count
        }
    }

    private func put(_ body: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Int {
        let slot: CompressionPipeline.Slot
        if let current {
            slot = current
        } else {
            try cancellation.check()
            slot = try pipeline.nextEmptySlot()
            current = slot
            used = 0
            filled = 0
        }
        let count = try body(UnsafeMutableRawBufferPointer(rebasing: slot.input[used...]))
        precondition(count >= 0 && count <= slot.input.count - used)
        used += count
        contentBytes += Int64(count)
        if used == slot.input.count { submit(slot) }
        return count
    }

    private func submit(_ slot: CompressionPipeline.Slot, isLast: Bool = false) {
        let looksFarBack = layout == .stream || layout.looksFarBack && filled < used - used / 8
        pipeline.submit(slot, count: used, looksFarBack: looksFarBack, isLast: isLast)
        current = nil
    }

    /// Remembers this place, so that ``rewind()`` can come back to it; ends the current frame.
    ///
    /// Only the last mark counts. The file must be a regular one.
    /// - Precondition: The layout is one of frames.
    public func mark() throws {
        precondition(layout != .stream, "a stream cannot be rolled back")
        if let current, used > 0 { submit(current) }
        pipeline.mark()
        markedContentBytes = contentBytes
    }

    /// Takes back everything since the last ``mark()``, in the file too.
    public func rewind() throws {
        used = 0
        filled = 0
        try pipeline.rewind()
        contentBytes = markedContentBytes
    }

    /// Waits until everything has been written and ends the threads.
    ///
    /// Does not sync the file. Nothing may be written afterwards.
    /// - Throws: ``ArchiveError`` when anything could not be written, `Stopped`.
    public func finish() throws -> FrameTotals {
        try cancellation.check()
        // An empty file still needs one frame, or no zstd would read it, and a stream needs its end.
        if current == nil, contentBytes == 0 || layout == .stream {
            current = try pipeline.nextEmptySlot()
            used = 0
            filled = 0
        }
        if let current { submit(current, isLast: true) }
        let totals = try pipeline.drain(contentBytes: contentBytes)
        stop()
        return totals
    }

    /// Ends the threads, whatever is left to write; afterwards the descriptor can be closed.
    public func stop() {
        pipeline.stop()
        for worker in workers { worker.join() }
        workers = []
    }
}
