/// Builds one bucket's tree from pairs in ascending order: a leaf is written when ``LeafShape`` says that it is full, a
/// branch page as soon as enough of its children are.
struct BucketTreeWriter {
    private let output: PageOutput
    private var leaf = Leaf()
    private var branches: BranchLevels<[UInt8]>
    private let last = KeyBuffer()

    /// Elements of the leaf that is being collected.
    private struct Leaf {
        var shape = LeafShape()
        var table: [Element] = []
        var firstKey: [UInt8] = []
        let data = LeafData()

        mutating func clear() {
            shape = LeafShape()
            table.removeAll(keepingCapacity: true)
            data.count = 0
        }
    }

    private struct Element {
        var flags: UInt32
        var keyCount: UInt32
        var valueCount: UInt32
    }

    /// What a finished tree is in its bucket's value.
    enum Root {
        /// The page that it starts with.
        case page(UInt64)
        /// A small tree: its only page, as it stands inside the value.
        case inline([UInt8])
    }

    init(_ output: PageOutput) {
        self.output = output
        branches = BranchLevels(pageSize: output.pageSize)
    }

    /// Adds an element; see ``BoltWriter/addPair(key:valueCount:writeValue:)``.
    mutating func add(
        flags: UInt32,
        key: UnsafeRawBufferPointer,
        valueCount: Int,
        writeValue: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        guard key.count > 0, key.count <= BoltLimits.keySize else {
            throw BoltError("write", .unwritable("a key of \(key.count) bytes"))
        }
        guard valueCount >= 0, valueCount <= BoltLimits.valueSize else {
            throw BoltError("write", .unwritable("a value of \(valueCount) bytes"))
        }
        if last.count != nil, compare(last.bytes, key) >= 0 {
            throw BoltError("write", .unwritable("keys that do not ascend"))
        }
        last.set(key)

        let size = PageHeader.elementSize + key.count + valueCount
        switch leaf.shape.place(ofElement: size, pageSize: output.pageSize) {
        case .here: break
        case .next: try flushLeaf()
        case .alone:
            if leaf.shape.count > 0 { try flushLeaf() }
            try writeAlone(flags: flags, key: key, valueCount: valueCount, writeValue: writeValue)
            return
        }
        if leaf.shape.count == 0 { leaf.firstKey = Array(key) }
        leaf.shape.add(size)
        leaf.table.append(
            Element(flags: flags, keyCount: UInt32(key.count), valueCount: UInt32(valueCount))  // bounded above
        )
        let data = leaf.data
        data.append(key)
        let end = data.count + valueCount
        try writeValue { data.append($0) }
        guard data.count == end else { throw Self.wrongLength }
    }

    /// Writes what is left and gives the page that the tree starts with.
    mutating func finish() throws -> UInt64 {
        // An empty bucket is one leaf without elements.
        if branches.isEmpty { return try writeLeaf() }
        if leaf.shape.count > 0 { try flushLeaf() }
        return try branches.finish { [output] in try output.writeBranch($0) }
    }

    /// The same for a tree that may stand inside its bucket's value.
    mutating func finishBucket() throws -> Root {
        guard branches.isEmpty, leaf.shape.isInline(pageSize: output.pageSize) else { return .page(try finish()) }
        var page = [UInt8](repeating: 0, count: leaf.shape.size)
        page.withUnsafeMutableBytes { bytes in
            PageHeader(id: 0, kind: .leaf, count: UInt16(leaf.shape.count), overflow: 0).store(into: bytes)
            let start = storeTable(into: UnsafeMutableRawBufferPointer(rebasing: bytes[PageHeader.size...]))
            UnsafeMutableRawBufferPointer(rebasing: bytes[(PageHeader.size + start)...]).copyMemory(
                from: leaf.data.bytes
            )
        }
        return .inline(page)
    }

    // MARK: - Leaves

    private mutating func flushLeaf() throws {
        try branches.push(leaf.firstKey, writeLeaf()) { [output] in try output.writeBranch($0) }
        leaf.clear()
    }

    private func writeLeaf() throws -> UInt64 {
        let page = try output.beginPage(.leaf, count: leaf.shape.count, size: leaf.shape.size)
        try withUnsafeTemporaryAllocation(byteCount: PageHeader.elementSize * leaf.table.count, alignment: 8) { bytes in
            _ = storeTable(into: bytes)
            try output.append(UnsafeRawBufferPointer(bytes))
        }
        try output.append(leaf.data.bytes)
        try output.endPage()
        return page
    }

    /// Stores the descriptions of the leaf's elements and gives their bytes.
    private func storeTable(into bytes: UnsafeMutableRawBufferPointer) -> Int {
        let end = PageHeader.elementSize * leaf.table.count
        var at = 0
        var data = end
        for element in leaf.table {
            bytes.store(element.flags, at: at)
            bytes.store(UInt32(data - at), at: at + 4)
            bytes.store(element.keyCount, at: at + 8)
            bytes.store(element.valueCount, at: at + 12)
            at += PageHeader.elementSize
            data += Int(element.keyCount) + Int(element.valueCount)
        }
        return end
    }

    /// Writes a leaf for one large element, without holding its value.
    private mutating func writeAlone(
        flags: UInt32,
        key: UnsafeRawBufferPointer,
        valueCount: Int,
        writeValue: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let size = PageHeader.size + PageHeader.elementSize + key.count + valueCount
        let page = try output.beginPage(.leaf, count: 1, size: size)
        try withUnsafeTemporaryAllocation(byteCount: PageHeader.elementSize, alignment: 8) { bytes in
            bytes.store(flags, at: 0)
            bytes.store(UInt32(PageHeader.elementSize), at: 4)
            bytes.store(UInt32(key.count), at: 8)
            bytes.store(UInt32(valueCount), at: 12)
            try output.append(UnsafeRawBufferPointer(bytes))
        }
        try output.append(key)
        var written = 0
        try writeValue {
            try output.append($0)
            written += $0.count
        }
        guard written == valueCount else { throw Self.wrongLength }
        try output.endPage()
        try branches.push(Array(key), page) { [output] in try output.writeBranch($0) }
    }

    private static var wrongLength: BoltError {
        BoltError("write", .unwritable("a value of another length than was said"))
    }
}

/// The keys and values of a leaf, one behind the other.
private final class LeafData {
    private var storage = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    var count = 0

    deinit { storage.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[..<count]) }

    func append(_ piece: UnsafeRawBufferPointer) {
        if count + piece.count > storage.count { grow(to: count + piece.count) }
        UnsafeMutableRawBufferPointer(rebasing: storage[count...]).copyMemory(from: piece)
        count += piece.count
    }

    private func grow(to wanted: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(wanted, storage.count * 2), alignment: 16)
        larger.copyMemory(from: bytes)
        storage.deallocate()
        storage = larger
    }
}
