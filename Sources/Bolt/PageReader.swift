internal import SystemPackage

/// A file seen through a buffer of bounded size.
///
/// Reads with `pread(2)`, not through a map: an I/O error in a map is a signal, and mapped pages count as resident.
/// Who asks for the bytes behind the ones in the buffer gets a whole buffer full, so that pages that follow each
/// other, as a snapshot's leaves mostly do, cost one call for many; who jumps gets no more than was asked for.
final class Window {
    /// Bytes of the buffer, and so the most that can be asked for at once.
    static let capacity = 64 * 1024

    private let file: FileDescriptor
    /// Where the file ends.
    private let end: Int
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 4096)
    private var start = 0
    private var filled = 0

    init(_ file: FileDescriptor, end: Int) {
        self.file = file
        self.end = end
    }

    deinit { buffer.deallocate() }

    /// The bytes `at ..< at + count` of the file, until the next call.
    ///
    /// - Precondition: the bytes are inside the file, and `count` is at most ``capacity``.
    func bytes(at: Int, count: Int) throws(BoltError) -> UnsafeRawBufferPointer {
        if at < start || at + count > start + filled { try fill(at: at, count: count) }
        return UnsafeRawBufferPointer(rebasing: buffer[(at - start)..<(at - start + count)])
    }

    private func fill(at: Int, count: Int) throws(BoltError) {
        var wanted = count
        if at >= start, at <= start + filled, filled > 0 {
            let kept = start + filled - at
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[(at - start)..<filled]))
            filled = kept
            wanted = min(Self.capacity, end - at)
        } else {
            filled = 0
        }
        start = at
        while filled < wanted {
            let got: Int
            do {
                got = try file.read(
                    fromAbsoluteOffset: Int64(start + filled),
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<wanted])
                )
            } catch {
                throw BoltError("read", .system(error as? Errno ?? .ioError, offset: start + filled))
            }
            guard got > 0 else { throw BoltError("read", .shrank(offset: start + filled)) }
            filled += got
        }
    }
}

/// Reads one page with the pages that continue it, or the page that lies inside a bucket's value.
final class PageReader {
    private let table: Window
    private let data: Window
    /// Where the page starts in the file.
    private(set) var base = 0
    /// Its bytes.
    private(set) var length = 0

    init(_ file: FileDescriptor, end: Int) {
        table = Window(file, end: end)
        data = Window(file, end: end)
    }

    /// Turns to the page of `length` bytes at byte `base` of the file.
    func open(base: Int, length: Int) throws(BoltError) {
        self.base = base
        try extend(to: length)
    }

    /// Makes the page longer.
    func extend(to length: Int) throws(BoltError) {
        self.length = length
        // A page that fits is read at once, so that its elements are all there.
        if length <= Window.capacity { _ = try table.bytes(at: base, count: length) }
    }

    /// Bytes of the header or the element table.
    func tableBytes(at: Int, count: Int) throws(BoltError) -> UnsafeRawBufferPointer {
        try table.bytes(at: base + at, count: count)
    }

    /// Bytes of keys and values, ``Window/capacity`` at most.
    func dataBytes(at: Int, count: Int) throws(BoltError) -> UnsafeRawBufferPointer {
        // In a page that does not fit, the table and the data are each read in order.
        length <= Window.capacity ? try tableBytes(at: at, count: count) : try data.bytes(at: base + at, count: count)
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
