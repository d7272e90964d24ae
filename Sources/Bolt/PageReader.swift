internal import SystemPackage

/// A stretch of a file seen through a buffer of bounded size.
///
/// Reads with `pread(2)`, not through a map: an I/O error in a map is a signal, and mapped pages count as resident.
/// A stretch that fits the buffer is read once and whole. A longer one is read as it is asked for: on through the
/// stretch when the bytes follow the last ones, else no more than was asked for.
struct Window: ~Copyable {
    /// Bytes of the buffer, and so the most that can be asked for at once.
    static let capacity = 64 * 1024

    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
    private var start = 0
    private var filled = 0

    deinit { buffer.deallocate() }

    /// Forgets what was read.
    mutating func reset() {
        start = 0
        filled = 0
    }

    /// The bytes `at ..< at + count` of the stretch that starts at byte `base` of the file and is `length` long.
    ///
    /// The result is valid until the next call.
    /// - Precondition: the bytes lie inside the stretch, and `count` is at most ``capacity``.
    mutating func bytes(
        _ file: FileDescriptor,
        base: Int,
        length: Int,
        at: Int,
        count: Int
    ) throws(BoltError) -> UnsafeRawBufferPointer {
        if at < start || at + count > start + filled {
            if length <= Self.capacity {
                // start is 0 here: a short stretch is only ever read from its beginning on
                try fill(file, base: base, from: filled, to: length)
            } else {
                let isNext = at >= start && at <= start + filled
                start = at
                filled = 0
                try fill(
                    file,
                    base: base + at,
                    from: 0,
                    to: min(isNext ? Self.capacity : max(count, 4096), length - at)
                )
            }
        }
        return UnsafeRawBufferPointer(rebasing: buffer[(at - start)..<(at - start + count)])
    }

    private mutating func fill(_ file: FileDescriptor, base: Int, from: Int, to: Int) throws(BoltError) {
        filled = from
        while filled < to {
            let got: Int
            do {
                got = try file.read(
                    fromAbsoluteOffset: Int64(base + filled),
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<to])
                )
            } catch {
                throw BoltError("read", .system(error as? Errno ?? .ioError, offset: base + filled))
            }
            guard got > 0 else { throw BoltError("read", .shrank(offset: base + filled)) }
            filled += got
        }
    }
}

/// Reads one page with the pages that continue it, or the page that lies inside a bucket's value.
final class PageReader {
    private let file: FileDescriptor
    private var table = Window()
    private var data = Window()
    /// Where the page starts in the file.
    private(set) var base = 0
    /// Its bytes.
    private(set) var length = 0

    init(_ file: FileDescriptor) {
        self.file = file
    }

    /// Turns to the page of `length` bytes at byte `base` of the file.
    func open(base: Int, length: Int) {
        self.base = base
        self.length = length
        table.reset()
        data.reset()
    }

    /// Makes the page longer; what was read stays.
    func extend(to length: Int) {
        if self.length <= Window.capacity, length > Window.capacity { table.reset() }
        self.length = length
    }

    /// Bytes of the header or the element table.
    func tableBytes(at: Int, count: Int) throws(BoltError) -> UnsafeRawBufferPointer {
        try table.bytes(file, base: base, length: length, at: at, count: count)
    }

    /// Bytes of keys and values, ``Window/capacity`` at most.
    func dataBytes(at: Int, count: Int) throws(BoltError) -> UnsafeRawBufferPointer {
        // A page that fits is read once, for both; in a longer one the table and the data are each read in order.
        guard length > Window.capacity else { return try tableBytes(at: at, count: count) }
        return try data.bytes(file, base: base, length: length, at: at, count: count)
    }
}

/// A key that outlives the page it was read from.
final class KeyBuffer {
    private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: BoltLimits.keySize, alignment: 8)
    /// Bytes of the key; `nil` when there is none.
    private(set) var count: Int?

    deinit { storage.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[..<(count ?? 0)]) }

    func clear() { count = nil }

    /// - Precondition: the key is not longer than ``BoltLimits/keySize``.
    func set(_ key: UnsafeRawBufferPointer) {
        storage.copyMemory(from: key)
        count = key.count
    }

    func set(_ other: KeyBuffer) {
        if other.count != nil { set(other.bytes) } else { clear() }
    }
}
