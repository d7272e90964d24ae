internal import SystemPackage

extension BoltFile {
    /// The key of the last pair of a bucket, found on the way down from the root, a page a level; `nil` for an empty
    /// bucket or none of that name.
    ///
    /// For a file that nobody has checked, such as one that is in use: what makes no sense on the way is an error.
    /// - Throws: ``BoltError``.
    public func lastKey(ofBucket name: [UInt8]) throws(BoltError) -> [UInt8]? {
        guard let bucket = try bucket(name) else { return nil }
        return try last(in: bucket, notAbove: nil)?.key
    }

    /// The value of a pair of at most 64 KiB; `nil` when there is none.
    ///
    /// - Throws: ``BoltError``, as ``lastKey(ofBucket:)``.
    public func value(ofKey key: [UInt8], inBucket name: [UInt8]) throws(BoltError) -> [UInt8]? {
        guard let bucket = try bucket(name), let found = try last(in: bucket, notAbove: key), found.key == key else {
            return nil
        }
        return try bytes(found.value.lowerBound, found.value.count)
    }

    /// Where a tree starts: its page, or the page inside a bucket's value.
    private struct Place {
        var start: Int
        var end: Int
        var isInline = false
    }

    private func bucket(_ name: [UInt8]) throws(BoltError) -> Place? {
        guard let found = try last(in: page(meta.root), notAbove: name), found.key == name, found.isBucket else {
            return nil
        }
        guard found.value.count >= 16 else { throw nonsense(found.value.lowerBound) }
        let root = number(try bytes(found.value.lowerBound, 8), 0, UInt64.self)
        if root != 0 { return try page(root) }
        return Place(start: found.value.lowerBound + 16, end: found.value.upperBound, isInline: true)
    }

    private func page(_ id: UInt64) throws(BoltError) -> Place {
        guard id >= 2, id < pagesInFile else { throw nonsense(0) }
        let start = Int(id) * meta.pageSize
        let overflow = number(try bytes(start + 12, 4), 0, UInt32.self)
        guard UInt64(overflow) < pagesInFile - id else { throw nonsense(start) }
        return Place(start: start, end: start + (1 + Int(overflow)) * meta.pageSize)
    }

    /// The last element of a tree whose key is not above `limit`.
    private func last(
        in tree: Place,
        notAbove limit: [UInt8]?
    ) throws(BoltError) -> (key: [UInt8], value: Range<Int>, isBucket: Bool)? {
        var place = tree
        for _ in 0..<BoltLimits.depth {
            let header = try bytes(place.start, PageHeader.size)
            let isLeaf = number(header, 8, UInt16.self) == PageHeader.Kind.leaf.rawValue
            guard isLeaf || number(header, 8, UInt16.self) == PageHeader.Kind.branch.rawValue, isLeaf || !place.isInline
            else { throw nonsense(place.start) }
            let count = Int(number(header, 10, UInt16.self))
            var low = 0
            var high = count
            // The last one that is not above the limit is before `low` at the end.
            while low < high {
                let middle = limit == nil ? count - 1 : (low + high) / 2
                let key = try element(middle, of: place, isLeaf: isLeaf).key
                if let limit, limit.lexicographicallyPrecedes(key) { high = middle } else { low = middle + 1 }
            }
            guard low > 0 else { return nil }
            let found = try element(low - 1, of: place, isLeaf: isLeaf)
            if isLeaf { return (found.key, found.value, found.flags == 1) }
            place = try page(found.child)
        }
        throw nonsense(place.start)
    }

    private func element(
        _ index: Int,
        of place: Place,
        isLeaf: Bool
    ) throws(BoltError) -> (key: [UInt8], value: Range<Int>, flags: UInt32, child: UInt64) {
        let start = place.start + PageHeader.size + index * PageHeader.elementSize
        guard start + PageHeader.elementSize <= place.end else { throw nonsense(place.start) }
        let table = try bytes(start, PageHeader.elementSize)
        let position = Int(number(table, isLeaf ? 4 : 0, UInt32.self))
        let keyCount = Int(number(table, isLeaf ? 8 : 4, UInt32.self))
        let valueCount = isLeaf ? Int(number(table, 12, UInt32.self)) : 0
        let key = start + position
        guard keyCount <= BoltLimits.keySize, key + keyCount + valueCount <= place.end else {
            throw nonsense(place.start)
        }
        return (
            try bytes(key, keyCount), key + keyCount..<key + keyCount + valueCount,
            isLeaf ? number(table, 0, UInt32.self) : 0, isLeaf ? 0 : number(table, 8, UInt64.self)
        )
    }

    private func bytes(_ at: Int, _ count: Int) throws(BoltError) -> [UInt8] {
        guard count <= Window.capacity, at >= 0, count <= length - at else { throw nonsense(at) }
        let window = Window(file, end: length)
        defer { withExtendedLifetime(window) {} }
        return Array(try window.bytes(at: at, count: count))
    }

    private func number<Number: FixedWidthInteger>(_ bytes: [UInt8], _ at: Int, _ type: Number.Type) -> Number {
        bytes.withUnsafeBytes { $0.number(at: at, as: type) }
    }

    private func nonsense(_ offset: Int) -> BoltError {
        BoltError("read", .unreadable(offset: offset))
    }
}
