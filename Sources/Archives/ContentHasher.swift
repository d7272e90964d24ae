internal import Files
internal import Reporting

/// Digests a file that comes in pieces, with zeros for the holes between them.
struct ContentHasher: ~Copyable {
    private var hasher = SHA256Hasher()
    private var position: Int64 = 0
    private let cancellation: Cancellation

    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)

    /// - Parameter cancellation: Checked at every piece, as a file of some terabytes of holes takes hours too.
    init(cancellation: Cancellation) {
        self.cancellation = cancellation
    }

    /// Adds a piece.
    /// - Precondition: `offset` is not before the end of the last piece.
    mutating func add(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Stopped) {
        try addZeros(upTo: offset)
        hasher.update(bytes)
        position += Int64(bytes.count)
    }

    /// The digest of a file of `size` bytes; then starts anew.
    mutating func finish(size: Int64) throws(Stopped) -> SHA256Digest {
        try addZeros(upTo: size)
        position = 0
        return hasher.finish()
    }

    /// Forgets the file.
    mutating func reset() {
        position = 0
        _ = hasher.finish()
    }

    private mutating func addZeros(upTo end: Int64) throws(Stopped) {
        while position < end {
            try cancellation.check()
            let count = Int(min(end - position, Int64(Self.zeros.count)))
            Self.zeros.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            position += Int64(count)
        }
    }
}
