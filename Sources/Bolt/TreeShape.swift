/// What a leaf page holds, by sizes: the one place that decides which elements share a page.
///
/// As bbolt splits pages: a leaf has two elements at least, in a page with as many continuing it as they take, so that
/// values of more than half a page do not waste the other half. What is left of the last of these pages is filled up;
/// bbolt, which expects insertions, leaves a tenth; these files are appended to. Source: bbolt `node.go`, `splitIndex`;
/// `internal/common/types.go`, `MinKeysPerPage`.
struct LeafShape: Sendable {
    /// A larger element has a leaf of its own, so that its value need not be held in memory.
    ///
    /// What the leaf wastes of its last page is less than a hundredth.
    private static let sharedSize = 512 << 10

    private(set) var count = 0
    private(set) var size = PageHeader.size

    /// Where an element goes.
    enum Place {
        /// Into this leaf.
        case here
        /// Into the next leaf.
        case next
        /// Into a leaf of its own, after this one.
        case alone
    }

    /// Where an element of `elementSize` bytes goes, the 16 bytes of its description included.
    @inline(__always)
    func place(ofElement elementSize: Int, pageSize: Int) -> Place {
        if PageHeader.size + elementSize > max(Self.sharedSize, pageSize) { return .alone }
        if count < 2 { return .here }
        // 0xFFFF elements would mean something else to a reader.
        let room = Self.pages(size, pageSize: pageSize) * pageSize - size
        return elementSize <= room && count < 0xFFFE ? .here : .next
    }

    @inline(__always)
    mutating func add(_ elementSize: Int) {
        count += 1
        size += elementSize
    }

    /// Whether a bucket of this leaf alone stands inside its bucket's value; bbolt's own limit.
    ///
    /// Source: bbolt `bucket.go`, `inlineable`.
    func isInline(pageSize: Int) -> Bool { size <= pageSize / 4 }

    /// The pages that `size` bytes take.
    @inline(__always)
    static func pages(_ size: Int, pageSize: Int) -> Int { (size + pageSize - 1) / pageSize }
}

/// The first key of a page, or no more than its length.
protocol PageKey: Sendable {
    /// Bytes of the key.
    var count: Int { get }
}

extension [UInt8]: PageKey {}

/// The branch pages above the leaves: a page is handed out as soon as enough of its children are.
struct BranchLevels<Key: PageKey>: Sendable {
    typealias Child = (key: Key, page: UInt64)

    /// Branch pages at one height: one that is being collected, and the full one before it, which is held back so that
    /// no page with a single child is left at the end.
    private struct Level: Sendable {
        var pending: [Child] = []
        var current: [Child] = []
        var size = PageHeader.size
    }

    private let pageSize: Int
    private var levels: [Level] = []

    init(pageSize: Int) { self.pageSize = pageSize }

    /// Whether there is no leaf yet.
    var isEmpty: Bool { levels.isEmpty }

    /// Adds a page that is written, with its first key.
    /// - Parameter write: writes a branch page and gives its number.
    mutating func push(_ key: Key, _ page: UInt64, write: ([Child]) throws -> UInt64) rethrows {
        try push(key, page, height: 0, write)
    }

    /// Writes what is left and gives the page that the tree starts with.
    /// - Precondition: there is a leaf.
    mutating func finish(write: ([Child]) throws -> UInt64) rethrows -> UInt64 {
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
                try handOut(levels[height].pending, height, write)
            }
            try handOut(levels[height].current, height, write)
            height += 1
        }
    }

    /// Bytes of a branch page with these children.
    static func size(of children: [Child]) -> Int {
        children.reduce(PageHeader.size) { $0 + PageHeader.elementSize + $1.key.count }
    }

    private mutating func push(_ key: Key, _ page: UInt64, height: Int, _ write: ([Child]) throws -> UInt64) rethrows {
        if levels.count == height { levels.append(Level()) }
        let size = PageHeader.elementSize + key.count
        let count = levels[height].current.count
        if count >= 2, levels[height].size + size > pageSize || count == 0xFFFE {
            if !levels[height].pending.isEmpty { try handOut(levels[height].pending, height, write) }
            levels[height].pending = levels[height].current
            levels[height].current = []
            levels[height].size = PageHeader.size
        }
        levels[height].current.append((key, page))
        levels[height].size += size
    }

    private mutating func handOut(_ children: [Child], _ height: Int, _ write: ([Child]) throws -> UInt64) rethrows {
        try push(children[0].key, write(children), height: height + 1, write)
    }
}
