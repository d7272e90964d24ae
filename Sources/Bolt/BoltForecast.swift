/// How large a file ``BoltWriter`` will write, to the byte, from the sizes of what goes into it.
public struct BoltForecast: Sendable {
    /// One bucket of the file.
    ///
    /// A value: a copy can be gone on with, to see what some more pairs would cost.
    public struct Bucket: Sendable {
        private let pageSize: Int
        private var leaf = LeafShape()
        private var firstKey = Length(count: 0)
        private var branches: BranchLevels<Length>
        private var pages = 0

        /// A bucket without pairs, in a file with pages of `pageSize` bytes.
        public init(pageSize: Int) {
            self.pageSize = pageSize
            branches = BranchLevels(pageSize: pageSize)
        }

        /// Adds a pair; the order is the file's.
        public mutating func addPair(keyCount: Int, valueCount: Int) {
            let size = PageHeader.elementSize + keyCount + valueCount
            switch leaf.place(ofElement: size, pageSize: pageSize) {
            case .here: break
            case .next: endLeaf()
            case .alone:
                if leaf.count > 0 { endLeaf() }
                endPage(PageHeader.size + size, Length(count: keyCount))
                return
            }
            if leaf.count == 0 { firstKey = Length(count: keyCount) }
            leaf.add(size)
        }

        /// The bucket's pages, and the bytes of its description in the root bucket.
        fileprivate consuming func end(mayBeInline: Bool) -> (pages: Int, valueCount: Int) {
            if branches.isEmpty {
                if mayBeInline, leaf.isInline(pageSize: pageSize) { return (0, 16 + leaf.size) }
                return (LeafShape.pages(leaf.size, pageSize: pageSize), 16)
            }
            if leaf.count > 0 { endLeaf() }
            var pages = pages
            let size = pageSize
            _ = branches.finish { children in
                pages += LeafShape.pages(BranchLevels.size(of: children), pageSize: size)
                return 0
            }
            return (pages, 16)
        }

        private mutating func endLeaf() {
            endPage(leaf.size, firstKey)
            leaf = LeafShape()
        }

        private mutating func endPage(_ size: Int, _ key: Length) {
            pages += LeafShape.pages(size, pageSize: pageSize)
            var more = 0
            let pageSize = pageSize
            branches.push(key, 0) { children in
                more += LeafShape.pages(BranchLevels.size(of: children), pageSize: pageSize)
                return 0
            }
            pages += more
        }
    }

    /// A key of which only the length is known.
    fileprivate struct Length: PageKey {
        var count: Int
    }

    private let pageSize: Int
    private var root: Bucket
    private var pages = 0

    /// A file without buckets.
    public init(pageSize: Int) {
        self.pageSize = pageSize
        root = Bucket(pageSize: pageSize)
    }

    /// Adds a bucket; the order is the file's.
    public mutating func add(_ bucket: Bucket, nameCount: Int) {
        let (pages, valueCount) = bucket.end(mayBeInline: true)
        self.pages += pages
        root.addPair(keyCount: nameCount, valueCount: valueCount)
    }

    /// Bytes of the file.
    public var sizeBytes: Int64 {
        // Two meta pages and the free list.
        Int64(3 + pages + root.end(mayBeInline: false).pages) * Int64(pageSize)
    }
}
