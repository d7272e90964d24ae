import Files
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("A tar archive") struct TarTests {
    let directory: TemporaryDirectory
    var archive: FilePath { directory / "t.tar.zst" }

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir \(directory.path)/from \(directory.path)/to")
    }

    /// What another tool restores of a record: a hard link shows the attributes of its file.
    private func comparable(_ records: [FileRecord]) -> [FileRecord] {
        records.filter { !$0.path.isRoot }
    }

    private func expectEqual(_ one: [FileRecord], _ other: [FileRecord], _ comment: Comment) {
        #expect(one.map(\.path) == other.map(\.path), comment)
        for (left, right) in zip(one, other) { #expect(left == right, comment) }
    }

    @Test(
        "of every kind of file is restored in full by GNU tar and bsdtar",
        arguments: [
            "tar --zstd --numeric-owner --xattrs --xattrs-include='*' --acls -xpf t.tar.zst -C to",
            "bsdtar --numeric-owner --acls --xattrs -xpSf t.tar.zst -C to",
        ]
    )
    func restoredByOthers(line: String) throws {
        try makeEveryKindOfFile(in: directory / "from")
        let made = try TestArchive(selection(directory / "from"), in: directory.path)
        try made.verify()
        try Shell.output("cd \(directory.path) && \(line)")
        let restored = comparable(try records(directory / "to"))
        var expected = comparable(try records(directory / "from"))
        if line.hasPrefix("bsdtar") {
            // libarchive takes the spelling of GNU tar for the names that need one literally.
            for index in expected.indices {
                expected[index].attributes = expected[index].attributes.map {
                    $0.name == Array("user.with=and%3D".utf8)
                        ? ExtendedAttribute(name: Array("user.with%3Dand%253D".utf8), value: $0.value) : $0
                }
            }
        }
        expectEqual(restored, expected, "\(line)")
        #expect(try Shell.output("zstd -tq \(archive)") == "")
    }

    @Test(
        "that others wrote is read in full",
        arguments: [
            "tar --format=posix --numeric-owner --sparse --xattrs --xattrs-include='*' --acls --sort=name -C from -c .",
            "bsdtar --format pax --numeric-owner --acls --xattrs --options hdrcharset=BINARY -C from -c .",
        ]
    )
    func writtenByOthers(line: String) throws {
        try makeEveryKindOfFile(in: directory / "from", onlyASCII: line.hasPrefix("tar"))
        if line.hasPrefix("bsdtar") {
            // bsdtar writes such a name in a way that it cannot read itself.
            try Shell.output("setfattr -x 'user.with=and%3D' \(directory.path)/from/d/large")
        }
        try Shell.output("cd \(directory.path) && \(line) | zstd -q > t.tar.zst")
        var found: [TreePath: FileRecord] = [:]
        for (entry, content) in try tarEntries(archive) {
            var record = entry.record
            if record.kind == .regular, record.hardLink == nil {
                record.digest = .whole(SHA256Hasher.digest(of: content))
            }
            found[record.path] = record
        }
        let expected = try records(directory / "from", wholeDigests: true)
        #expect(Set(found.keys) == Set(expected.map(\.path)))
        // Which of its names is the first differs from tool to tool.
        let linked = Set(expected.compactMap(\.hardLink))
        for record in expected where record.hardLink == nil && !linked.contains(record.path) {
            var seen = try #require(found[record.path])
            seen.attributes.sort { $0.name.lexicographicallyPrecedes($1.name) }
            #expect(seen == record)
        }
    }

    @Test("keeps a list with ids that libarchive cannot read, for us and for GNU tar", .enabled(if: isRoot))
    func largeIDs() throws {
        try Shell.output("cd \(directory.path)/from && echo x > a && setfacl -m u:3000000000:r,u:5:rw,m::r a")
        try TestArchive(selection(directory / "from"), in: directory.path).verify()
        try Shell.output("cd \(directory.path) && tar --zstd --acls -xpf t.tar.zst -C to")
        #expect(try records(directory / "to").last == records(directory / "from").last)
    }

    @Test("keeps the holes of sparse files")
    func holes() throws {
        try makeEveryKindOfFile(in: directory / "from", onlyASCII: true)
        try TestArchive(selection(directory / "from"), in: directory.path).verify()
        let extents = Dictionary(
            uniqueKeysWithValues: try tarEntries(archive).map { ($0.entry.record.path, $0.entry.extents) }
        )
        #expect(extents[TreePath("d/large")] == [])
        #expect(extents[TreePath("d/hole")]?.count == 1)
        #expect(try Shell.output("zstd -dc \(archive) | wc -c").dropLast().count < 8)
        try Shell.output("cd \(directory.path) && tar --zstd -xf t.tar.zst -C to")
        for name in ["hole", "onlyhole", "endhole"] {
            let blocks = try Shell.output("stat -c %b \(directory.path)/to/d/\(name)")
            #expect(try #require(Int(blocks.dropLast())) <= 16)
        }
    }

    /// Writes entries without content of their own.
    private func writeTar(_ records: [(FileRecord, [DataExtent]?)]) throws {
        let file = try create(archive)
        defer { try? file.close() }
        let frames = try FrameWriter(to: file, path: archive, level: .fixed(1), jobs: 1, cancellation: Cancellation())
        defer { frames.stop() }
        let tar = TarWriter(to: frames, path: archive)
        for (record, extents) in records {
            try tar.begin(record, extents: extents)
            try tar.end()
        }
        _ = try tar.finish()
    }

    @Test("holds numbers that do not fit into old headers")
    func largeNumbers() throws {
        let large = FileRecord(
            path: TreePath("large"),
            kind: .regular,
            mode: 0o600,
            uid: 4_294_967_294,
            gid: 2_097_152,
            size: 1 << 40,
            modified: FileTime(seconds: 1 << 34, nanoseconds: 1)
        )
        let device = FileRecord(
            path: TreePath("device"),
            kind: .characterDevice,
            mode: 0o600,
            uid: 2_097_151,
            gid: 0,
            modified: FileTime(seconds: -5, nanoseconds: 250_000_000),
            device: DeviceNumber(major: 4095, minor: 1_048_575)
        )
        let extents = [DataExtent(offset: 1 << 39, length: 5), DataExtent(offset: 1 << 40 - 3, length: 3)]
        try writeTar([(device, nil), (large, extents)])
        let reader = try TarReader(from: try FrameReader(path: archive, jobs: 1, cancellation: Cancellation()))
        var read = device
        read.modified = device.modified.asReadByLibarchive
        #expect(try reader.next() == TarEntry(record: read, extents: []))
        #expect(try reader.next() == TarEntry(record: large, extents: extents, dataBytes: 8))
        #expect(try reader.next() == nil)
        let listing = try Shell.output("tar --zstd --numeric-owner -tvf \(archive) 2>&1")
        #expect(listing.contains("4294967294/2097152 1099511627776"))
        #expect(listing.contains("4095,1048575"))
    }

    @Test("has no sockets")
    func sockets() throws {
        let socket = FileRecord(
            path: TreePath("run/s"),
            kind: .socket,
            mode: 0o600,
            uid: 0,
            gid: 0,
            modified: FileTime(seconds: 0, nanoseconds: 0)
        )
        let error = try #require(throws: ArchiveError.self) { try writeTar([(socket, nil)]) }
        #expect(error.summary == "could not write 'run/s' in '\(archive)': a socket cannot be stored in an archive")
    }

    @Test(
        "with a name that leads out of the tree, or is none, is refused, and the name told",
        arguments: [
            "../x", "/abs", "a/../../b", "a/..", "..", "a//b/../c", "x" * 5000, "d/" + "y" * 256, "a/./../..", "",
        ]
    )
    func hostileNames(name: String) throws {
        try python(
            """
            i = tarfile.TarInfo('ok'); t.addfile(i)
            i = tarfile.TarInfo('''\(name)'''); i.size = 2; t.addfile(i, io.BytesIO(b'hi'))
            """
        )
        let error = try #require(throws: ArchiveError.self) { try tarEntries(archive) }
        #expect(error.exitStatus == .dataError)
        #expect(error.entry.map { String(decoding: $0, as: UTF8.self) } == name)
        #expect(error.operation == "read the header of")
    }

    @Test(
        "with a header that no file of ours can have is refused",
        arguments: [
            "i.type = tarfile.LNKTYPE; i.linkname = '../../etc/shadow'", "i.type = tarfile.LNKTYPE; i.linkname = '/x'",
            "i.type = tarfile.SYMTYPE; i.linkname = ''", "i.type = tarfile.SYMTYPE; i.linkname = 'l' * 5000",
            "i.name = '.'", "i.pax_headers = {'uid': '-1'}", "i.pax_headers = {'size': '-5'}",
            "i.pax_headers = {'uid': '99999999999'}",
        ]
    )
    func hostileHeaders(line: String) throws {
        try python(
            """
            i = tarfile.TarInfo('name'); i.size = 2; c = b'hi'
            \(line)
            t.addfile(i, io.BytesIO(c))
            """
        )
        let error = try #require(throws: ArchiveError.self) { try tarEntries(archive) }
        #expect(error.exitStatus == .dataError)
    }

    @Test("with something behind its end is refused")
    func behindTheEnd() throws {
        try Shell.output(
            "cd \(directory.path) && { head -c 2048 /dev/zero; head -c 3000000 /dev/zero; echo more; } | zstd > t.tar.zst"
        )
        #expect(throws: ArchiveError.self) { try tarEntries(archive) }
    }

    private func python(_ body: String) throws {
        try write(
            Array(
                "import tarfile, io, sys\nt = tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT)\n\(body)\nt.close()\n"
                    .utf8
            ),
            to: directory / "make.py"
        )
        try Shell.output("cd \(directory.path) && python3 make.py t.tar && zstd -q t.tar -o t.tar.zst")
    }

    @Test("never crashes or hangs the reader when it is damaged", arguments: 0..<4)
    func mutations(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        try Shell.output(
            """
            cd \(directory.path)/from && echo hello > a && ln a b && ln -s x c && mkfifo d && truncate -s 100000 e &&
            printf x >> e && setfattr -n user.x -v y a && setfacl -m u:5:r a && touch -d @5.5 a d
            """
        )
        _ = try TestArchive(selection(directory / "from"), in: directory.path)
        let good = try readFrames(archive).content
        for _ in 0..<1250 {
            var bad = good
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                change(
                    Int.random(in: 0..<bad.count, using: &random),
                    to: UInt8.random(in: 0...255, using: &random),
                    &bad
                )
            }
            if Int.random(in: 0..<8, using: &random) == 0 {
                bad.removeLast(Int.random(in: 0..<bad.count, using: &random))
            }
            try writeFrames([bad], to: archive, jobs: 1, layout: .frames(4096))
            do {
                let reader = try TarReader(from: try FrameReader(path: archive, jobs: 1, cancellation: Cancellation()))
                while let entry = try reader.next() {
                    #expect(TreePath(validating: entry.record.path.bytes) == entry.record.path)
                    try reader.readContent { offset, _ in #expect(offset >= 0) }
                }
            } catch let error as ArchiveError {
                #expect(error.exitStatus == .dataError)
            }
        }
    }

    /// Changes a byte, and the checksum of the header that it lies in: libarchive goes no further with a wrong one.
    private func change(_ place: Int, to value: UInt8, _ bytes: inout [UInt8]) {
        let block = place & ~511
        let field = (block + 148)..<(block + 154)
        let isHeader = bytes[(block + 257)..<(block + 262)].elementsEqual("ustar".utf8)
        let sum = isHeader ? Int(String(decoding: bytes[field], as: UTF8.self), radix: 8) : nil
        let old = Int(bytes[place])
        bytes[place] = value
        guard let sum, !(148..<156).contains(place - block) else { return }
        let digits = String(max(0, sum + Int(value) - old), radix: 8)
        bytes.replaceSubrange(field, with: (String(repeating: "0", count: 6 - digits.count) + digits).utf8)
    }
}

private func * (text: String, count: Int) -> String { String(repeating: text, count: count) }
