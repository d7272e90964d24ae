internal import Files
import Glibc
public import Reporting
internal import SystemPackage

/// Walks a bbolt file in key order and checks everything on the way.
///
/// ``next()`` goes from bucket to bucket and from pair to pair. Each page is read once. A fault does not end the walk:
/// what is damaged is left out, and ``faults`` names it; a file is good when the walk has ended and there is none.
/// Checked is what `bbolt check` checks and more: page numbers, types and lengths, every element's place, key order
/// within a page and against the parent, pages used twice or at once used and free, inline buckets too; and with a
/// stored free list that every page is either used or free. Buckets hold pairs only: a bucket inside a bucket is a
/// fault. Source: bbolt `tx_check.go`, `internal/common/page.go`, `inode.go`, `bucket.go`.
///
/// Memory is two bits a page and a few buffers for each level of the tree.
public final class BoltWalk {
    /// What ``next()`` came to.
    public enum Step: Sendable {
        /// A bucket starts: ``BoltWalk/bucket`` and ``BoltWalk/sequence`` are set.
        case bucket
        /// A pair of that bucket: ``BoltWalk/key`` and the value can be read.
        case pair
        /// There is nothing more.
        case end
    }

    /// The file.
    public let file: BoltFile
    /// What is wrong so far, with the file's meta pages at first.
    public private(set) var faults: BoltFaults
    /// The name of the bucket that the walk is in; `nil` before the first one.
    public private(set) var bucket: [UInt8]?
    /// The bucket's counter.
    public private(set) var sequence: UInt64 = 0
    /// Bytes of the pair's value.
    public private(set) var valueCount = 0
    /// Free pages, whether the file stores a list of them or not; right when the walk has ended.
    public private(set) var freePages = 0

    /// Pages that the tree has been seen to use so far, of ``BoltFile/meta``'s number.
    public private(set) var usedPages = 0

    private let cancellation: Cancellation?
    private var map: PageMap
    private var frames: [Frame] = []
    private var depth = 0
    /// The number of frames below the bucket's tree; `nil` while the walk is in the root bucket.
    private var bucketDepth: Int?
    private var pairFrame: Frame?
    private var valueStart = 0
    private var hasStarted = false
    private var hasEnded = false

    /// A walk from the first bucket on.
    public init(_ file: BoltFile, cancellation: Cancellation? = nil) {
        self.file = file
        self.cancellation = cancellation
        faults = file.faults
        map = PageMap(count: Int(file.pagesInFile))
    }

    /// The pair's key, until the next step.
    public var key: UnsafeRawBufferPointer { pairFrame?.previous.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0) }

    /// Bytes of the pair's value, 64 KiB at most, until the next call.
    /// - Precondition: the bytes are inside the value.
    public func value(at offset: Int, count: Int) throws(BoltError) -> UnsafeRawBufferPointer {
        guard let pairFrame, count > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return try pairFrame.reader.dataBytes(at: valueStart + offset, count: count)
    }

    /// Hands out the whole value, in pieces of 64 KiB at most.
    public func forEachPieceOfValue(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var offset = 0
        while offset < valueCount {
            let count = min(Window.capacity, valueCount - offset)
            try body(value(at: offset, count: count))
            offset += count
        }
    }

    /// Adds a fault that the reader of the pairs has found, with the place of the pair.
    public func report(_ message: @autoclosure () -> String) {
        faults.add(fault(message()))
    }

    /// Goes on to the next bucket or pair.
    ///
    /// - Throws: ``BoltError`` when the system cannot read, ``Stopped``.
    public func next() throws -> Step {
        if !hasStarted {
            hasStarted = true
            try start()
        }
        while depth > 0 {
            let frame = frames[depth - 1]
            guard frame.index < frame.count else {
                depth -= 1
                if depth == bucketDepth { bucketDepth = nil }
                continue
            }
            let index = frame.index
            frame.index += 1
            if frame.isBranch {
                try descend(frame, index)
            } else if let step = try readLeafElement(frame, index) {
                return step
            }
        }
        if !hasEnded {
            hasEnded = true
            finish()
        }
        return .end
    }

    // MARK: - Start and end

    private func start() throws {
        for page in 0..<min(2, map.count) { map.reach(page) }
        usedPages = min(2, map.count)
        if file.meta.freeList != BoltMeta.noFreeList { try readFreeList() }
        try push(file.meta.root, from: nil, index: 0)
    }

    private func finish() {
        bucket = nil
        pairFrame = nil
        guard file.meta.freeList != BoltMeta.noFreeList else {
            freePages = map.count - usedPages
            return
        }
        let lost = map.lost()
        if !lost.isEmpty {
            let pages = lost.reduce(0) { $0 + $1.count }
            let names = lost.prefix(8).map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            faults.add(
                BoltFault(
                    message: "\(pages) pages are neither used nor free: \(names.joined(separator: ", "))"
                        + (lost.count > 8 ? " …" : "")
                )
            )
        }
    }

    private func readFreeList() throws {
        let first = file.meta.freeList
        guard first >= 2, first < UInt64(map.count) else { return }  // said already
        let reader = PageReader(file.file, end: file.length)
        let size = file.meta.pageSize
        try reader.open(base: Int(first) * size, length: size)
        let header = PageHeader(try reader.tableBytes(at: 0, count: PageHeader.size))
        func wrong(_ message: @autoclosure () -> String) {
            faults.add(BoltFault(path: [first], message: message()))
        }
        guard header.id == first else { return wrong("the free list's page calls itself page \(header.id)") }
        guard header.flags == PageHeader.Kind.freeList.rawValue else {
            return wrong("the free list's page has the type 0x\(String(header.flags, radix: 16))")
        }
        guard first + UInt64(header.overflow) < UInt64(map.count) else {
            return wrong("the free list goes on for \(header.overflow) pages, past the last page")
        }
        for page in Int(first)...Int(first) + Int(header.overflow) { map.reach(page) }
        usedPages += 1 + Int(header.overflow)
        let limit = (1 + Int(header.overflow)) * size
        try reader.extend(to: limit)
        var at = PageHeader.size
        var count = UInt64(header.count)
        if header.count == 0xFFFF {
            count = try reader.tableBytes(at: at, count: 8).number(at: 0, as: UInt64.self)
            at += 8
        }
        guard count <= UInt64((limit - at) / 8) else {
            return wrong("a free list of \(count) pages is longer than its page")
        }
        for _ in 0..<Int(count) {
            let page = try reader.tableBytes(at: at, count: 8).number(at: 0, as: UInt64.self)
            at += 8
            if at & 0xFFFF == 0 { try cancellation?.check() }
            guard page >= 2, page < UInt64(map.count) else {
                wrong("the free list names page \(page) of \(map.count)")
                continue
            }
            if map.isFree(Int(page)) {
                wrong("the free list names page \(page) twice")
            } else if map.isReached(Int(page)) {
                wrong("the free list names page \(page), which is its own")
            } else {
                map.free(Int(page))
                freePages += 1
            }
        }
    }

    // MARK: - Pages

    /// A page that the walk is in.
    private final class Frame {
        let reader: PageReader
        /// The last key that was read, for the order and for ``BoltWalk/key``.
        let previous = KeyBuffer()
        /// Every key is at least this one.
        let lower = KeyBuffer()
        /// Every key is less than this one.
        let upper = KeyBuffer()
        /// `nil` for the page inside a bucket's value.
        var page: UInt64?
        var isBranch = false
        var count = 0
        var index = 0

        init(_ file: BoltFile) {
            reader = PageReader(file.file, end: file.length)
        }

        /// Forgets the page that was read with this frame before.
        func begin(page: UInt64?) {
            self.page = page
            isBranch = false
            count = 0
            index = 0
            previous.clear()
            lower.clear()
            upper.clear()
        }
    }

    /// The frame for one level more; frames are kept, as a walk enters each level thousands of times.
    private func nextFrame() -> Frame {
        if depth == frames.count { frames.append(Frame(file)) }
        return frames[depth]
    }

    /// Enters the page `id`, which element `index` of `parent` refers to.
    private func push(_ id: UInt64, from parent: Frame?, index: Int) throws {
        try cancellation?.check()
        let place = parent == nil ? "the meta page" : "element \(index)"
        guard depth < BoltLimits.depth else { return report("the tree is more than \(BoltLimits.depth) levels deep") }
        guard id >= 2, id < file.meta.pageCount else {
            return report("\(place) refers to page \(id), but pages 2 to \(file.meta.pageCount) hold the tree")
        }
        guard id < UInt64(map.count) else {
            return report("\(place) refers to page \(id), which the file does not have")
        }
        let page = Int(id)
        if map.isReached(page) { return report("\(place) refers to page \(id), which is in use elsewhere") }
        if map.isFree(page) { return report("\(place) refers to page \(id), which is in the free list") }

        let frame = nextFrame()
        frame.begin(page: id)
        let size = file.meta.pageSize
        try frame.reader.open(base: page * size, length: size)
        let header = PageHeader(try frame.reader.tableBytes(at: 0, count: PageHeader.size))
        depth += 1
        // A frame without elements is left at once.
        if let flaw = flaw(of: header, id: id) { return report(flaw) }
        try frame.reader.extend(to: (1 + Int(header.overflow)) * size)
        for other in page...page + Int(header.overflow) {
            // Ends at the first one, so that a file whose pages all claim each other takes no quadratic time.
            if map.isReached(other) { return report("page \(other), which continues it, is in use elsewhere") }
            if map.isFree(other) { return report("page \(other), which continues it, is in the free list") }
            map.reach(other)
        }
        usedPages += 1 + Int(header.overflow)
        frame.isBranch = header.flags == PageHeader.Kind.branch.rawValue
        frame.count = Int(header.count)
        if PageHeader.size + frame.count * PageHeader.elementSize > frame.reader.length {
            report("a table of \(frame.count) elements is longer than the page")
            frame.count = 0
        }
        if frame.isBranch, header.count == 0 { report("a branch page without a child") }
    }

    private func flaw(of header: PageHeader, id: UInt64) -> String? {
        if header.id != id { return "the page calls itself page \(header.id)" }
        if header.flags != PageHeader.Kind.branch.rawValue, header.flags != PageHeader.Kind.leaf.rawValue {
            return "the type 0x\(String(header.flags, radix: 16)) has no place in the tree"
        }
        if id + UInt64(header.overflow) >= UInt64(map.count) {
            return "the page goes on for \(header.overflow) pages, past the last page"
        }
        return nil
    }

    /// Enters the child that element `index` of a branch page refers to.
    private func descend(_ frame: Frame, _ index: Int) throws {
        guard let (key, child) = try branchElement(frame, index) else { return }
        guard checkOrder(of: key, in: frame, index) else { return }
        frame.previous.set(key)
        let before = depth
        try push(child, from: frame, index: index)
        guard depth > before else { return }
        let next = frames[depth - 1]
        next.lower.set(frame.previous)
        if index + 1 < frame.count, let (upper, _) = try branchElement(frame, index + 1, quietly: true) {
            next.upper.set(upper)
        } else {
            next.upper.set(frame.upper)
        }
    }

    private func branchElement(
        _ frame: Frame,
        _ index: Int,
        quietly: Bool = false
    ) throws -> (key: UnsafeRawBufferPointer, child: UInt64)? {
        let start = PageHeader.size + index * PageHeader.elementSize
        let element = try frame.reader.tableBytes(at: start, count: PageHeader.elementSize)
        let position = Int(element.number(at: 0, as: UInt32.self))
        let keySize = Int(element.number(at: 4, as: UInt32.self))
        let child = element.number(at: 8, as: UInt64.self)
        guard isPlaced(frame, index, position: position, keySize: keySize, valueSize: 0, quietly: quietly) else {
            return nil
        }
        return (try frame.reader.dataBytes(at: start + position, count: keySize), child)
    }

    private func isPlaced(
        _ frame: Frame,
        _ index: Int,
        position: Int,
        keySize: Int,
        valueSize: Int,
        quietly: Bool = false
    ) -> Bool {
        // Each number is below 2^32, so nothing here can overflow.
        let start = PageHeader.size + index * PageHeader.elementSize
        func wrong(_ message: @autoclosure () -> String) -> Bool {
            if !quietly { report(message()) }
            return false
        }
        guard keySize > 0, keySize <= BoltLimits.keySize else {
            return wrong("element \(index) has a key of \(keySize) bytes")
        }
        guard position >= (frame.count - index) * PageHeader.elementSize else {
            return wrong("the key of element \(index) is inside the element table")
        }
        guard start + position + keySize + valueSize <= frame.reader.length else {
            return wrong(
                "element \(index), a key of \(keySize) and a value of \(valueSize) bytes, reaches past the page"
            )
        }
        return true
    }

    private func checkOrder(of key: UnsafeRawBufferPointer, in frame: Frame, _ index: Int) -> Bool {
        if frame.previous.count != nil {
            if compare(key, frame.previous.bytes) <= 0 {
                report("the key of element \(index) is not above the one before it")
                return false
            }
        } else if frame.lower.count != nil, compare(key, frame.lower.bytes) < 0 {
            report("the key of element \(index) is below the key that the parent has for the page")
            return false
        }
        if frame.upper.count != nil, compare(key, frame.upper.bytes) >= 0 {
            report("the key of element \(index) belongs to a later page by the parent's keys")
            return false
        }
        return true
    }

    // MARK: - Leaf elements

    /// Reads element `index` of a leaf: a pair inside a bucket, a bucket in the root bucket.
    ///
    /// - Returns: `nil` when there is nothing to hand out, because the element has a fault.
    private func readLeafElement(_ frame: Frame, _ index: Int) throws -> Step? {
        let start = PageHeader.size + index * PageHeader.elementSize
        let element = try frame.reader.tableBytes(at: start, count: PageHeader.elementSize)
        let flags = element.number(at: 0, as: UInt32.self)
        let position = Int(element.number(at: 4, as: UInt32.self))
        let keySize = Int(element.number(at: 8, as: UInt32.self))
        let valueSize = Int(element.number(at: 12, as: UInt32.self))
        guard isPlaced(frame, index, position: position, keySize: keySize, valueSize: valueSize) else { return nil }
        guard valueSize <= BoltLimits.valueSize else {
            report("element \(index) has a value of \(valueSize) bytes")
            return nil
        }
        let key = try frame.reader.dataBytes(at: start + position, count: keySize)
        guard checkOrder(of: key, in: frame, index) else { return nil }
        frame.previous.set(key)
        guard flags <= 1 else {
            report("element \(index) has the flags 0x\(String(flags, radix: 16))")
            return nil
        }
        let valueStart = start + position + keySize
        if bucketDepth == nil {
            guard flags == 1 else {
                report("element \(index) of the root bucket is not a bucket")
                return nil
            }
            return try enterBucket(frame, index, valueStart: valueStart, valueSize: valueSize)
        }
        guard flags == 0 else {
            report("element \(index) is a bucket inside a bucket, which is not supported")
            return nil
        }
        pairFrame = frame
        self.valueStart = valueStart
        valueCount = valueSize
        return .pair
    }

    /// Enters the bucket whose description is `valueSize` bytes at `valueStart` of the root bucket's leaf.
    private func enterBucket(_ frame: Frame, _ index: Int, valueStart: Int, valueSize: Int) throws -> Step? {
        guard valueSize >= 16 else {
            report("element \(index) is a bucket of \(valueSize) bytes; it takes 16 at least")
            return nil
        }
        let header = try frame.reader.dataBytes(at: valueStart, count: 16)
        let root = header.number(at: 0, as: UInt64.self)
        sequence = header.number(at: 8, as: UInt64.self)
        bucket = Array(frame.previous.bytes)
        pairFrame = nil
        bucketDepth = depth
        let before = depth
        if root != 0 {
            if valueSize != 16 { report("element \(index) is a bucket of \(valueSize) bytes with pages of its own") }
            try push(root, from: frame, index: index)
        } else {
            try pushInline(frame, index, base: frame.reader.base + valueStart + 16, length: valueSize - 16)
        }
        if depth == before { bucketDepth = nil }
        return .bucket
    }

    /// Enters the page inside a bucket's value.
    private func pushInline(_ parent: Frame, _ index: Int, base: Int, length: Int) throws {
        guard length >= PageHeader.size else {
            return report("the inline bucket of element \(index) has no page header")
        }
        let frame = nextFrame()
        try frame.reader.open(base: base, length: length)
        let header = PageHeader(try frame.reader.tableBytes(at: 0, count: PageHeader.size))
        guard header.id == 0, header.flags == PageHeader.Kind.leaf.rawValue, header.overflow == 0 else {
            return report("the inline bucket of element \(index) is not a leaf page")
        }
        guard PageHeader.size + Int(header.count) * PageHeader.elementSize <= length else {
            return report("the inline bucket of element \(index) has \(header.count) elements, more than fit")
        }
        frame.begin(page: nil)
        frame.count = Int(header.count)
        depth += 1
    }

    private func fault(_ message: String) -> BoltFault {
        BoltFault(
            path: frames[..<depth].compactMap(\.page),
            bucket: bucketDepth == nil ? nil : bucket,
            message: message
        )
    }
}

/// Compares keys as bbolt does: byte by byte, the shorter one first.
@inline(__always)
func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let shared = min(left.count, right.count)
    if shared > 0, let l = left.baseAddress, let r = right.baseAddress {
        let order = memcmp(l, r, shared)
        if order != 0 { return Int(order) }
    }
    return left.count - right.count
}
