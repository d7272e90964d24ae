internal import Files
internal import Glibc
internal import Reporting

/// Digests a file that comes in pieces, with zeros for the holes between them.
struct ContentHasher: ~Copyable {
    private var hasher = SHA256Hasher()
    private var form = ContentDigest.Form.whole
    private var position: Int64 = 0
    /// In the sparse form: the block that ``position`` is in, as far as it has come.
    private var block: [UInt8] = []
    private var dataBytes: Int64 = 0
    private let cancellation: Cancellation

    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)
    private static let blockSize = Int64(ContentDigest.blockSize)

    /// - Parameter cancellation: Checked at every piece, as a file of some terabytes of holes takes hours too.
    init(cancellation: Cancellation) {
        self.cancellation = cancellation
    }

    /// Starts a file: what was added before is forgotten.
    mutating func start(_ form: ContentDigest.Form) {
        if position > 0 || dataBytes > 0 { _ = hasher.finish() }
        self.form = form
        position = 0
        dataBytes = 0
        block.removeAll(keepingCapacity: true)
    }

    /// Adds a piece.
    /// - Precondition: `offset` is not before the end of the last piece.
    mutating func add(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Stopped) {
        try addZeros(upTo: offset)
        switch form {
        case .whole: hasher.update(bytes)
        case .sparse: addToBlocks(bytes)
        }
        position += Int64(bytes.count)
    }

    /// The digest of a file of `size` bytes; the next one is to be started.
    mutating func finish(size: Int64) throws(Stopped) -> ContentDigest {
        try addZeros(upTo: size)
        defer {
            position = 0
            dataBytes = 0
        }
        guard form == .sparse else { return .whole(hasher.finish()) }
        flushBlock()
        add(number: size)
        return .sparse(hasher.finish(), dataBytes: dataBytes)
    }

    private mutating func addZeros(upTo end: Int64) throws(Stopped) {
        guard form == .whole else {
            // To the end of the block that has begun; the blocks behind it are left out.
            if !block.isEmpty, position < end {
                let count = min(end - position, Self.blockSize - Int64(block.count))
                block.append(contentsOf: repeatElement(0, count: Int(count)))
                position += count
                if block.count == ContentDigest.blockSize { flushBlock() }
            }
            guard position < end else { return }
            // The block that the end is in starts with zeros.
            block.append(contentsOf: repeatElement(0, count: Int(end % Self.blockSize)))
            position = end
            return
        }
        while position < end {
            try cancellation.check()
            let count = Int(min(end - position, Int64(Self.zeros.count)))
            Self.zeros.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            position += Int64(count)
        }
    }

    // MARK: The sparse form

    private mutating func addToBlocks(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        var number = position / Self.blockSize
        if !block.isEmpty {
            let piece = rest.prefix(ContentDigest.blockSize - block.count)
            block.append(contentsOf: piece)
            rest = rest.dropFirst(piece.count)
            guard block.count == ContentDigest.blockSize else { return }
            flush(number: number)
            number += 1
        }
        while rest.count >= ContentDigest.blockSize {
            hash(UnsafeRawBufferPointer(rebasing: rest.prefix(ContentDigest.blockSize)), number: number)
            rest = rest.dropFirst(ContentDigest.blockSize)
            number += 1
        }
        block.append(contentsOf: rest)
    }

    /// The block that ends at ``position``, or that it is in.
    private mutating func flushBlock() {
        guard !block.isEmpty else { return }
        flush(number: (position - 1) / Self.blockSize)
    }

    private mutating func flush(number: Int64) {
        // Out of the struct for the call, which changes the struct.
        var block: [UInt8] = []
        swap(&block, &self.block)
        block.withUnsafeBytes { hash($0, number: number) }
        block.removeAll(keepingCapacity: true)
        swap(&block, &self.block)
    }

    private mutating func hash(_ block: UnsafeRawBufferPointer, number: Int64) {
        let isZero = Self.zeros.withUnsafeBytes { memcmp($0.baseAddress!, block.baseAddress!, block.count) == 0 }
        if isZero { return }
        add(number: number)
        hasher.update(block)
        dataBytes += Int64(block.count)
    }

    private mutating func add(number: Int64) {
        withUnsafeBytes(of: number.littleEndian) { hasher.update($0) }
    }
}
