import Glibc
internal import SystemPackage

/// The pages of a file that is being written, one behind the other from page 3 on.
///
/// Bytes are collected and written 1 MiB at a time.
final class PageOutput {
    let pageSize: Int
    /// The number that the next page will have.
    private(set) var nextPage: UInt64 = 3

    private let file: FileDescriptor
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    private var filled = 0
    private var offset: Int

    init(_ file: FileDescriptor, pageSize: Int) {
        self.file = file
        self.pageSize = pageSize
        offset = 3 * pageSize
    }

    deinit { buffer.deallocate() }

    /// Starts a page that will hold `size` bytes, its header among them, and gives its number.
    ///
    /// The header is written; `size` less its 16 bytes have to follow, then ``endPage()``.
    func beginPage(_ kind: PageHeader.Kind, count: Int, size: Int) throws -> UInt64 {
        let page = nextPage
        let overflow = (size + pageSize - 1) / pageSize - 1
        nextPage += UInt64(1 + overflow)
        // The caller keeps elements below 0xFFFF, and a page holds one value of 2^31 bytes at most.
        let header = PageHeader(id: page, kind: kind, count: UInt16(count), overflow: UInt32(overflow))
        try withUnsafeTemporaryAllocation(byteCount: PageHeader.size, alignment: 8) { bytes in
            header.store(into: bytes)
            try append(UnsafeRawBufferPointer(bytes))
        }
        return page
    }

    /// Adds bytes to the page that was started.
    func append(_ bytes: UnsafeRawBufferPointer) throws(BoltError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = min(rest.count, buffer.count - filled)
            UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: rest[..<count])
            )
            filled += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if filled == buffer.count { try flush() }
        }
    }

    /// Writes a branch page and gives its number.
    func writeBranch(_ children: [BranchLevels<[UInt8]>.Child]) throws -> UInt64 {
        let page = try beginPage(.branch, count: children.count, size: BranchLevels.size(of: children))
        var position = PageHeader.elementSize * children.count
        for child in children {
            try withUnsafeTemporaryAllocation(byteCount: PageHeader.elementSize, alignment: 8) { bytes in
                bytes.store(UInt32(position), at: 0)
                bytes.store(UInt32(child.key.count), at: 4)
                bytes.store(child.page, at: 8)
                try append(UnsafeRawBufferPointer(bytes))
            }
            position += child.key.count - PageHeader.elementSize
        }
        for child in children { try child.key.withUnsafeBytes { try append($0) } }
        try endPage()
        return page
    }

    /// Fills the page up with zeros.
    func endPage() throws(BoltError) {
        var missing = Int(nextPage) * pageSize - (offset + filled)
        while missing > 0 {
            let count = min(missing, buffer.count - filled)
            UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<(filled + count)]).initializeMemory(
                as: UInt8.self,
                repeating: 0
            )
            filled += count
            missing -= count
            if filled == buffer.count { try flush() }
        }
    }

    /// Writes what is left, the free list and the meta pages, each only after what it refers to is on the disk.
    func finish(root: UInt64) throws(BoltError) -> BoltMeta {
        try flush()
        try writePage(PageHeader(id: 2, kind: .freeList, count: 0, overflow: 0), [])
        try sync()
        // As in a snapshot, the newer one is in page 0.
        var meta = BoltMeta(
            pageSize: pageSize,
            root: root,
            sequence: 0,
            freeList: 2,
            pageCount: nextPage,
            transaction: 1
        )
        try writePage(PageHeader(id: 1, kind: .meta, count: 0, overflow: 0), meta.encoded)
        meta.transaction = 2
        try writePage(PageHeader(id: 0, kind: .meta, count: 0, overflow: 0), meta.encoded)
        try sync()
        return meta
    }

    private func writePage(_ header: PageHeader, _ body: [UInt8]) throws(BoltError) {
        var page = [UInt8](repeating: 0, count: pageSize)
        page.withUnsafeMutableBytes { header.store(into: $0) }
        page.replaceSubrange(PageHeader.size..<PageHeader.size + body.count, with: body)
        try write(page, at: Int(header.id) * pageSize)
    }

    private func flush() throws(BoltError) {
        try write(UnsafeRawBufferPointer(rebasing: buffer[..<filled]), at: offset)
        offset += filled
        filled = 0
    }

    private func write(_ bytes: some Sequence<UInt8>, at offset: Int) throws(BoltError) {
        do {
            try file.writeAll(toAbsoluteOffset: Int64(offset), bytes)
        } catch {
            throw BoltError("write", .system(error as? Errno ?? .ioError, offset: offset))
        }
    }

    private func sync() throws(BoltError) {
        // Not tried again after a failure: the kernel may have dropped what it could not write.
        guard fsync(file.rawValue) == 0 else { throw BoltError("sync", .system(Errno(rawValue: errno), offset: 0)) }
    }
}
