internal import Files

/// Digests the contents of many small files at once, see `SHA256Batch`, and gives everything back in order.
///
/// Whoever has files hands over each as an item: with content to be digested, which it puts into ``room(for:_:)``, or
/// as it is. Items come back, content and digest beside those that have one, as soon as the room or ``mostItems`` is
/// used up and at the end. Memory: ``size`` bytes.
struct ContentBatch<Item>: ~Copyable {
    /// Takes an item back; the content is valid during the call only.
    typealias Deliver = (_ item: Item, _ content: UnsafeRawBufferPointer?, _ digest: ContentDigest?) throws -> Void

    private static var size: Int { 4 << 20 }
    private static var mostItems: Int { 4096 }

    /// The longest content that is taken.
    ///
    /// A longer one would leave the lanes to itself: whoever has one digests it with a ``ContentHasher``.
    static var largestContent: Int { 1 << 20 }

    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    private var used = 0
    private var items: [(item: Item, content: Range<Int>?)] = []

    init() {}

    deinit { buffer.deallocate() }

    /// Room for a content of at most `count` bytes; `nil` when everything is to be given back first.
    ///
    /// Two calls without ``add(_:contentOf:)`` between them get the same room.
    /// - Precondition: `count` is not above ``largestContent`` by more than one byte, which shows a file that grows.
    mutating func room(for count: Int) -> UnsafeMutableRawBufferPointer? {
        precondition(count <= Self.largestContent + 1)
        guard used + count <= Self.size, items.count < Self.mostItems else { return nil }
        return UnsafeMutableRawBufferPointer(rebasing: buffer[used..<(used + count)])
    }

    /// The same, and gives everything back first when there is too little left.
    mutating func room(for count: Int, _ deliver: Deliver) throws -> UnsafeMutableRawBufferPointer {
        if let room = room(for: count) { return room }
        try flush(deliver)
        return UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
    }

    /// Takes an item whose content are the first `count` bytes of the last room.
    mutating func add(_ item: Item, contentOf count: Int) {
        items.append((item, used..<(used + count)))
        used += count
    }

    /// Takes an item that needs no digest.
    mutating func add(_ item: Item, _ deliver: Deliver) throws {
        guard !items.isEmpty else { return try deliver(item, nil, nil) }
        items.append((item, nil))
        if items.count >= Self.mostItems { try flush(deliver) }
    }

    /// Gives back everything that was taken so far, in the order in which it was; nothing is left when that throws.
    mutating func flush(_ deliver: Deliver) throws {
        let waiting = items
        items.removeAll(keepingCapacity: true)
        used = 0
        let contents = waiting.compactMap(\.content).map { UnsafeRawBufferPointer(rebasing: buffer[$0]) }
        let digests = SHA256Batch.digests(of: contents)
        var next = 0
        for (item, content) in waiting {
            guard content != nil else {
                try deliver(item, nil, nil)
                continue
            }
            try deliver(item, contents[next], .whole(digests[next]))
            next += 1
        }
    }
}
