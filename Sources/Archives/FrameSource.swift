internal import CLinux
internal import CZstd
internal import Files
internal import Glibc
internal import SystemPackage

/// The bytes of a `.zst` file with a view on where its frames begin and end.
///
/// Reads past the page cache where it can, for the reasons that ``UncachedOutput`` writes past it. Buffers at most the
/// compressed size of ``FrameReader/largestParallelFrame`` and one read more.
struct FrameSource: ~Copyable {
    enum Failure: Error {
        case stopped
        case errno(Int32)
        case damaged(String)
    }

    /// What lies at the current place.
    enum Frame {
        /// A frame of `count` bytes that is in the buffer as a whole and holds `contentSize` bytes.
        case whole(count: Int, contentSize: Int)
        /// A frame without content.
        case skippable
        /// A frame that is too large, or does not tell its size.
        case streamed
    }

    static let cutOff = "the file ends inside it"

    private static let readSize = 1 << 20
    private static let alignment = UncachedOutput.alignment
    private static let largestFrame = ZSTD_compressBound(FrameReader.largestParallelFrame)
    /// The longest header that zstd may need to see to tell the content size: ZSTD_FRAMEHEADERSIZE_MAX.
    private static let headerSize = 18

    private let descriptor: FileDescriptor
    private var isDirect: Bool
    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 3 << 20, alignment: alignment)
    private var start = 0
    private var end = 0
    private var atEnd = false

    /// Digests what was read of the file.
    var hasher = SHA256Hasher()
    /// Bytes read from the file.
    private(set) var bytesRead: Int64 = 0
    /// Where the current frame starts in the file.
    private(set) var offset: Int64 = 0
    /// Bytes of the current frame that were consumed already.
    private var consumed: Int64 = 0

    init(descriptor: FileDescriptor) {
        self.descriptor = descriptor
        isDirect = CLinux_set_direct(descriptor.rawValue, 1) == 0
    }

    deinit {
        buffer.deallocate()
    }

    /// Bytes in the buffer.
    var available: Int { end - start }

    /// The next `count` bytes, which must be available.
    func pending(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: buffer[start..<(start + count)])
    }

    /// Reads until `count` bytes are available.
    /// - Returns: Whether there are; `false` when the file ends before.
    mutating func ensure(_ count: Int) throws(Failure) -> Bool {
        while available < count, !atEnd {
            if buffer.count - end < Self.readSize { makeRoom() }
            let space = UnsafeMutableRawBufferPointer(rebasing: buffer[end..<(end + Self.readSize)])
            let got = Glibc.read(descriptor.rawValue, space.baseAddress, space.count)
            if got < 0 {
                let number = errno
                if number == EINTR { continue }
                // Behind a read that ended early neither the file's place nor the buffer's is one for direct reads.
                guard number == EINVAL, isDirect, CLinux_set_direct(descriptor.rawValue, 0) == 0 else {
                    throw .errno(number)
                }
                isDirect = false
                continue
            }
            hasher.update(UnsafeRawBufferPointer(rebasing: space[..<got]))
            bytesRead += Int64(got)
            end += got
            atEnd = got == 0
        }
        return available >= count
    }

    private mutating func makeRoom() {
        let kept = UnsafeRawBufferPointer(rebasing: buffer[start..<end])
        // What comes next goes where a direct read may put it.
        let gap = -kept.count & (Self.alignment - 1)
        if gap + kept.count + Self.readSize <= buffer.count {
            UnsafeMutableRawBufferPointer(rebasing: buffer[gap...]).copyMemory(from: kept)
        } else {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: min(2 * buffer.count, Self.largestFrame) + Self.readSize + Self.alignment,
                alignment: Self.alignment
            )
            UnsafeMutableRawBufferPointer(rebasing: larger[gap...]).copyMemory(from: kept)
            buffer.deallocate()
            buffer = larger
        }
        start = gap
        end = gap + kept.count
    }

    /// Takes `count` bytes of the current frame.
    mutating func consume(_ count: Int) {
        start += count
        consumed += Int64(count)
    }

    /// The current frame is over.
    mutating func endFrame() {
        offset += consumed
        consumed = 0
    }

    /// Takes a whole frame.
    mutating func skip(_ count: Int) {
        consume(count)
        endFrame()
    }

    /// Looks at the frame that starts here; there is at least one byte.
    mutating func nextFrame() throws(Failure) -> Frame {
        _ = try ensure(Self.headerSize)
        guard available >= 4 else { throw .damaged(Self.cutOff) }
        let magic = UInt32(littleEndian: pending(4).loadUnaligned(as: UInt32.self))
        if magic & 0xFFFF_FFF0 == UInt32(ZSTD_MAGIC_SKIPPABLE_START) { return .skippable }
        guard magic == ZSTD_MAGICNUMBER else { throw .damaged("this is not zstd data") }
        let header = pending(min(available, Self.headerSize))
        let size = ZSTD_getFrameContentSize(header.baseAddress, header.count)
        if size == CZstd_CONTENTSIZE_UNKNOWN { return .streamed }
        if size == CZstd_CONTENTSIZE_ERROR {
            throw .damaged(available < Self.headerSize ? Self.cutOff : "its header is invalid")
        }
        guard size <= UInt64(FrameReader.largestParallelFrame) else { return .streamed }
        while true {
            let bytes = pending(available)
            let count = ZSTD_findFrameCompressedSize(bytes.baseAddress, bytes.count)
            if ZSTD_isError(count) == 0 { return .whole(count: count, contentSize: Int(size)) }
            guard ZSTD_getErrorCode(count) == ZSTD_error_srcSize_wrong else {
                throw .damaged(String(cString: ZSTD_getErrorName(count)))
            }
            // A frame that compresses to more than its worst case is odd, but not wrong.
            guard available < Self.largestFrame else { return .streamed }
            guard try ensure(available + 1) else { throw .damaged(Self.cutOff) }
        }
    }

    /// Passes over a frame without content, however long it says it is.
    mutating func skipSkippable() throws(Failure) {
        guard try ensure(8) else { throw .damaged(Self.cutOff) }
        let size = UInt32(littleEndian: pending(8).loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        consume(8)
        var left = Int(size)
        while left > 0 {
            guard try ensure(1) else { throw .damaged(Self.cutOff) }
            let count = min(left, available)
            consume(count)
            left -= count
        }
        endFrame()
    }
}
