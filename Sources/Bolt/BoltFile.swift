internal import Files
public import SystemPackage

/// A bbolt file that is open for reading: its meta pages are read and judged, its tree is not yet.
///
/// Nothing is kept of the file but its layout, so that a file of any size needs the same memory. The descriptor
/// stays the caller's; its offset is not used.
public struct BoltFile: Sendable {
    /// How the file came about, which decides what must be true of it.
    public enum Origin: Sendable {
        /// Written in one go by a transaction's `WriteTo`, as a stream is: two good meta pages that describe
        /// the same tree, the one in page 0 newer by one transaction, and not a byte behind the last page.
        case stream
        /// A copy of a file that was in use: one meta page may be torn, and pages that were never used may follow.
        case copy
    }

    /// The descriptor.
    public let file: FileDescriptor
    /// Bytes of the file that belong to the database.
    public let length: Int
    /// The meta page that counts.
    public let meta: BoltMeta
    /// What is wrong with the meta pages and the length.
    public let faults: BoltFaults
    /// What is odd but allowed in a ``Origin/copy``.
    public let warnings: [String]

    /// Pages that the meta page says are in use and that the file really has.
    var pagesInFile: UInt64 { min(meta.pageCount, UInt64(length / meta.pageSize)) }

    /// What became of opening a file.
    public enum Opened: Sendable {
        /// It can be walked, though there may be faults.
        case file(BoltFile)
        /// Neither meta page can be used.
        case unusable(BoltFaults)
    }

    /// Reads both meta pages of the first `length` bytes of `file`.
    ///
    /// - Throws: only when the system cannot read.
    public static func open(_ file: FileDescriptor, length: Int, origin: Origin) throws(BoltError) -> Opened {
        var faults = BoltFaults()
        guard length >= 1024 else {
            faults.add(BoltFault(message: "\(length) bytes are too few for a bbolt file"))
            return .unusable(faults)
        }
        let slots = try readSlots(file, length: length)
        let metas = slots.compactMap { $0.meta }
        guard let meta = metas.max(by: { $0.transaction < $1.transaction }) else {
            for slot in slots { faults.add(BoltFault(path: [slot.page], message: slot.text)) }
            return .unusable(faults)
        }
        var warnings = [String]()
        for slot in slots {
            if slot.headerFlaw == nil, slot.metaFlaw == nil { continue }
            if origin == .copy, slot.headerFlaw == nil {
                warnings.append("meta page \(slot.page) is not used: \(slot.text)")
            } else {
                faults.add(BoltFault(path: [slot.page], message: slot.text))
            }
        }
        judge(meta, metas, length: length, origin: origin, faults: &faults)
        return .file(BoltFile(file: file, length: length, meta: meta, faults: faults, warnings: warnings))
    }

    /// One of the two places for a meta page.
    private struct Slot {
        let page: UInt64
        var meta: BoltMeta?
        var headerFlaw: String?
        var metaFlaw: String?

        var text: String {
            "the meta page cannot be used: " + [headerFlaw, metaFlaw].compactMap { $0 }.joined(separator: ", ")
        }
    }

    private static func readSlots(_ file: FileDescriptor, length: Int) throws(BoltError) -> [Slot] {
        var first = try readSlot(file, page: 0, offset: 0, length: length)
        if let meta = first.meta {
            var second = try readSlot(file, page: 1, offset: meta.pageSize, length: length)
            if let other = second.meta, other.pageSize != meta.pageSize {
                second.meta = nil
                second.metaFlaw = "its page size is \(other.pageSize), that of meta page 0 \(meta.pageSize)"
            }
            return [first, second]
        }
        // Without meta page 0 the page size is unknown: look wherever meta page 1 can be.
        var offset = 1024
        while offset <= 16 << 20, offset + PageHeader.size + BoltMeta.encodedSize <= length {
            let second = try readSlot(file, page: 1, offset: offset, length: length)
            if let meta = second.meta, meta.pageSize == offset { return [first, second] }
            offset *= 2
        }
        first.metaFlaw = (first.metaFlaw ?? "") + ", and there is no meta page 1 at any page size"
        return [first]
    }

    private static func readSlot(_ file: FileDescriptor, page: UInt64, offset: Int, length: Int) throws(BoltError)
        -> Slot
    {
        var slot = Slot(page: page)
        let size = PageHeader.size + BoltMeta.encodedSize
        guard offset + size <= length else {
            slot.metaFlaw = "the file ends before it"
            return slot
        }
        let window = Window(file, end: length)
        defer { withExtendedLifetime(window) {} }
        let bytes = try window.bytes(at: offset, count: size)
        let header = PageHeader(bytes)
        if header.id != page {
            slot.headerFlaw = "it calls itself page \(header.id)"
        } else if header.flags != PageHeader.Kind.meta.rawValue {
            slot.headerFlaw = "its type is 0x\(String(header.flags, radix: 16))"
        }
        do {
            slot.meta = try BoltMeta(UnsafeRawBufferPointer(rebasing: bytes[PageHeader.size...]))
        } catch {
            slot.metaFlaw = error.text
        }
        return slot
    }

    /// Judges what the meta pages say against each other and against the file.
    private static func judge(
        _ meta: BoltMeta,
        _ metas: [BoltMeta],
        length: Int,
        origin: Origin,
        faults: inout BoltFaults
    ) {
        let (size, overflow) = meta.pageCount.multipliedReportingOverflow(by: UInt64(meta.pageSize))
        if overflow || size > UInt64(length) {
            faults.add(
                BoltFault(
                    message: "the file is too short: \(meta.pageCount) pages of \(meta.pageSize) bytes do not fit into "
                        + "\(length) bytes"
                )
            )
        } else if origin == .stream, size != UInt64(length) {
            faults.add(
                BoltFault(
                    message: "\(meta.pageCount) pages of \(meta.pageSize) bytes are \(size) bytes, but the database "
                        + "has \(length)"
                )
            )
        }
        if meta.freeList != BoltMeta.noFreeList, meta.freeList < 2 || meta.freeList >= meta.pageCount {
            faults.add(BoltFault(message: "the free list is said to be in page \(meta.freeList) of \(meta.pageCount)"))
        }
        guard origin == .stream, metas.count == 2 else { return }
        if metas[1].transaction == .max || metas[0].transaction != metas[1].transaction + 1 {
            faults.add(
                BoltFault(
                    message: "the meta pages are of transactions \(metas[0].transaction) and \(metas[1].transaction); "
                        + "in a snapshot the first is the second's successor"
                )
            )
        }
        var older = metas[1]
        older.transaction = metas[0].transaction
        if older != metas[0] {
            faults.add(BoltFault(message: "the meta pages describe different trees"))
        }
    }
}
