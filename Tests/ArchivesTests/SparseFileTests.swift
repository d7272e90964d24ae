import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("A sparse file") struct SparseFileTests {
    /// Digests pieces of a file.
    private func digest(_ form: ContentDigest.Form, _ pieces: [(Int64, [UInt8])], size: Int64) throws -> ContentDigest {
        var hasher = ContentHasher(cancellation: Cancellation())
        hasher.start(form)
        for (offset, bytes) in pieces { try bytes.withUnsafeBytes { try hasher.add($0, at: offset) } }
        return try hasher.finish(size: size)
    }

    @Test("has the same digest however its holes lie", arguments: 0..<8)
    func canonical(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var content = [UInt8](repeating: 0, count: Int.random(in: 1...100_000, using: &random))
        for _ in 0..<3 {
            let start = Int.random(in: 0..<content.count, using: &random)
            for index in start..<min(content.count, start + Int.random(in: 1...9000, using: &random)) {
                content[index] = UInt8.random(in: 0...1, using: &random)
            }
        }
        let size = Int64(content.count)
        let whole = try digest(.sparse, [(0, content)], size: size)
        for _ in 0..<10 {
            var pieces: [(Int64, [UInt8])] = []
            var position = 0
            while position < content.count {
                let end = min(content.count, position + Int.random(in: 1...20_000, using: &random))
                let piece = Array(content[position..<end])
                if piece.contains(where: { $0 != 0 }) || Bool.random(using: &random) {
                    pieces.append((Int64(position), piece))
                }
                position = end
            }
            #expect(try digest(.sparse, pieces, size: size) == whole)
            #expect(try digest(.whole, pieces, size: size) == .whole(SHA256Hasher.digest(of: content)))
        }
        // as docs/recovery-point-format.md describes it
        var described: [UInt8] = []
        var dataBytes = 0
        for start in stride(from: 0, to: content.count, by: 4096) {
            let block = content[start..<min(content.count, start + 4096)]
            if block.allSatisfy({ $0 == 0 }) { continue }
            described += withUnsafeBytes(of: Int64(start / 4096).littleEndian) { Array($0) } + block
            dataBytes += block.count
        }
        described += withUnsafeBytes(of: size.littleEndian) { Array($0) }
        #expect(whole == .sparse(SHA256Hasher.digest(of: described), dataBytes: Int64(dataBytes)))
    }

    @Test("costs what its data costs: to archive, verify, compare and restore", .timeLimit(.minutes(1)))
    func longHole() throws {
        let bench = try RestoreBench(
            """
            printf begin > disk.img; truncate -s 1T disk.img
            printf middle | dd of=disk.img bs=1 seek=500000000000 conv=notrunc status=none
            truncate -s 2T nothing.img; head -c 100000 /dev/urandom > small; truncate -s 3M small
            """,
            inMemory: true
        )
        let lines = try indexRecords(bench.made.index)
        let digests = Dictionary(uniqueKeysWithValues: lines.map { ("\($0.path)", $0.digest) })
        guard case .sparse(_, dataBytes: 8192)?? = digests["disk.img"],
            case .sparse(_, dataBytes: 0)?? = digests["nothing.img"],
            case .sparse?? = digests["small"]
        else {
            Issue.record("\(digests)")
            return
        }
        #expect(bench.made.summary.sourceBytes < 1 << 20)
        #expect(try bench.made.verify().sourceBytes == bench.made.summary.sourceBytes)
        let comparison = TreeComparison(
            try selection(bench.tree),
            index: bench.made.index,
            readsEverything: true,
            cancellation: Cancellation()
        )
        #expect(try comparison.run { _ in true }.differences == 0)
        try bench.change("printf X | dd of=disk.img bs=1 seek=600000000000 conv=notrunc status=none")
        #expect(try comparison.run { _ in true }.differences == 1)
        try bench.change("rm disk.img nothing.img small")
        #expect(try bench.restorer().neededBytes().reduce(0) { $0 + $1.bytes } < 1 << 20)
        let summary = try bench.restore()
        #expect(summary.written == 3)
        #expect(summary.writtenBytes < 1 << 20)
        #expect(try comparison.run { _ in true }.differences == 0)
        #expect(
            try Shell.output("stat -c %s \(bench.tree)/disk.img \(bench.tree)/nothing.img")
                == "\(1 << 40)\n\(2 << 40)\n"
        )
        #expect(try Shell.output("du -k \(bench.tree)/disk.img | cut -f1").trimmingSuffix("\n").utf8.count < 4)
    }

    @Test("may be as long as a file can be, and there may be several", .enabled(if: isRoot), .timeLimit(.minutes(1)))
    func longest() throws {
        let bench = try RestoreBench(
            "for i in 1 2 3; do truncate -s 9223372036854771712 $i; printf x > x; done",
            inMemory: true
        )
        #expect(bench.made.summary.files == 5)
        try bench.made.verify()
        try bench.change("rm 1 2 3")
        #expect(try bench.restore().written == 3)
        #expect(try bench.restore().written == 0)
    }

    @Test("that claims what nobody can hash is refused at once", .timeLimit(.minutes(1)))
    func claims() throws {
        let directory = try TemporaryDirectory()
        let (archive, index) = (directory / "x.tar.zst", directory / "x.files.zst")
        let size: Int64 = 1 << 62
        let record = FileRecord(
            path: "f",
            kind: .regular,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: size,
            modified: FileTime(seconds: 1, nanoseconds: 0),
            digest: .whole(SHA256Hasher.digest(of: []))
        )
        let file = try create(archive)
        defer { try? file.close() }
        let frames = try FrameWriter(to: file, path: archive, level: .fixed(1), jobs: 1, cancellation: Cancellation())
        let tar = TarWriter(to: frames, path: archive)
        try tar.begin(record, extents: [])
        try tar.end()
        let totals = try tar.finish()
        let lines =
            "#mtree\n# node-recovery index 1\n./f type=file mode=00644 uid=0 gid=0 size=\(size) time=1.000000000"
        let digest = SHA256Hasher.digest(of: [])
        let indexTotals = try writeFrames([Array("\(lines) sha256digest=\(digest)\n# end 1\n".utf8)], to: index)
        let error = #expect(throws: ArchiveError.self) {
            try ArchiveVerifier.verify(
                archive: archive,
                archiveDigest: totals.fileDigest,
                index: index,
                indexDigest: indexTotals.fileDigest,
                cancellation: Cancellation()
            )
        }
        #expect(error?.exitStatus == .dataError)
        #expect(error?.summary.contains("its holes are too long") == true)
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}
