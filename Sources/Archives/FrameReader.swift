public import Files
internal import Glibc
public import Reporting
public import SystemPackage

/// Reads a `.zst` file from front to back: decompressed by several threads where its frames are small enough, in
/// order, with the SHA-256 of the file on the way.
///
/// Any valid zstd file will do. A frame that tells its size and is at most ``largestParallelFrame`` bytes long is
/// decompressed as one piece by one of `jobs` threads, as ``FrameWriter`` makes them; every other frame is
/// decompressed as a stream. Nothing that the file claims makes it take more memory than that: buffers are bounded,
/// and so is the window of a streamed frame (32 MiB).
/// Not for use from more than one thread at a time. Dropping it stops the threads.
public final class FrameReader {
    /// The most bytes of content that one frame may have to be decompressed as one piece.
    public static let largestParallelFrame = 8 << 20
    /// The most bytes that a streamed frame may look back, as the power of two: 32 MiB, enough for `zstd -19`, not
    /// for `--ultra` and `--long`.
    static let largestWindowLog: Int32 = 25

    private let pipeline: DecompressionPipeline
    private let cancellation: Cancellation
    private var workers: [WorkerThread] = []
    private var held = false

    /// The file, as errors name it.
    public let path: FilePath

    /// What was read; `nil` until ``next()`` has returned `nil`.
    public private(set) var totals: FrameTotals?

    /// Starts the threads.
    /// - Parameters:
    ///   - file: Open for reading, positioned at the first frame; closed when the reader is done with it.
    ///   - path: Names the file in errors.
    ///   - jobs: Decompressing threads; more than four would only take memory.
    ///   - cancellation: Checked at every piece.
    public init(
        from file: consuming OwnedDescriptor,
        path: FilePath,
        jobs: Int,
        cancellation: Cancellation
    ) throws(ArchiveError) {
        let jobs = min(max(jobs, 1), 4)
        self.path = path
        self.cancellation = cancellation
        let pipeline = DecompressionPipeline(file: file, path: path, slots: jobs + 1)
        self.pipeline = pipeline
        do {
            for _ in 0..<jobs { workers.append(try WorkerThread { pipeline.decompressFrames() }) }
            workers.append(try WorkerThread { pipeline.splitFile() })
        } catch {
            stop()
            throw ArchiveError("start threads to read", in: path, .system(error.errno))
        }
    }

    /// Opens a file.
    /// - Throws: ``ArchiveError`` with the reason, a symbolic link being one.
    public convenience init(path: FilePath, jobs: Int, cancellation: Cancellation) throws(ArchiveError) {
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(path, .readOnly, options: [.noFollow, .closeOnExec, .nonBlocking])
        } catch {
            throw ArchiveError("open", in: path, .system((error as? Errno)?.rawValue ?? EIO))
        }
        try self.init(from: OwnedDescriptor(owning: descriptor), path: path, jobs: jobs, cancellation: cancellation)
    }

    deinit {
        stop()
    }

    /// The next piece of content, never empty; `nil` after the last one.
    ///
    /// The bytes stay valid until the next call.
    /// - Throws: ``ArchiveError`` that tells the place of the damage, `Stopped`.
    public func next() throws -> UnsafeRawBufferPointer? {
        if totals != nil { return nil }
        try cancellation.check()
        let previous = held
        held = false
        let piece = try pipeline.nextContent(releasingPrevious: previous)
        held = piece != nil
        if piece == nil {
            totals = pipeline.totals
            stop()
        }
        return piece
    }

    private func stop() {
        pipeline.stop()
        for worker in workers { worker.join() }
        workers = []
    }
}
