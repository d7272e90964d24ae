/// The header of a page: 16 bytes, little endian.
///
/// Source: bbolt `internal/common/page.go`.
struct PageHeader {
    /// Bytes of a header, and of an element of the table behind it.
    static let size = 16
    static let elementSize = 16

    /// What a page is for; a page has exactly one of these.
    enum Kind: UInt16 {
        case branch = 0x01
        case leaf = 0x02
        case meta = 0x04
        case freeList = 0x10
    }

    /// The page's own number.
    var id: UInt64
    /// ``Kind`` as it is on disk.
    var flags: UInt16
    /// Elements in the page; in a free list 0xFFFF says that the number is the first entry.
    var count: UInt16
    /// How many further pages belong to this one.
    var overflow: UInt32

    init(id: UInt64, kind: Kind, count: UInt16, overflow: UInt32) {
        self.id = id
        self.flags = kind.rawValue
        self.count = count
        self.overflow = overflow
    }

    init(_ bytes: UnsafeRawBufferPointer) {
        id = bytes.number(at: 0, as: UInt64.self)
        flags = bytes.number(at: 8, as: UInt16.self)
        count = bytes.number(at: 10, as: UInt16.self)
        overflow = bytes.number(at: 12, as: UInt32.self)
    }

    func store(into bytes: UnsafeMutableRawBufferPointer) {
        bytes.store(id, at: 0)
        bytes.store(flags, at: 8)
        bytes.store(count, at: 10)
        bytes.store(overflow, at: 12)
    }
}

/// Limits of the format.
///
/// Source: bbolt `db.go`.
public enum BoltLimits {
    /// Bytes of the longest key.
    public static let keySize = 32768
    /// Bytes of the longest value.
    public static let valueSize = (1 << 31) - 2
    /// Branch pages above a leaf; a file of 2^31 pages with two children each needs half of it.
    static let depth = 64
}

extension UnsafeRawBufferPointer {
    /// The little-endian number at `offset`.
    @inline(__always)
    func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Stores a little-endian number at `offset`.
    @inline(__always)
    func store<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
        storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
    }
}
