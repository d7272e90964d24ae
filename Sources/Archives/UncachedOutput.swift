internal import CLinux
internal import Files
internal import Glibc
internal import SystemPackage

/// Appends to a file past the page cache, where its file system lets it (`O_DIRECT`).
///
/// A recovery point is written once and, with luck, never read again. Through the page cache its gigabytes would push
/// out what the node's etcd and API server live from, cost a copy and a page each, and wait for the disk at the
/// end; a verification right afterwards would read them back from memory and prove nothing about the disk.
/// Elsewhere it writes as usual and has the kernel start early. What was appended is in the file only after
/// ``finish()``. Memory: ``size`` bytes.
struct UncachedOutput: ~Copyable {
    /// A place to come back to.
    struct Mark {
        fileprivate var position: Int64
        /// What lies between it and the last border that can be written at.
        fileprivate var tail: [UInt8]
    }

    private static let size = 1 << 20
    /// What `O_DIRECT` asks of an offset, a length and an address on every disk there is.
    static let alignment = 4096

    private let descriptor: FileDescriptor
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: alignment)
    private var used = 0
    /// Where in the file the buffer belongs.
    private var written: Int64 = 0
    private var isDirect: Bool

    /// Writes a file that is empty so far; the descriptor stays the caller's.
    init(descriptor: FileDescriptor) {
        self.descriptor = descriptor
        isDirect = CLinux_set_direct(descriptor.rawValue, 1) == 0
    }

    deinit { buffer.deallocate() }

    /// How long the file is with what was appended, in bytes.
    var position: Int64 { written + Int64(used) }

    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(Errno) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(buffer.count - used)
            UnsafeMutableRawBufferPointer(rebasing: buffer[used...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: piece)
            )
            used += piece.count
            rest = rest.dropFirst(piece.count)
            if used == buffer.count { try writeBuffer() }
        }
    }

    /// This place.
    func mark() -> Mark {
        let count = min(Int(position % Int64(Self.alignment)), used)
        return Mark(position: position, tail: Array(buffer[(used - count)..<used]))
    }

    /// Takes back what was appended since a mark, in the file too.
    mutating func rewind(to mark: Mark) throws(Errno) {
        if mark.position >= written {
            used = Int(mark.position - written)
            return
        }
        let border = mark.position - Int64(mark.tail.count)
        guard ftruncate(descriptor.rawValue, Int(border)) == 0 else { throw Errno(rawValue: errno) }
        written = border
        buffer.copyBytes(from: mark.tail)
        used = mark.tail.count
    }

    /// Writes what is left, and has the descriptor as it was; nothing is synced.
    mutating func finish() throws(Errno) {
        try stopDirect()
        try writeBuffer()
    }

    private mutating func writeBuffer() throws(Errno) {
        var done = 0
        while done < used {
            let count = pwrite(descriptor.rawValue, buffer.baseAddress! + done, used - done, Int(written) + done)
            if count > 0 {
                done += count
            } else if count < 0, errno == EINVAL, isDirect {
                // This file system takes the flag and then not the writes, or not from where a shorter one ended.
                try stopDirect()
            } else if count < 0, errno != EINTR {
                throw Errno(rawValue: errno)
            }
        }
        // ignored: not every file can do it, and the sync at the end is what counts
        if !isDirect { _ = CLinux_start_writeback(descriptor.rawValue, written, Int64(used)) }
        written += Int64(used)
        used = 0
    }

    private mutating func stopDirect() throws(Errno) {
        guard isDirect else { return }
        guard CLinux_set_direct(descriptor.rawValue, 0) == 0 else { throw Errno(rawValue: errno) }
        isDirect = false
    }
}
