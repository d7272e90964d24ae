internal import CZstd
internal import Files
internal import Glibc
internal import SystemPackage

/// The part of a frame writer that its threads share.
///
/// Frame number n lives in slot n modulo the number of slots and goes through the states of ``Slot`` in order. All
/// properties but a slot's buffers belong to the monitor; a slot's buffers belong to whoever its state says.
final class CompressionPipeline: @unchecked Sendable {
    final class Slot {
        enum State {
            /// The caller may fill it.
            case empty
            /// Waits for a compressor.
            case filled
            /// A compressor has it.
            case compressing
            /// Waits for the writer, or is being written.
            case compressed
        }

        var state = State.empty
        let input: UnsafeMutableRawBufferPointer
        let output: UnsafeMutableRawBufferPointer
        var inputCount = 0
        var outputCount = 0
        var level: Int32 = 0
        /// The size of zstd's table; 0 for that of the level.
        ///
        /// Level 2 by itself has one for 1 MiB; with twice the size files in a frame find each other again.
        var hashLog: Int32 { level == 2 ? 17 : 0 }
        var looksFarBack = false
        /// Whether nothing follows.
        var isLast = false

        init(size: Int) {
            input = .allocate(byteCount: size, alignment: 64)
            // The header and the checksum of a frame that goes through several slots come on top.
            output = .allocate(byteCount: ZSTD_compressBound(size) + 64, alignment: 64)
        }

        deinit {
            input.deallocate()
            output.deallocate()
        }
    }

    private enum Event: Int, CaseIterable {
        case slotEmptied, frameFilled, frameCompressed
    }

    private let monitor = Monitor<Event>()
    private let path: FilePath
    private let slots: [Slot]
    private let layout: FrameWriter.Layout
    private var governor: LevelGovernor
    private var submitted = 0
    private var taken = 0
    private var written = 0
    private var stopping = false
    private var failure: ArchiveError?
    private var fileDigest: SHA256Digest?
    private var draining = false
    /// Both belong to the writer, and to the caller while nothing is left to write.
    private var output: UncachedOutput
    private var hasher = SHA256Hasher()
    /// The frame that the last mark stands before, and what was known of the file when it was its turn.
    private var markedFrame = -1
    private var markedOutput: UncachedOutput.Mark?
    private var markedHasher: SHA256Hasher?

    init(
        descriptor: FileDescriptor,
        path: FilePath,
        level: CompressionLevel,
        compressors: Int,
        layout: FrameWriter.Layout
    ) {
        output = UncachedOutput(descriptor: descriptor)
        self.path = path
        self.layout = layout
        self.slots = (0..<(compressors + layout.sparePieces)).map { _ in Slot(size: layout.pieceSize) }
        governor = LevelGovernor(level, compressors: compressors)
    }

    // MARK: The caller's side

    func nextEmptySlot() throws(ArchiveError) -> Slot {
        try monitor.locked { () throws(ArchiveError) in
            let slot = slots[submitted % slots.count]
            while slot.state != .empty, failure == nil {
                let forOutput = slot.state == .compressed
                let start = ContinuousClock.now
                monitor.wait(for: .slotEmptied)
                if forOutput { governor.outputWasAwaited(ContinuousClock.now - start) }
            }
            if let failure { throw failure }
            return slot
        }
    }

    func submit(_ slot: Slot, count: Int, looksFarBack: Bool, isLast: Bool) {
        monitor.locked {
            slot.inputCount = count
            slot.looksFarBack = looksFarBack
            slot.isLast = isLast
            slot.level = governor.levelForNextFrame()
            slot.state = .filled
            submitted += 1
            monitor.wake(.frameFilled)
        }
    }

    func drain(contentBytes: Int64) throws(ArchiveError) -> FrameTotals {
        try monitor.locked { () throws(ArchiveError) in
            draining = true
            monitor.wake(.frameCompressed)
            while failure == nil {
                if let fileDigest {
                    return FrameTotals(contentBytes: contentBytes, fileBytes: output.position, fileDigest: fileDigest)
                }
                monitor.wait(for: .slotEmptied)
            }
            throw failure ?? ArchiveError("write", in: path, .system(EIO))
        }
    }

    func mark() {
        monitor.locked { markedFrame = submitted }
    }

    func rewind() throws(ArchiveError) {
        try monitor.locked { () throws(ArchiveError) in
            while written < submitted, failure == nil { monitor.wait(for: .slotEmptied) }
            if let failure { throw failure }
            // Without a frame behind the mark there is nothing in the file to take back.
            guard submitted > markedFrame, let restored = markedHasher?.copy(), let mark = markedOutput else { return }
            do throws(Errno) {
                try output.rewind(to: mark)
            } catch {
                throw ArchiveError("shorten", in: path, .system(error.rawValue))
            }
            hasher = restored
            markedFrame = submitted
        }
    }

    func stop() {
        monitor.locked {
            stopping = true
            monitor.wakeAll()
        }
    }

    // MARK: The compressors

    func compressFrames() {
        guard let context = ZSTD_createCCtx() else { return fail(.system(ENOMEM), "compress for") }
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, layout.windowLog)
        while let slot = nextFilledSlot() {
            let start = (ContinuousClock.now, Duration.processorTimeOfThread)
            let count = compress(slot, context)
            // Out of memory is all that can happen here: the output buffer has room for the worst case.
            guard ZSTD_isError(count) == 0 else { return fail(.system(ENOMEM), "compress for") }
            let time = ContinuousClock.now - start.0
            let processorTime = Duration.processorTimeOfThread - start.1
            monitor.locked {
                governor.frameTook(time, processorTime: processorTime)
                slot.outputCount = count
                slot.state = .compressed
                monitor.wake(.frameCompressed)
            }
        }
    }

    /// Compresses what is in a slot.
    /// - Returns: The bytes of its output, or an error of zstd.
    private func compress(_ slot: Slot, _ context: OpaquePointer) -> Int {
        // In the middle of a frame it changes nothing.
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, slot.level)
        ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, slot.hashLog)
        ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, slot.looksFarBack ? 1 : 0)
        switch layout {
        case .frames:
            return ZSTD_compress2(
                context,
                slot.output.baseAddress,
                slot.output.count,
                slot.input.baseAddress,
                slot.inputCount
            )
        case .stream:
            var input = ZSTD_inBuffer(src: slot.input.baseAddress, size: slot.inputCount, pos: 0)
            var output = ZSTD_outBuffer(dst: slot.output.baseAddress, size: slot.output.count, pos: 0)
            while true {
                let rest = ZSTD_compressStream2(context, &output, &input, slot.isLast ? ZSTD_e_end : ZSTD_e_flush)
                if ZSTD_isError(rest) != 0 { return rest }
                if rest == 0 { return output.pos }
                precondition(output.pos < output.size, "the output is larger than zstd's worst case")
            }
        }
    }

    private func nextFilledSlot() -> Slot? {
        monitor.locked {
            while !stopping, failure == nil {
                if taken < submitted {
                    let slot = slots[taken % slots.count]
                    taken += 1
                    slot.state = .compressing
                    return slot
                }
                let start = ContinuousClock.now
                monitor.wait(for: .frameFilled)
                governor.compressorWasIdle(ContinuousClock.now - start)
            }
            return nil
        }
    }

    // MARK: The writer

    func writeFrames() {
        while let slot = nextCompressedSlot() {
            let bytes = UnsafeRawBufferPointer(rebasing: slot.output[..<slot.outputCount])
            hasher.update(bytes)
            do {
                try output.append(bytes)
            } catch {
                return fail(.system(error.rawValue), "write")
            }
            monitor.locked {
                slot.state = .empty
                written += 1
                monitor.wake(.slotEmptied)
            }
        }
        let isComplete = monitor.locked { !stopping && failure == nil }
        guard isComplete else { return }
        do {
            try output.finish()
        } catch {
            return fail(.system(error.rawValue), "write")
        }
        monitor.locked {
            fileDigest = hasher.finish()
            monitor.wake(.slotEmptied)
        }
    }

    private func nextCompressedSlot() -> Slot? {
        monitor.locked {
            while !stopping, failure == nil {
                let slot = slots[written % slots.count]
                if slot.state == .compressed {
                    if written == markedFrame {
                        markedOutput = output.mark()
                        markedHasher = hasher.copy()
                    }
                    return slot
                }
                if draining, written == submitted { return nil }
                monitor.wait(for: .frameCompressed)
            }
            return nil
        }
    }

    private func fail(_ cause: ArchiveError.Cause, _ operation: String) {
        monitor.locked {
            if failure == nil { failure = ArchiveError(operation, in: path, cause) }
            monitor.wakeAll()
        }
    }
}
