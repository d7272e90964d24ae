internal import CZstd
internal import Files
internal import Glibc
internal import SystemPackage

/// The part of a frame reader that its threads share.
///
/// Piece number n of the content lives in slot n modulo the number of slots. All properties but a slot's buffers
/// belong to the monitor; a slot's buffers belong to whoever its state says.
final class DecompressionPipeline: @unchecked Sendable {
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

    private enum Event: Int, CaseIterable {
        case slotEmptied, frameFilled, contentFilled
    }

    /// Bytes of content that are handed on at once of a frame that is read as a stream.
    private static let streamedPiece = 1 << 20

    private let monitor = Monitor<Event>()
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
                    monitor.wait(for: .contentFilled)
                }
            }
        }
    }

    private func release() {
        slots[delivered % slots.count].state = .empty
        delivered += 1
        monitor.wake(.slotEmptied)
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
                monitor.wake(.contentFilled)
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
                monitor.wait(for: .frameFilled)
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
            slot.output.reserve(Self.streamedPiece)
            var output = ZSTD_outBuffer(dst: slot.output.bytes.baseAddress, size: Self.streamedPiece, pos: 0)
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
                monitor.wait(for: .slotEmptied)
            }
            return nil
        }
    }

    private func publish(_ slot: Slot, _ state: Slot.State) {
        monitor.locked {
            slot.state = state
            filled += 1
            monitor.wake(.frameFilled)
            monitor.wake(.contentFilled)
        }
    }

    private func fail(_ error: ArchiveError) {
        guard let slot = emptySlot() else { return }
        publish(slot, .failed(error))
    }
}
