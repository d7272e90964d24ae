import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("The index of an archive") struct ArchiveIndexTests {
    let directory: TemporaryDirectory
    var file: FilePath { directory / "t.files.zst" }

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func writeIndex(_ records: [FileRecord]) throws {
        let descriptor = try create(file)
        defer { try? descriptor.close() }
        let frames = try FrameWriter(
            to: descriptor,
            path: file,
            level: .fixed(1),
            jobs: 1,
            cancellation: Cancellation()
        )
        defer { frames.stop() }
        let writer = ArchiveIndexWriter(to: frames, path: file)
        for record in records { try writer.add(record) }
        _ = try writer.finish()
    }

    private func writeText(_ lines: [String]) throws {
        try writeFrames([Array(lines.map { $0 + "\n" }.joined().utf8)], to: file)
    }

    private let head = ["#mtree", "# node-recovery index 1"]
    private static let root = ". type=dir mode=00755 uid=0 gid=0 time=1.000000002"
    private static let digest = String(repeating: "a1", count: 32)

    /// A record with anything in it that a file can have.
    private func anyRecord(_ path: TreePath, after earlier: TreePath?, _ random: inout SeededGenerator) -> FileRecord {
        let kind = FileKind.allCases.filter { $0 != .socket }.randomElement(using: &random)!
        func someBytes(_ count: ClosedRange<Int>) -> [UInt8] {
            (0..<Int.random(in: count, using: &random)).map { _ in UInt8.random(in: 1...255, using: &random) }
        }
        var record = FileRecord(
            path: path,
            kind: kind,
            mode: UInt32.random(in: 0...0o7777, using: &random),
            uid: UInt32.random(in: 0...(.max), using: &random),
            gid: UInt32.random(in: 0...(.max), using: &random),
            size: kind == .regular ? Int64.random(in: 0...(.max), using: &random) : 0,
            modified: FileTime(
                seconds: Int64.random(in: -5_000_000_000...50_000_000_000, using: &random),
                nanoseconds: Int32.random(in: 0...999_999_999, using: &random)
            )
        )
        // A negative number of no whole seconds cannot be told from a positive one, and does not exist in the kernel.
        if kind == .symbolicLink { record.linkTarget = someBytes(1...300) }
        if kind == .characterDevice || kind == .blockDevice {
            record.device = DeviceNumber(
                major: UInt32.random(in: 0...(.max), using: &random),
                minor: UInt32.random(in: 0...(.max), using: &random)
            )
        }
        if let earlier, kind != .directory, Bool.random(using: &random) { record.hardLink = earlier }
        if kind == .regular, record.hardLink == nil {
            record.digest = SHA256Digest(bytes: random.bytes(32)).map { .whole($0) }
        }
        if Bool.random(using: &random) {
            record.hint = ChangeHint(inode: random.next(), changeTime: FileTime(seconds: 1, nanoseconds: 999))
        }
        for name in Set((0..<Int.random(in: 0...3, using: &random)).map { _ in someBytes(1...20) }) {
            let value = (0..<Int.random(in: 0...50, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            record.attributes.append(ExtendedAttribute(name: name, value: value))
        }
        record.attributes.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return record
    }

    @Test("gives every record back, whatever bytes are in it", arguments: 0..<3)
    func roundTrip(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var paths: Set<TreePath> = []
        while paths.count < 400 {
            let bytes = (0..<Int.random(in: 1...40, using: &random)).map { _ in
                UInt8.random(in: 1...255, using: &random)
            }
            if let path = TreePath(validating: bytes) { paths.insert(path) }
        }
        var records = [FileRecord]()
        for path in paths.sorted() {
            let earlier = records.last { $0.kind != .directory && !$0.path.isRoot }?.path
            records.append(anyRecord(path, after: earlier, &random))
        }
        try writeIndex(records)
        #expect(try indexRecords(file) == records)
    }

    @Test("reads like this")
    func text() throws {
        var record = FileRecord(
            path: TreePath("etc/a b"),
            kind: .regular,
            mode: 0o4755,
            uid: 0,
            gid: 5,
            size: 12,
            modified: FileTime(seconds: 1_700_000_000, nanoseconds: 5),
            attributes: [ExtendedAttribute(name: Array("user.x".utf8), value: [1, 2, 3, 4])],
            digest: SHA256Digest(hex: Self.digest).map { .whole($0) },
            hint: ChangeHint(inode: 77, changeTime: FileTime(seconds: 1_700_000_001, nanoseconds: 0))
        )
        try writeIndex([record])
        #expect(
            try Shell.output("zstd -dc \(file)") == """
                #mtree
                # node-recovery index 1
                ./etc/a\\040b type=file mode=04755 uid=0 gid=5 size=12 time=1700000000.000000005 \
                sha256digest=\(Self.digest) inode=77 ctime=1700000001.000000000 xattr.user.x=AQIDBA==
                # end 1

                """
        )
        record.attributes = []
        try writeIndex([record])
        #expect(try Shell.output("zstd -dc \(file) | bsdtar -tf - 2>/dev/null; true") == "./etc/a b\n")
    }

    @Test("has a hundred thousand lines without ado")
    func many() throws {
        let records = (0..<20_000).map { number in
            FileRecord(
                path: TreePath.root.appending(Array("f\(number + 100_000)".utf8)),
                kind: .regular,
                mode: 0o644,
                uid: 0,
                gid: 0,
                size: 5,
                modified: FileTime(seconds: 1, nanoseconds: 2),
                digest: SHA256Digest(hex: Self.digest).map { .whole($0) }
            )
        }
        try writeIndex(records)
        #expect(try indexRecords(file) == records)
    }

    @Test(
        "is refused with the line when that is not exactly what is written",
        arguments: [
            "./x type=file mode=00644 uid=0 gid=0 size=1 time=1.000000000 sha256digest=\(digest) color=red",
            "./x type=file mode=00644 uid=0 gid=0 size=1 time=1.000000000",
            "./x type=file mode=00644 gid=0 uid=0 size=1 time=1.000000000 sha256digest=\(digest)",
            "./x type=file mode=0644 uid=0 gid=0 size=1 time=1.000000000 sha256digest=\(digest)",
            "./x type=file mode=00644 uid=0 gid=0 size=01 time=1.000000000 sha256digest=\(digest)",
            "./x type=file mode=00644 uid=0 gid=0 size=99999999999999999999 time=1.000000000 sha256digest=\(digest)",
            "./x type=file mode=00644 uid=4294967296 gid=0 size=1 time=1.000000000 sha256digest=\(digest)",
            "./x type=file mode=00644 uid=0 gid=0 size=1 time=1.0 sha256digest=\(digest)",
            "./x type=file mode=00644 uid=0 gid=0 size=1 time=-0.000000000 sha256digest=\(digest)",
            "./x type=file mode=00644 uid=0 gid=0 size=1 time=1.000000000 sha256digest=\(digest.dropLast())",
            "./x type=file mode=00644 uid=0 gid=0 size=1 time=1.000000000 sha256digest=\(digest.dropLast())G",
            "./../x type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./a//x type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./a/./x type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./a/.. type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./a/ type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./ type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "/x type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "x type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./a\\000b type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./a\\141b type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./a\\4 type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./a\\777 type=dir mode=00644 uid=0 gid=0 time=1.000000000",
            "./x type=socket mode=00644 uid=0 gid=0 time=1.000000000",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 ",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 inode=5",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 xattr.=AAAA",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 xattr.a=AAA",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 xattr.a=AB==",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 xattr.a=AA==AAAA",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 xattr.b= xattr.a=",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 xattr.a= xattr.a=",
            "./x type=fifo mode=00644 uid=0 gid=0 time=1.000000000 hardlink=./y",
            "./x type=dir mode=00644 uid=0 gid=0 time=1.000000000 hardlink=./a",
            "./x type=link mode=00644 uid=0 gid=0 time=1.000000000 link=",
            "./x type=link mode=00644 uid=0 gid=0 time=1.000000000",
            "./x type=char mode=00644 uid=0 gid=0 time=1.000000000 device=linux,1",
            root, "", "# comment", "# end 2", "# end 01", "# end 1 ",
        ]
    )
    func refused(line: String) throws {
        try writeText(head + [Self.root, line, "# end 2"])
        let error = try #require(throws: ArchiveError.self) { try indexRecords(file) }
        #expect(error.exitStatus == .dataError)
        #expect(error.summary.hasPrefix("could not read line 4 of the index '\(file)': "))
    }

    @Test("is refused when it is not complete, or more than complete, or of another version")
    func incomplete() throws {
        let end = "# end 1"
        for lines in [
            [], head, head + [Self.root], head + [end], head + [Self.root, "# end 2"],
            head + [Self.root, end, "more"], ["#mtree", "# node-recovery index 2", Self.root, end], [Self.root, end],
        ] {
            try writeText(lines)
            #expect(throws: ArchiveError.self) { try indexRecords(file) }
        }
        try writeText(head + [Self.root, end])
        #expect(try indexRecords(file).count == 1)
    }

    @Test("is refused when its files are not in walking order")
    func order() throws {
        let dir = " type=dir mode=00755 uid=0 gid=0 time=1.000000002"
        try writeText(head + ["./a.b\(dir)", "./a/b\(dir)", "# end 2"])
        let error = try #require(throws: ArchiveError.self) { try indexRecords(file) }
        #expect(error.summary.hasSuffix("'a/b' is out of order or listed twice"))
    }

    @Test("never crashes the reader, and what it accepts is what would be written", arguments: 0..<5)
    func mutations(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var good = [UInt8]()
        var earlier: TreePath?
        for name in ["a", "b", "c", "d"] {
            let path = TreePath.root.appending(Array(name.utf8))
            let record = anyRecord(path, after: earlier, &random)
            if record.kind != .directory { earlier = path }
            IndexFormat.append(record, to: &good)
        }
        for _ in 0..<1000 {
            var bad = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bad.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bad[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bad.remove(at: place)
                case 2: bad.insert(bad[Int.random(in: 0..<bad.count, using: &random)], at: place)
                default: bad.removeSubrange(place..<min(place + 5, bad.count))
                }
                if bad.isEmpty { break }
            }
            for line in bad.split(separator: 0x0A) {
                let record = try? Array(line).withUnsafeBufferPointer { bytes in
                    var parser = IndexLineParser(bytes)
                    return try parser.record()
                }
                guard let record else { continue }
                var again = [UInt8]()
                IndexFormat.append(record, to: &again)
                #expect(again.dropLast() == line)
            }
        }
    }
}
