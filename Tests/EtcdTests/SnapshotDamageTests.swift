import Etcd
import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

/// One way to break a snapshot whose digest is right all the same, and what is to be said about it.
struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let expected: String
    let apply: @Sendable (inout SnapshotImage) -> Void

    init(_ name: String, _ expected: String, _ apply: @escaping @Sendable (inout SnapshotImage) -> Void) {
        testDescription = name
        self.expected = expected
        self.apply = apply
    }
}

extension SnapshotImage {
    /// The branch page of the bucket `key`, its first child, and the root bucket's leaf.
    fileprivate var branch: Int { page(root(ofBucket: "key")) }
    fileprivate var child: UInt64 { self[u64: element(branch, 0) + 8] }
    fileprivate var leaf: Int { page(child) }
    fileprivate var rootLeaf: Int { page(rootPage) }

    /// Where the page inside the value of an inline bucket starts.
    fileprivate func inline(_ name: String) -> Int { bucket(name) + 16 }

    /// Makes the free list of the file: the given pages, in page `id`, which nothing else may use.
    fileprivate mutating func setFreeList(page id: UInt64, _ free: [UInt64], flags: UInt16 = 0x10) {
        let start = page(id)
        self[u64: start] = id
        self[u16: start + 8] = flags
        self[u16: start + 10] = UInt16(free.count)
        self[u32: start + 12] = 0
        for (index, page) in free.enumerated() { self[u64: start + 16 + 8 * index] = page }
        setMeta { $0[u64: $1 + 32] = id }
    }
}

@Suite("A damaged snapshot whose digest is right") struct SnapshotDamageTests {
    static let damages: [Damage] = [
        // Pages
        Damage("page number", "the page calls itself page 99") { $0[u64: $0.leaf] = 99 },
        Damage("two types", "the type 0x3 has no place in the tree") { $0[u16: $0.leaf + 8] = 3 },
        Damage("no type", "the type 0x0 has no place in the tree") { $0[u16: $0.leaf + 8] = 0 },
        Damage("unknown type", "the type 0x40 has no place in the tree") { $0[u16: $0.leaf + 8] = 0x40 },
        Damage("leaf said to be a branch", "the key of element 0 is inside the element table") {
            $0[u16: $0.leaf + 8] = 1
        },
        Damage("table longer than the page", "a table of 60000 elements is longer than the page") {
            $0[u16: $0.leaf + 10] = 60000
        },
        Damage("one element too many", "is inside the element table") { $0[u16: $0.leaf + 10] += 1 },
        Damage("empty branch", "a branch page without a child") { $0[u16: $0.branch + 10] = 0 },
        Damage("overflow past the end", "the page goes on for 4294967295 pages, past the last page") {
            $0[u32: $0.leaf + 12] = .max
        },
        Damage("overflow into another page", "which continues it, is in use elsewhere") { image in
            image[u32: image.leaf + 12] = 1
            image[u64: image.element(image.branch, 1) + 8] = image.child + 1
            image[u64: image.page(image.child + 1)] = image.child + 1
        },
        // Elements
        Damage("element outside the page", "reaches past the page") { $0[u32: $0.element($0.leaf, 1) + 4] = 1 << 20 },
        Damage("element inside the table", "the key of element 1 is inside the element table") {
            $0[u32: $0.element($0.leaf, 1) + 4] = 16
        },
        Damage("empty key", "element 1 has a key of 0 bytes") { $0[u32: $0.element($0.leaf, 1) + 8] = 0 },
        Damage("key too long", "element 1 has a key of 40000 bytes") { $0[u32: $0.element($0.leaf, 1) + 8] = 40000 },
        Damage("value of 2^31 bytes", "a value of 2147483648 bytes, reaches past the page") {
            $0[u32: $0.element($0.leaf, 1) + 12] = 1 << 31
        },
        Damage("value of 2^32-1 bytes", "a value of 4294967295 bytes, reaches past the page") {
            $0[u32: $0.element($0.leaf, 1) + 12] = .max
        },
        Damage("element flags", "element 1 has the flags 0x2") { $0[u32: $0.element($0.leaf, 1)] = 2 },
        Damage("keys swapped", "the key of element 1 is not above the one before it") { image in
            image.bytes.swapAt(image.leafKey(image.leaf, 0).lowerBound + 7, image.leafKey(image.leaf, 1).lowerBound + 7)
        },
        Damage("duplicate key", "the key of element 1 is not above the one before it") { image in
            let key = Array(image.bytes[image.leafKey(image.leaf, 0)])
            image.bytes.replaceSubrange(image.leafKey(image.leaf, 1), with: key)
        },
        // The tree
        Damage("child is the page itself", "which is in use elsewhere") {
            $0[u64: $0.element($0.branch, 0) + 8] = $0.root(ofBucket: "key")
        },
        Damage("child is the root page", "which is in use elsewhere") {
            $0[u64: $0.element($0.branch, 0) + 8] = $0.rootPage
        },
        Damage("two children are one page", "which is in use elsewhere") {
            $0[u64: $0.element($0.branch, 1) + 8] = $0.child
        },
        Damage("child is a meta page", "element 0 refers to page 1, but pages 2 to 12 hold the tree") {
            $0[u64: $0.element($0.branch, 0) + 8] = 1
        },
        Damage("child past the end", "element 0 refers to page 12, but pages 2 to 12 hold the tree") {
            $0[u64: $0.element($0.branch, 0) + 8] = 12
        },
        Damage("child is page 2^64-1", "element 0 refers to page 18446744073709551615") {
            $0[u64: $0.element($0.branch, 0) + 8] = .max
        },
        Damage("branch key raised", "is below the key that the parent has for the page") {
            $0.bytes[$0.element($0.branch, 1) + Int($0[u32: $0.element($0.branch, 1)]) + 7] += 1
        },
        Damage("branch key lowered", "belongs to a later page by the parent's keys") {
            $0.bytes[$0.element($0.branch, 1) + Int($0[u32: $0.element($0.branch, 1)]) + 7] -= 1
        },
        Damage("root of a bucket", "refers to page 4000") { $0[u64: $0.bucket("key")] = 4000 },
        Damage("bucket of 8 bytes", "is a bucket of 8 bytes; it takes 16 at least") {
            $0.setValueSize(ofBucket: "key", 8)
        },
        Damage("pair in the root bucket", "of the root bucket is not a bucket") {
            $0[u32: $0.element($0.rootLeaf, 0)] = 0
        },
        Damage("bucket in a bucket", "element 0 is a bucket inside a bucket, which is not supported") {
            $0[u32: $0.element($0.leaf, 0)] = 1
        },
        Damage("inline bucket that is a branch", "is not a leaf page") { $0[u16: $0.inline("meta") + 8] = 1 },
        Damage("inline bucket with a number", "is not a leaf page") { $0[u64: $0.inline("meta")] = 5 },
        Damage("inline bucket with overflow", "is not a leaf page") { $0[u32: $0.inline("meta") + 12] = 1 },
        Damage("inline table too long", "has 5000 elements, more than fit") { $0[u16: $0.inline("meta") + 10] = 5000 },
        Damage("inline element outside", "reaches past the page") {
            $0[u32: $0.element($0.inline("meta"), 0) + 12] = 4000
        },
        // Meta pages
        Damage("magic number", "page 0: the meta page cannot be used: the magic number is") { $0.bytes[16] ^= 1 },
        Damage("format version", "page 1: the meta page cannot be used: the format version is 3") { image in
            image.setMeta { if $1 > 4096 { $0[u32: $1 + 4] = 3 } }
        },
        Damage("meta checksum", "page 1: the meta page cannot be used: the checksum is wrong") {
            $0.bytes[4096 + 16 + 60] ^= 1
        },
        Damage("both meta pages", "and there is no meta page 1 at any page size") {
            $0.bytes[16 + 60] ^= 1; $0.bytes[4096 + 16 + 60] ^= 1
        },
        Damage("meta page of another type", "page 0: the meta page cannot be used: its type is 0x2") { $0[u16: 8] = 2 },
        Damage("meta page with another number", "page 1: the meta page cannot be used: it calls itself page 7") {
            $0[u64: 4096] = 7
        },
        Damage("page size 0", "a page size of 0 bytes is impossible") { image in image.setMeta { $0[u32: $1 + 8] = 0 }
        },
        Damage("page size 4095", "a page size of 4095 bytes is impossible") { image in
            image.setMeta { $0[u32: $1 + 8] = 4095 }
        },
        Damage("page size 2^31", "a page size of 2147483648 bytes is impossible") { image in
            image.setMeta { $0[u32: $1 + 8] = 1 << 31 }
        },
        Damage("page size 8192", "page 1: the meta page cannot be used") { image in
            image.setMeta { $0[u32: $1 + 8] = 8192 }
        },
        Damage("page size of one meta page", "its page size is 8192, that of meta page 0 4096") { image in
            image.setMeta { if $1 > 4096 { $0[u32: $1 + 8] = 8192 } }
        },
        Damage("root page past the end", "the meta page refers to page 12") { image in
            image.setMeta { $0[u64: $1 + 16] = 12 }
        },
        Damage("root page 0", "the meta page refers to page 0") { image in image.setMeta { $0[u64: $1 + 16] = 0 } },
        Damage("one page too many", "the file is too short: 13 pages") { image in
            image.setMeta { $0[u64: $1 + 40] += 1 }
        },
        Damage("one page too few", "11 pages of 4096 bytes are 45056 bytes, but the database has 49152") { image in
            image.setMeta { $0[u64: $1 + 40] -= 1 }
        },
        Damage("2^64-1 pages", "the file is too short: 18446744073709551615 pages") { image in
            image.setMeta { $0[u64: $1 + 40] = .max }
        },
        Damage("meta pages of one transaction", "the first is the second's successor") { image in
            image.setMeta { $0[u64: $1 + 48] = 5 }
        },
        Damage("meta pages that differ", "the meta pages describe different trees") { image in
            image.setMeta { if $1 > 4096 { $0[u64: $1 + 24] = 1 } }
        },
        // The free list
        Damage("free list in page 1", "the free list is said to be in page 1") { image in
            image.setMeta { $0[u64: $1 + 32] = 1 }
        },
        Damage("free list past the end", "the free list is said to be in page 12") { image in
            image.setMeta { $0[u64: $1 + 32] = 12 }
        },
        Damage("free list is a leaf", "the free list's page has the type 0x2") { image in
            let leaf = image.child; image.setMeta { $0[u64: $1 + 32] = leaf }
        },
        Damage("free list with another number", "the free list's page calls itself page 5") {
            $0.setFreeList(page: 3, []); $0[u64: $0.page(3)] = 5
        },
        Damage("free list longer than its page", "a free list of 600 pages is longer than its page") {
            $0.setFreeList(page: 3, []); $0[u16: $0.page(3) + 10] = 600
        },
        Damage("free list of 2^64-1 pages", "a free list of 18446744073709551615 pages") {
            $0.setFreeList(page: 3, [.max]); $0[u16: $0.page(3) + 10] = 0xFFFF
        },
        Damage("free list with overflow", "the free list goes on for 100 pages") {
            $0.setFreeList(page: 3, []); $0[u32: $0.page(3) + 12] = 100
        },
        Damage("free page twice", "the free list names page 10 twice") { $0.setFreeList(page: 3, [10, 10, 11]) },
        Damage("free page past the end", "the free list names page 12 of 12") {
            $0.setFreeList(page: 3, [10, 11, 12])
        },
        Damage("free meta page", "the free list names page 1 of 12") { $0.setFreeList(page: 3, [1, 10, 11]) },
        Damage("free list names itself", "the free list names page 3, which is its own") {
            $0.setFreeList(page: 3, [3, 10, 11])
        },
        Damage("free page in use", "which is in the free list") { $0.setFreeList(page: 3, [$0.child, 10, 11]) },
        Damage("page neither used nor free", "2 pages are neither used nor free: 4, 11") { image in
            image.setFreeList(page: 3, [10])
        },
        // etcd's own data
        Damage("revision of 16 bytes", "is not a revision of etcd") { image in
            image[u32: image.element(image.leaf, 1) + 8] = 16
        },
        Damage("revision without _", "is not a revision of etcd") {
            $0.bytes[$0.leafKey($0.leaf, 1).lowerBound + 8] = 0x2D
        },
        Damage("negative revision", "is not a revision of etcd") { image in
            let last = image.page(image[u64: image.element(image.branch, 1) + 8])
            image.bytes[image.leafKey(last, Int(image[u16: last + 10]) - 1).lowerBound] = 0x80
        },
        Damage("change that cannot be read", "cannot be read") { $0.bytes[$0.leafKey($0.leaf, 0).upperBound] = 0xFF },
        Damage("consistent_index of 7 bytes", "'consistent_index' has 7 bytes, not 8") { image in
            image[u32: image.element(image.inline("meta"), 1) + 12] = 7
        },
        Damage("member that is no JSON", "cannot be read") {
            $0.bytes[$0.leafKey($0.inline("members"), 0).upperBound] = 0x7C
        },
        Damage("cluster version", "the cluster version cannot be read") {
            $0.bytes[$0.leafKey($0.inline("cluster"), 0).upperBound] = 0x78
        },
        Damage("another program's database", "it has no bucket 'meta'") { $0.bytes[$0.bucket("meta") - 1] = 0x62 },
    ]

    @Test("is refused with a message of its own", arguments: damages)
    func refuse(damage: Damage) throws {
        var image = try SnapshotImage("etcd-3.5.26-auth")
        damage.apply(&image)
        image.seal()
        let inspection = try image.inspect()
        #expect(inspection.status == nil)
        #expect(
            inspection.faults.contains { $0.contains(damage.expected) },
            "'\(damage.expected)' is not among \(inspection.faults)"
        )
    }

    @Test("is reported with every fault and the way to it")
    func several() throws {
        var image = try SnapshotImage("etcd-3.5.26-auth")
        let (branch, leaf) = (image.root(ofBucket: "key"), image.child)
        let root = image.rootPage
        image[u32: image.element(image.leaf, 1) + 8] = 0
        image[u32: image.element(image.leaf, 5) + 12] = 1 << 30
        image[u64: image.element(image.branch, 1) + 8] = 3000
        image.seal()
        #expect(
            try image.inspect().faults
                == [
                    "page \(leaf) (bucket 'key', by way of \(root) > \(branch)): element 1 has a key of 0 bytes",
                    "page \(leaf) (bucket 'key', by way of \(root) > \(branch)): element 5, a key of 17 and a value of "
                        + "1073741824 bytes, reaches past the page",
                    "page \(branch) (bucket 'key', by way of \(root)): element 1 refers to page 3000, "
                        + "but pages 2 to 12 hold the tree",
                ]
        )
    }

    @Test("never crashes or hangs the reader, whatever 10 000 random changes have made of it")
    func mutations() throws {
        let directory = try TemporaryDirectory()
        let original = try SnapshotImage("etcd-3.5.26-auth")
        let file = try FileDescriptor.open(original.write(to: directory / "snapshot.db"), .readWrite)
        defer { try? file.close() }  // ignored: the file is thrown away
        let inspector = SnapshotInspector(cancellation: Cancellation())
        var random = SeededGenerator(seed: 23)
        var refused = 0
        for _ in 0..<10_000 {
            var image = original
            for _ in 0..<Int.random(in: 1...4, using: &random) { image.mutate(using: &random) }
            image.seal()
            try file.resize(to: 0)
            try file.writeAll(toAbsoluteOffset: 0, image.bytes)
            let inspection = try inspector.inspect(file)
            if !inspection.faults.isEmpty { refused += 1 }
            #expect(inspection.faults.isEmpty == (inspection.status != nil))
        }
        // Changes inside values and free pages cannot be seen; most others are.
        #expect(refused > 3000)
    }
}

extension SnapshotImage {
    fileprivate mutating func setValueSize(ofBucket name: String, _ size: UInt32) {
        let root = rootLeaf
        for index in 0..<Int(self[u16: root + 10]) where bytes[leafKey(root, index)].elementsEqual(name.utf8) {
            self[u32: element(root, index) + 12] = size
        }
    }

    /// Changes something that a disk, a cable or a mean person could change.
    mutating func mutate(using random: inout SeededGenerator) {
        let place = Int.random(in: 0..<databaseSize, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 2:
            // A number in a header or in the table of a page.
            let page = place / pageSize * pageSize
            let number = page + 4 * Int.random(in: 0..<64, using: &random)
            self[u32: number] = [0, 1, 0xFFFF, .max, 1 << 31, UInt32(place)].randomElement(using: &random) ?? 0
        case 3:
            let count = min(64, databaseSize - place)
            for other in place..<place + count { bytes[other] = 0 }
        case 4:
            // A page that was written to the wrong place.
            let source = Int.random(in: 0..<databaseSize / pageSize, using: &random) * pageSize
            let target = place / pageSize * pageSize
            bytes.replaceSubrange(target..<target + pageSize, with: Array(bytes[source..<source + pageSize]))
        default:
            setMeta { $0[u64: $1 + 16 + 8 * Int(place % 5)] = UInt64(place % 20) }
        }
    }
}
