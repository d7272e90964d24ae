import Files
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("Frames") struct FrameTests {
    let directory: TemporaryDirectory
    var file: FilePath { directory / "f.zst" }

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test(
        "read back equal, by us and by zstd, whatever their number",
        arguments: [0, 1, 4095, 4096, 4097, 65536, 200_000],
        [1, 3]
    )
    func roundTrip(size: Int, jobs: Int) throws {
        var random = SeededGenerator(seed: UInt64(size))
        let bytes = random.bytes(size)
        let written = try writeFrames([bytes], to: file, jobs: jobs, layout: .frames(4096))
        let read = try readFrames(file, jobs: jobs)
        #expect(read.content == bytes)
        #expect(read.totals == written)
        #expect(written.contentBytes == Int64(size))
        #expect(
            try Shell.output(
                "zstd -dc \(file) | cmp - <(zstd -dc \(file)) && zstd -tq \(file) && zstd -dc \(file) | wc -c"
            ) == "\(size)\n"
        )
        #expect(try Shell.output("sha256sum < \(file)") == "\(written.fileDigest)  -\n")
        #expect(try Shell.output("stat -c %s \(file)") == "\(written.fileBytes)\n")
    }

    @Test("of full size read back equal when they come in odd pieces")
    func oddPieces() throws {
        var random = SeededGenerator(seed: 1)
        let pieces = (0..<40).map { _ in random.bytes(Int.random(in: 0...200_000, using: &random)) }
        try writeFrames(pieces, to: file)
        #expect(try readFrames(file).content == pieces.flatMap { $0 })
    }

    @Test("of a fixed level are the same bytes, however many threads made them")
    func deterministic() throws {
        var random = SeededGenerator(seed: 2)
        let bytes = random.bytes(500_000)
        let one = try writeFrames([bytes], to: file, level: .fixed(3), jobs: 1, layout: .frames(32768))
        let three = try writeFrames([bytes], to: file, level: .fixed(3), jobs: 3, layout: .frames(32768))
        #expect(one == three)
    }

    @Test(
        "of the stream layout are one, read back equal, by us and by zstd",
        arguments: [0, 1, 1 << 20, (1 << 20) + 1, 5_000_000]
    )
    func stream(size: Int) throws {
        var random = SeededGenerator(seed: UInt64(size))
        let bytes = random.bytes(size)
        let written = try writeFrames([bytes], to: file, layout: .stream)
        let read = try readFrames(file)
        #expect(read.content == bytes)
        #expect(read.totals == written)
        #expect(try Shell.output("zstd -dc \(file) | sha256sum") == "\(SHA256Hasher.digest(of: bytes))  -\n")
        #expect(try Shell.output("zstd -lv \(file) 2>/dev/null | grep -ciE '^# Zstandard Frames: 1$'") == "1\n")
        #expect(try readFrames(file, jobs: 1).totals == writeFrames([bytes], to: file, jobs: 4, layout: .stream))
    }

    @Test("of the stream layout find what repeats itself from far away")
    func farAway() throws {
        var random = SeededGenerator(seed: 6)
        let bytes = random.bytes(9_000_000)
        let written = try writeFrames([bytes, bytes], to: file, layout: .stream)
        #expect(written.fileBytes < 9_100_000)
        #expect(try readFrames(file).content == bytes + bytes)
    }

    @Test("can be taken back to a mark", arguments: [0, 10, 4096, 10_000], [0, 10, 4096, 60_000])
    func rewind(before: Int, behind: Int) throws {
        var random = SeededGenerator(seed: 3)
        let (kept, dropped, last) = (random.bytes(before), random.bytes(behind), random.bytes(5000))
        let descriptor = try create(file)
        defer { try? descriptor.close() }
        let writer = try FrameWriter(
            to: descriptor,
            path: file,
            level: .fixed(1),
            jobs: 2,
            layout: .frames(4096),
            cancellation: Cancellation()
        )
        defer { writer.stop() }
        try kept.withUnsafeBytes { try writer.write($0) }
        try writer.mark()
        for _ in 0..<3 {
            try dropped.withUnsafeBytes { try writer.write($0) }
            try writer.rewind()
        }
        try last.withUnsafeBytes { try writer.write($0) }
        let totals = try writer.finish()
        let read = try readFrames(file)
        #expect(read.content == kept + last)
        #expect(read.totals == totals)
    }

    @Test(
        "of other writers are read: streams, several in a row, other windows, without content size or checksum",
        arguments: [
            "zstd -3 -c d", "cat d | zstd -3 -c", "zstd -19 -c d", "cat d | zstd --no-check -1 -c",
            "zstd -3 -c <(head -c 1000000 d); tail -c +1000001 d | zstd -c", "zstd -T2 -c d", "zstd --fast=5 -c d",
            #"zstd -c d; printf '\x51\x2a\x4d\x18\x05\x00\x00\x00hello'"#,
            #"printf '\x50\x2a\x4d\x18\x00\x00\x00\x00'; zstd -c d"#,
        ]
    )
    func foreign(line: String) throws {
        var random = SeededGenerator(seed: 4)
        let bytes = random.bytes(6_000_000)
        try write(bytes, to: directory / "d")
        try Shell.output("cd \(directory.path) && { \(line); } > f.zst")
        let read = try readFrames(file)
        #expect(read.content == bytes)
        #expect(read.totals.contentBytes == 6_000_000)
        #expect(try Shell.output("sha256sum < \(file)") == "\(read.totals.fileDigest)  -\n")
    }

    @Test("that want more memory than is given are refused")
    func largeWindow() throws {
        try Shell.output("head -c 1000000 /dev/zero | zstd -1 --long=27 -c > \(file)")
        #expect(throws: ArchiveError.self) { try readFrames(file) }
    }

    @Test(
        "that are no frames are refused, with the file's name",
        arguments: ["", "x", "hello, this is text", "\u{1F}\u{8B}"]
    )
    func noFrames(text: String) throws {
        try write(Array(text.utf8), to: file)
        let error = try #require(throws: ArchiveError.self) { try readFrames(file) }
        #expect(error.exitStatus == .dataError)
        #expect(error.summary.hasPrefix("could not read '\(file)': the zstd frame at byte 0 is damaged"))
    }

    @Test("never give wrong content when a bit has flipped", arguments: 0..<4)
    func flippedBits(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let bytes = random.bytes(20_000)
        let totals = try writeFrames([bytes], to: file, layout: .frames(8192))
        let good = try contents(file)
        for _ in 0..<250 {
            var bad = good
            bad[Int.random(in: 0..<bad.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            try write(bad, to: file)
            // A bit of a frame header means nothing; then the digest of the file still tells.
            if let read = try? readFrames(file) {
                #expect(read.content == bytes)
                #expect(read.totals.fileDigest != totals.fileDigest)
            }
        }
    }

    @Test("that are cut short are noticed at every length")
    func cutShort() throws {
        var random = SeededGenerator(seed: 5)
        let bytes = random.bytes(3000)
        let totals = try writeFrames([bytes], to: file, layout: .frames(4096))
        let good = try contents(file)
        for count in stride(from: 0, to: good.count, by: 7) {
            try write(Array(good[..<count]), to: file)
            let error = try #require(throws: ArchiveError.self) { try readFrames(file) }
            #expect(error.exitStatus == .dataError)
        }
        #expect(totals.fileBytes == Int64(good.count))
    }

    @Test("that meet a full disk end with its name and the reason", .enabled(if: isRoot))
    func fullDisk() throws {
        let small = try SmallFileSystem(in: directory, kibibytes: 256)
        var random = SeededGenerator(seed: 6)
        let pieces = (0..<100).map { _ in random.bytes(50_000) }
        let path = small.path.appending("f.zst")
        let error = try #require(throws: ArchiveError.self) {
            try writeFrames(pieces, to: path, layout: .frames(65536))
        }
        #expect(error.cause == .system(ENOSPC))
        #expect(error.summary == "could not write '\(path)': No space left on device")
        #expect(error.exitStatus == .cantCreate)
    }

    @Test("stop when the run is to stop")
    func cancelled() throws {
        let cancellation = Cancellation()
        let descriptor = try create(file)
        defer { try? descriptor.close() }
        let writer = try FrameWriter(
            to: descriptor,
            path: file,
            level: .automatic,
            jobs: 2,
            layout: .frames(4096),
            cancellation: cancellation
        )
        defer { writer.stop() }
        let piece = [UInt8](repeating: 7, count: 100_000)
        try piece.withUnsafeBytes { try writer.write($0) }
        cancellation.cancel(.signal(SIGTERM))
        #expect(throws: Stopped(reason: .signal(SIGTERM))) { try piece.withUnsafeBytes { try writer.write($0) } }
        #expect(throws: Stopped(reason: .signal(SIGTERM))) { try writer.finish() }
    }

    @Test("can be left in the middle, when writing and when reading, without leaving threads behind")
    func leftInTheMiddle() throws {
        var random = SeededGenerator(seed: 7)
        let bytes = random.bytes(300_000)
        try writeFrames([bytes], to: file, layout: .frames(4096))
        func threads() throws -> Int { try Shell.output("ls /proc/\(getpid())/task").split(separator: "\n").count }
        let before = try threads()
        for _ in 0..<50 {
            let reader = try FrameReader(path: file, jobs: 4, cancellation: Cancellation())
            _ = try reader.next()
        }
        for _ in 0..<50 {
            let descriptor = try FileDescriptor.open("/dev/null", .writeOnly)
            defer { try? descriptor.close() }
            let writer = try FrameWriter(
                to: descriptor,
                path: file,
                level: .automatic,
                jobs: 4,
                layout: .frames(4096),
                cancellation: Cancellation()
            )
            defer { writer.stop() }
            try bytes.withUnsafeBytes { try writer.write($0) }
        }
        // Other tests run beside this one; 100 runs that each left a thread would show.
        #expect(try threads() < before + 50)
    }
}
