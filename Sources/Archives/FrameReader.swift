internal import CZstd
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
    public static let largestParallelFrame = 4 << 20
    /// The most bytes that a streamed frame may look back, as the power of two: 32 MiB, enough for `zstd -19`, not
    /// for `--ultra` and `--long`.
    static let largestWindowLog: Int32 = 25

    private let pipeline: DecompressionPipeline
    private let cancellation: Cancellation
    private var workers: [JoinOnce] = []
    private var held = false

    /// The file, as errors name it.
    public let path: FilePath

    /// What was read; `nil` until ``next()`` has returned `nil`.
    public private(set) var totals: FrameTotals?

    /// Starts the threads.
    /// - Parameters:
    ///   - file: Open for reading, positioned at the first frame; closed when the reader is done with it.
    ///   - path: Names the file in errors.
    ///   - jobs: Decompressing threads, 1 to 16.
    ///   - cancellation: Checked at every piece.
    public init(
        from file: consuming OwnedDescriptor,
        path: FilePath,
        jobs: Int,
        cancellation: Cancellation
    ) throws(ArchiveError) {
        let jobs = min(max(jobs, 1), 16)
        self.path = path
        self.cancellation = cancellation
        let pipeline = DecompressionPipeline(file: file, path: path, slots: jobs + 3)
        self.pipeline = pipeline
        do {
            for _ in 0..<jobs { workers.append(JoinOnce(try WorkerThread { pipeline.decompressFrames() })) }
            workers.append(JoinOnce(try WorkerThread { pipeline.splitFile() }))
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
            descriptor = try FileDescriptor.open(path, .readOnly, options: [.noFollow, .closeOnExec])
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
        let piece = try pipeline.nextContent(releasingPrevious: held)
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

/// The part of a frame reader that its threads share.
///
/// Piece number n of the content lives in slot n modulo the number of slots. All properties but a slot's buffers
/// belong to the monitor; a slot's buffers belong to whoever its state says.
private final class DecompressionPipeline: @unchecked Sendable {
    final class Slot {
        enum State {
            /// The splitter may fill it.
            case empty
            /// Holds a compressed frame for a decompressor.
            case frame
            /// A decompressor has it.
            case decompressing
            /// Holds content for the caller.
            case content
            /// Nothing can be read from here on.
            case failed(ArchiveError)
        }

        var state = State.empty
        var input = Buffer()
        var output = Buffer()
        var inputCount = 0
        var outputCount = 0
        /// Where its frame starts in the file.
        var fileOffset: Int64 = 0

        var isEmpty: Bool {
            if case .empty = state { return true }
            return false
        }
        var isFrame: Bool {
            if case .frame = state { return true }
            return false
        }
    }

    /// Memory that grows when it must and is kept.
    struct Buffer: ~Copyable {
        private(set) var bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0)

        /// Makes room for `count` bytes; what was in it before `keeping` bytes stays.
        mutating func reserve(_ count: Int, keeping: Int = 0) {
            guard bytes.count < count else { return }
            let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<keeping]))
            bytes.deallocate()
            bytes = larger
        }

        deinit { bytes.deallocate() }
    }

    private let monitor = Monitor()
    /// Closed after the last thread that holds this has ended.
    private let file: OwnedDescriptor
    private let path: FilePath
    private let slots: [Slot]
    /// Pieces given to a slot by the splitter, looked at by the decompressors, handed to the caller.
    private var filled = 0
    private var taken = 0
    private var delivered = 0
    private var ended = false
    private var stopping = false
    private var contentBytes: Int64 = 0
    private(set) var totals: FrameTotals?

    init(file: consuming OwnedDescriptor, path: FilePath, slots: Int) {
        self.file = file
        self.path = path
        self.slots = (0..<slots).map { _ in Slot() }
    }

    func stop() {
        monitor.locked {
            stopping = true
            monitor.wakeAll()
        }
    }

    // MARK: The caller's side

    func nextContent(releasingPrevious: Bool) throws(ArchiveError) -> UnsafeRawBufferPointer? {
        try monitor.locked { () throws(ArchiveError) in
            if releasingPrevious { release() }
            while true {
                let slot = slots[delivered % slots.count]
                switch slot.state {
                case .content where slot.outputCount == 0:
                    release()
                    continue
                case .content:
                    contentBytes += Int64(slot.outputCount)
                    totals?.contentBytes = contentBytes
                    return UnsafeRawBufferPointer(rebasing: slot.output.bytes[..<slot.outputCount])
                case .failed(let error):
                    throw error
                case .empty where ended && delivered == filled:
                    return nil
                case .empty, .frame, .decompressing:
                    monitor.wait()
                }
            }
        }
    }

    private func release() {
        slots[delivered % slots.count].state = .empty
        delivered += 1
        monitor.wakeAll()
    }

    // MARK: The decompressors

    func decompressFrames() {
        let context = ZSTD_createDCtx()
        defer { ZSTD_freeDCtx(context) }
        while let slot = nextFrame() {
            let count = ZSTD_decompressDCtx(
                context,
                slot.output.bytes.baseAddress,
                slot.outputCount,
                slot.input.bytes.baseAddress,
                slot.inputCount
            )
            monitor.locked {
                if ZSTD_isError(count) != 0 {
                    slot.state = .failed(damage(at: slot.fileOffset, String(cString: ZSTD_getErrorName(count))))
                } else {
                    slot.outputCount = count
                    slot.state = .content
                }
                monitor.wakeAll()
            }
        }
    }

    private func nextFrame() -> Slot? {
        monitor.locked {
            while !stopping {
                while taken < filled {
                    let slot = slots[taken % slots.count]
                    taken += 1
                    if slot.isFrame {
                        slot.state = .decompressing
                        return slot
                    }
                }
                if ended { return nil }
                monitor.wait()
            }
            return nil
        }
    }

    private func damage(at offset: Int64, _ reason: String) -> ArchiveError {
        ArchiveError("read", in: path, .damaged("the zstd frame at byte \(offset) is damaged: \(reason)"))
    }

    // MARK: The splitter

    /// Reads the whole file and gives its frames to the slots.
    func splitFile() {
        var source = FrameSource(descriptor: file.descriptor)
        do {
            try split(&source)
            let digest = source.hasher.finish()
            monitor.locked {
                totals = FrameTotals(contentBytes: contentBytes, fileBytes: source.bytesRead, fileDigest: digest)
                ended = true
                monitor.wakeAll()
            }
        } catch {
            switch error {
            case .stopped: break
            case .errno(let number): fail(ArchiveError("read", in: path, .system(number)))
            case .damaged(let reason): fail(damage(at: source.offset, reason))
            }
        }
    }

    private func split(_ source: inout FrameSource) throws(FrameSource.Failure) {
        // A file without any frame is not a zstd file.
        guard try source.ensure(1) else { throw .damaged("the file is empty") }
        while try source.ensure(1) {
            switch try source.nextFrame() {
            case .whole(let count, let contentSize):
                guard let slot = emptySlot() else { throw .stopped }
                slot.input.reserve(count)
                slot.output.reserve(max(contentSize, 1))
                slot.input.bytes.copyMemory(from: source.pending(count))
                slot.inputCount = count
                slot.outputCount = contentSize
                slot.fileOffset = source.offset
                source.skip(count)
                publish(slot, .frame)
            case .skippable:
                try source.skipSkippable()
            case .streamed:
                try stream(&source)
            }
        }
    }

    private func stream(_ source: inout FrameSource) throws(FrameSource.Failure) {
        guard let context = ZSTD_createDCtx() else { throw .errno(ENOMEM) }
        defer { ZSTD_freeDCtx(context) }
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, FrameReader.largestWindowLog)
        var frameEnded = false
        while !frameEnded {
            guard let slot = emptySlot() else { throw .stopped }
            slot.output.reserve(FrameWriter.frameSize)
            var output = ZSTD_outBuffer(dst: slot.output.bytes.baseAddress, size: FrameWriter.frameSize, pos: 0)
            while output.pos < output.size, !frameEnded {
                // With nothing left in the file the decoder may still hold content that it has not given out.
                let more = try source.ensure(1)
                let bytes = source.pending(source.available)
                var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
                let before = output.pos
                let status = ZSTD_decompressStream(context, &output, &input)
                guard ZSTD_isError(status) == 0 else { throw .damaged(String(cString: ZSTD_getErrorName(status))) }
                source.consume(input.pos)
                frameEnded = status == 0
                if !more, !frameEnded, output.pos == before { throw .damaged(FrameSource.cutOff) }
            }
            slot.outputCount = output.pos
            publish(slot, .content)
        }
        source.endFrame()
    }

    private func emptySlot() -> Slot? {
        monitor.locked {
            while !stopping {
                let slot = slots[filled % slots.count]
                if slot.isEmpty { return slot }
                monitor.wait()
            }
            return nil
        }
    }

    private func publish(_ slot: Slot, _ state: Slot.State) {
        monitor.locked {
            slot.state = state
            filled += 1
            monitor.wakeAll()
        }
    }

    private func fail(_ error: ArchiveError) {
        guard let slot = emptySlot() else { return }
        publish(slot, .failed(error))
    }
}
