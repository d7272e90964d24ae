/// A meta page: where the tree starts, how large the file is, which transaction wrote it.
///
/// Pages 0 and 1 each hold one, 16 bytes behind the page's start: 64 bytes, little endian, the last 8 a FNV-1a sum of
/// the first 56. Source: bbolt `internal/common/meta.go`.
public struct BoltMeta: Sendable, Hashable {
    /// Bytes of a page; a power of two from 1 KiB to 16 MiB.
    public var pageSize: Int
    /// The page that the root bucket's tree starts with.
    public var root: UInt64
    /// The root bucket's counter; 0 in practice.
    public var sequence: UInt64
    /// The page that lists the free pages; ``noFreeList`` when the file does not store them.
    public var freeList: UInt64
    /// The number of pages in use, the two meta pages and the free ones among them.
    public var pageCount: UInt64
    /// The transaction that wrote it; the higher one counts.
    public var transaction: UInt64

    /// The value of ``freeList`` in a file whose free pages are just those that nothing refers to.
    public static let noFreeList = UInt64.max

    static let encodedSize = 64
    static let magic: UInt32 = 0xED0C_DAED
    static let version: UInt32 = 2

    /// A meta page made of its parts.
    public init(
        pageSize: Int,
        root: UInt64,
        sequence: UInt64,
        freeList: UInt64,
        pageCount: UInt64,
        transaction: UInt64
    ) {
        self.pageSize = pageSize
        self.root = root
        self.sequence = sequence
        self.freeList = freeList
        self.pageCount = pageCount
        self.transaction = transaction
    }

    /// Why 64 bytes are not a meta page.
    enum Flaw: Error, Equatable {
        case magic(UInt32)
        case version(UInt32)
        case checksum
        case pageSize(UInt32)

        var text: String {
            switch self {
            case .magic(let found): "the magic number is 0x\(String(found, radix: 16))"
            case .version(let found): "the format version is \(found), not \(BoltMeta.version)"
            case .checksum: "the checksum is wrong"
            case .pageSize(let found): "a page size of \(found) bytes is impossible"
            }
        }
    }

    /// Reads 64 bytes.
    init(_ bytes: UnsafeRawBufferPointer) throws(Flaw) {
        let magic = bytes.number(at: 0, as: UInt32.self)
        guard magic == Self.magic else { throw .magic(magic) }
        let version = bytes.number(at: 4, as: UInt32.self)
        guard version == Self.version else { throw .version(version) }
        guard Self.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<56])) == bytes.number(at: 56, as: UInt64.self)
        else { throw .checksum }
        let size = bytes.number(at: 8, as: UInt32.self)
        guard size >= 1024, size <= 16 << 20, size & (size - 1) == 0 else { throw .pageSize(size) }
        pageSize = Int(size)
        root = bytes.number(at: 16, as: UInt64.self)
        sequence = bytes.number(at: 24, as: UInt64.self)
        freeList = bytes.number(at: 32, as: UInt64.self)
        pageCount = bytes.number(at: 40, as: UInt64.self)
        transaction = bytes.number(at: 48, as: UInt64.self)
    }

    /// The 64 bytes of the page behind its header.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.encodedSize)
        bytes.withUnsafeMutableBytes { out in
            out.store(Self.magic, at: 0)
            out.store(Self.version, at: 4)
            out.store(UInt32(pageSize), at: 8)
            out.store(root, at: 16)
            out.store(sequence, at: 24)
            out.store(freeList, at: 32)
            out.store(pageCount, at: 40)
            out.store(transaction, at: 48)
            out.store(Self.checksum(UnsafeRawBufferPointer(rebasing: out[..<56])), at: 56)
        }
        return bytes
    }

    /// FNV-1a, 64 bits.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var sum: UInt64 = 0xCBF2_9CE4_8422_2325
        // &*: the sum is defined modulo 2^64
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return sum
    }
}
