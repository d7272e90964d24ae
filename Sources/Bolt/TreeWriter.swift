/// Builds one bucket's tree from pairs in ascending order: a leaf is written when it is nine tenths full, a branch
/// page as soon as enough of its children are.
///
/// What bbolt itself leaves free in a page when it fills one in order is the same tenth.
struct TreeWriter {
    private let output: PageOutput
    /// Bytes that a page is filled with at most, unless it has one element alone.
    private let limit: Int
    private var leaf = Leaf()
    private var levels: [Level] = []
    private var last: [UInt8]?

    /// Elements of the leaf that is being collected.
    private struct Leaf {
        var table: [(flags: UInt32, keyCount: Int, valueCount: Int)] = []
        var data: [UInt8] = []
        var firstKey: [UInt8] = []

        var size: Int { PageHeader.size + table.count * PageHeader.elementSize + data.count }
    }

    /// Branch pages at one height: one that is being collected, and the full one before it, which is held back so that
    /// no page with a single child is left at the end.
    private struct Level {
        typealias Child = (key: [UInt8], page: UInt64)
        var pending: [Child] = []
        var current: [Child] = []
        var size = PageHeader.size
    }

    init(_ output: PageOutput) {
        self.output = output
        limit = output.pageSize * 9 / 10
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
        if let last, last.withUnsafeBytes({ compare($0, key) }) >= 0 {
            throw BoltError("write", .unwritable("keys that do not ascend"))
        }
        last?.removeAll(keepingCapacity: true)
        if last == nil { last = Array(key) } else { last?.append(contentsOf: key) }

        let size = PageHeader.elementSize + key.count + valueCount
        // 0xFFFF elements would mean something else to a reader.
        if !leaf.table.isEmpty, leaf.size + size > limit || leaf.table.count == 0xFFFE { try flushLeaf() }
        if PageHeader.size + size > output.pageSize {
            try writeLarge(flags: flags, key: key, valueCount: valueCount, writeValue: writeValue)
            return
        }
        if leaf.table.isEmpty { leaf.firstKey = Array(key) }
        leaf.table.append((flags, key.count, valueCount))
        leaf.data.append(contentsOf: key)
        let end = leaf.data.count + valueCount
        try writeValue { leaf.data.append(contentsOf: $0) }
        guard leaf.data.count == end else {
            throw BoltError("write", .unwritable("a value of another length than was said"))
        }
    }

    /// Writes what is left and gives the page that the tree starts with.
    mutating func finish() throws -> UInt64 {
        // An empty bucket is one leaf without elements.
        if levels.isEmpty { return try writeLeaf() }
        if !leaf.table.isEmpty { try flushLeaf() }
        var height = 0
        while true {
            let level = levels[height]
            if level.pending.isEmpty, level.current.count == 1, height == levels.count - 1 {
                return level.current[0].page
            }
            if !level.pending.isEmpty {
                if level.current.count == 1, let moved = levels[height].pending.popLast() {
                    levels[height].current.insert(moved, at: 0)
                }
                try writeBranch(levels[height].pending, height)
            }
            try writeBranch(levels[height].current, height)
            height += 1
        }
    }

    // MARK: - Leaves

    private mutating func flushLeaf() throws {
        try push(leaf.firstKey, writeLeaf(), height: 0)
        leaf.table.removeAll(keepingCapacity: true)
        leaf.data.removeAll(keepingCapacity: true)
    }

    private func writeLeaf() throws -> UInt64 {
        let page = try output.beginPage(.leaf, count: leaf.table.count, size: leaf.size)
        var position = PageHeader.elementSize * leaf.table.count
        for element in leaf.table {
            try append(flags: element.flags, position: position, element.keyCount, element.valueCount)
            position += element.keyCount + element.valueCount - PageHeader.elementSize
        }
        try leaf.data.withUnsafeBytes { try output.append($0) }
        try output.endPage()
        return page
    }

    /// Writes a leaf for an element that is larger than a page, without holding its value.
    private mutating func writeLarge(
        flags: UInt32,
        key: UnsafeRawBufferPointer,
        valueCount: Int,
        writeValue: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let size = PageHeader.size + PageHeader.elementSize + key.count + valueCount
        let page = try output.beginPage(.leaf, count: 1, size: size)
        try append(flags: flags, position: PageHeader.elementSize, key.count, valueCount)
        try output.append(key)
        var written = 0
        try writeValue {
            try output.append($0)
            written += $0.count
        }
        guard written == valueCount else {
            throw BoltError("write", .unwritable("a value of another length than was said"))
        }
        try output.endPage()
        try push(Array(key), page, height: 0)
    }

    private func append(flags: UInt32, position: Int, _ keyCount: Int, _ valueCount: Int) throws {
        try withUnsafeTemporaryAllocation(byteCount: PageHeader.elementSize, alignment: 8) { bytes in
            bytes.store(flags, at: 0)
            bytes.store(UInt32(position), at: 4)
            bytes.store(UInt32(keyCount), at: 8)
            bytes.store(UInt32(valueCount), at: 12)
            try output.append(UnsafeRawBufferPointer(bytes))
        }
    }

    // MARK: - Branches

    private mutating func push(_ key: [UInt8], _ page: UInt64, height: Int) throws {
        if levels.count == height { levels.append(Level()) }
        let size = PageHeader.elementSize + key.count
        let level = levels[height]
        if level.current.count >= 2, level.size + size > limit || level.current.count == 0xFFFE {
            if !level.pending.isEmpty { try writeBranch(level.pending, height) }
            levels[height].pending = level.current
            levels[height].current = []
            levels[height].size = PageHeader.size
        }
        levels[height].current.append((key, page))
        levels[height].size += size
    }

    private mutating func writeBranch(_ children: [Level.Child], _ height: Int) throws {
        let keys = children.reduce(0) { $0 + $1.key.count }
        let page = try output.beginPage(
            .branch,
            count: children.count,
            size: PageHeader.size + PageHeader.elementSize * children.count + keys
        )
        var position = PageHeader.elementSize * children.count
        for child in children {
            try withUnsafeTemporaryAllocation(byteCount: PageHeader.elementSize, alignment: 8) { bytes in
                bytes.store(UInt32(position), at: 0)
                bytes.store(UInt32(child.key.count), at: 4)
                bytes.store(child.page, at: 8)
                try output.append(UnsafeRawBufferPointer(bytes))
            }
            position += child.key.count - PageHeader.elementSize
        }
        for child in children {
            try child.key.withUnsafeBytes { try output.append($0) }
        }
        try output.endPage()
        try push(children[0].key, page, height: height + 1)
    }
}
