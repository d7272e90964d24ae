import Bolt
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

/// A bucket in memory: what goes into a file and what has to come out of it.
struct Bucket: Equatable {
    var name: String
    var sequence: UInt64 = 0
    var pairs: [Pair] = []

    struct Pair: Equatable {
        var key: [UInt8]
        var value: [UInt8]
    }
}

/// A new bbolt file at `path` with these buckets, still open.
@discardableResult
func write(_ buckets: [Bucket], to path: FilePath, pageSize: Int = 4096) throws -> (FileDescriptor, BoltMeta) {
    let file = try FileDescriptor.open(
        path,
        .readWrite,
        options: [.create, .exclusiveCreate],
        permissions: [.ownerReadWrite]
    )
    let writer = BoltWriter(file, pageSize: pageSize)
    for bucket in buckets {
        try writer.beginBucket(Array(bucket.name.utf8), sequence: bucket.sequence)
        for pair in bucket.pairs { try writer.addPair(key: pair.key, value: pair.value) }
    }
    return (file, try writer.finish())
}

/// Everything in a file, and what is wrong with it.
func read(_ file: FileDescriptor, origin: BoltFile.Origin = .stream) throws -> (buckets: [Bucket], walk: BoltWalk) {
    let length = Int(try file.seek(offset: 0, from: .end))
    guard case .file(let bolt) = try BoltFile.open(file, length: length, origin: origin) else {
        throw Errno.invalidArgument
    }
    let walk = BoltWalk(bolt)
    var buckets = [Bucket]()
    while true {
        switch try walk.next() {
        case .bucket:
            buckets.append(Bucket(name: String(decoding: walk.bucket ?? [], as: UTF8.self), sequence: walk.sequence))
        case .pair:
            var value = [UInt8]()
            try walk.forEachPieceOfValue { value += $0 }
            buckets[buckets.count - 1].pairs.append(Bucket.Pair(key: Array(walk.key), value: value))
        case .end: return (buckets, walk)
        }
    }
}

/// Keys and values of the sizes at which pages and buffers end.
func awkwardBuckets(pageSize: Int) -> [Bucket] {
    func key(_ number: Int, _ size: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) }
            + [UInt8](repeating: UInt8(number & 0xFF), count: size)
    }
    func value(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) } }
    let sizes =
        [0, 1, pageSize / 4, pageSize / 2, pageSize - 57, pageSize - 56, pageSize - 55, pageSize, 3 * pageSize + 5]
        + [65535, 65536, 65537, 1_400_000]
    return [
        Bucket(name: "empty"),
        Bucket(name: "large keys", pairs: (0..<40).map { Bucket.Pair(key: key($0, 20_000 + $0), value: value($0)) }),
        Bucket(
            name: "longest key",
            sequence: 7,
            pairs: [Bucket.Pair(key: [UInt8](repeating: 0xFF, count: 32768), value: [1])]
        ),
        Bucket(name: "many", pairs: (0..<6_000).map { Bucket.Pair(key: key($0, $0 % 9), value: value($0 % 40)) }),
        Bucket(name: "sizes", pairs: sizes.enumerated().map { Bucket.Pair(key: key($0, 0), value: value($1)) }),
    ]
}

@Suite("A bbolt file") struct BoltFileTests {
    @Test("comes back as it was written, with pages of every size", arguments: [1024, 4096, 16384, 65536, 1 << 20])
    func roundTrip(pageSize: Int) throws {
        let directory = try TemporaryDirectory()
        let buckets = awkwardBuckets(pageSize: pageSize)
        let (file, meta) = try write(buckets, to: directory / "db", pageSize: pageSize)
        defer { try? file.close() }  // ignored: the file is thrown away
        let result = try read(file)
        #expect(result.walk.faults.lines == [])
        #expect(result.walk.freePages == 0)
        #expect(meta.pageSize == pageSize)
        #expect(result.buckets == buckets)
    }

    @Test("may have no bucket at all")
    func empty() throws {
        let directory = try TemporaryDirectory()
        let (file, meta) = try write([], to: directory / "db")
        defer { try? file.close() }  // ignored: the file is thrown away
        let result = try read(file)
        #expect(result.walk.faults.isEmpty)
        #expect(result.buckets == [])
        #expect(meta.pageCount == 4)
    }

    @Test("is the same whenever it is written from the same pairs")
    func deterministic() throws {
        let directory = try TemporaryDirectory()
        for name in ["a", "b"] { try write(awkwardBuckets(pageSize: 4096), to: directory / name).0.close() }
        try Shell.output("cmp '\(directory / "a")' '\(directory / "b")'")
    }

    @Test("takes only keys that ascend and that fit")
    func refusals() throws {
        let directory = try TemporaryDirectory()
        for (number, keys) in [[[2], [1]], [[1], [1]], [[]], [[UInt8](repeating: 1, count: 32769)]].enumerated() {
            let pairs = keys.map { Bucket.Pair(key: $0.map { UInt8($0) }, value: []) }
            #expect(throws: BoltError.self) {
                try write([Bucket(name: "b", pairs: pairs)], to: directory / "\(number)")
            }
        }
        #expect(throws: BoltError.self) { try write([Bucket(name: "b"), Bucket(name: "a")], to: directory / "names") }
        #expect(throws: BoltError.self) { try write([Bucket(name: "")], to: directory / "nameless") }
    }

    @Test("says where the system refused", .enabled(if: access("/dev/full", W_OK) == 0))
    func noSpace() throws {
        let file = try FileDescriptor.open("/dev/full", .readWrite)
        defer { try? file.close() }  // ignored: nothing was written
        let writer = BoltWriter(file, pageSize: 4096)
        try writer.beginBucket([1])
        let error = #expect(throws: BoltError.self) { _ = try writer.finish() }
        #expect(error?.cause == .system(.noSpace, offset: 12288))
        #expect(error?.exitStatus == .cantCreate)
    }

    @Test("may store a list of free pages, however long it is", arguments: [0, 100, 70_000])
    func freeList(count: Int) throws {
        let directory = try TemporaryDirectory()
        let buckets = [Bucket(name: "b", pairs: [Bucket.Pair(key: [1], value: [2])])]
        let written = try write(buckets, to: directory / "db", pageSize: 1024)
        let file = written.0
        defer { try? file.close() }  // ignored: the file is thrown away
        // Behind the data come `count` free pages, and behind them the list; page 2 had the empty list and is free too.
        let free = [2] + (0..<count).map { Int(written.1.pageCount) + $0 }
        let isLong = free.count >= 0xFFFF
        let size = 16 + (isLong ? 8 : 0) + 8 * free.count
        let first = Int(written.1.pageCount) + count
        let pages = (size + 1023) / 1024
        var list = number(UInt64(first)) + number(UInt16(0x10)) + number(isLong ? 0xFFFF : UInt16(free.count))
        list += number(UInt32(pages - 1))
        if isLong { list += number(UInt64(free.count)) }
        for page in free { list += number(UInt64(page)) }
        list += [UInt8](repeating: 0, count: pages * 1024 - size)
        try file.writeAll(toAbsoluteOffset: Int64(first * 1024), list)
        try setMeta(file, pageSize: 1024) { meta in
            meta.freeList = UInt64(first)
            meta.pageCount = UInt64(first + pages)
        }
        let result = try read(file)
        #expect(result.walk.faults.lines == [])
        #expect(result.buckets == buckets)
        #expect(result.walk.freePages == count + 1)
        // Without a list the free pages are those that nothing refers to, the list's own among them.
        try setMeta(file, pageSize: 1024) { $0.freeList = BoltMeta.noFreeList }
        let unlisted = try read(file)
        #expect(unlisted.walk.faults.lines == [])
        #expect(unlisted.walk.freePages == count + 1 + pages)
    }

    @Test("keeps at most 100 faults and counts the others")
    func manyFaults() throws {
        let directory = try TemporaryDirectory()
        let pairs = (0..<1000).map { Bucket.Pair(key: number(UInt32($0).byteSwapped), value: []) }
        let (file, _) = try write([Bucket(name: "b", pairs: pairs)], to: directory / "db")
        defer { try? file.close() }  // ignored: the file is thrown away
        // The first leaf is page 3: the keys of 150 elements become empty.
        for element in 0..<150 {
            try file.writeAll(toAbsoluteOffset: Int64(3 * 4096 + 16 + 16 * element + 8), number(UInt32(0)))
        }
        let faults = try read(file).walk.faults
        #expect(faults.first.count == 100)
        #expect(faults.count == 150)
        #expect(faults.lines.last == "and 50 more faults")
    }

    @Test("whose pages all claim each other is refused in no time")
    func overlappingPages() throws {
        let directory = try TemporaryDirectory()
        let pairs = (0..<20_000).map {
            Bucket.Pair(key: number(UInt32($0).byteSwapped), value: [UInt8](repeating: 0, count: 500))
        }
        let (file, meta) = try write([Bucket(name: "b", pairs: pairs)], to: directory / "db", pageSize: 1024)
        defer { try? file.close() }  // ignored: the file is thrown away
        for page in 3..<meta.pageCount {
            let rest = UInt32(meta.pageCount - page - 1)
            try file.writeAll(toAbsoluteOffset: Int64(page * 1024 + 12), number(rest))
        }
        #expect(try read(file).walk.faults.count > 0)
    }

    private func number<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    /// Changes both meta pages.
    private func setMeta(_ file: FileDescriptor, pageSize: Int, _ change: (inout BoltMeta) -> Void) throws {
        for page in 0..<2 {
            var bytes = [UInt8](repeating: 0, count: 64)
            _ = try bytes.withUnsafeMutableBytes {
                try file.read(fromAbsoluteOffset: Int64(page * pageSize + 16), into: $0)
            }
            func field(_ offset: Int) -> UInt64 {
                bytes.withUnsafeBytes {
                    UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                }
            }
            var meta = BoltMeta(
                pageSize: pageSize,
                root: field(16),
                sequence: field(24),
                freeList: field(32),
                pageCount: field(40),
                transaction: field(48)
            )
            change(&meta)
            try file.writeAll(toAbsoluteOffset: Int64(page * pageSize + 16), meta.encoded)
        }
    }
}
