import Files
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("An archive verifier") struct ArchiveVerifierTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir \(directory.path)/tree && cd \(directory.path)/tree && mkdir d")
        try Shell.output(
            "cd \(directory.path)/tree && for i in 1 2 3; do head -c 700000 /dev/urandom > d/f$i; done; ln d/f1 d/l; ln -s a d/s"
        )
    }

    @Test("finds every flipped bit and names a file near it", arguments: 0..<3)
    func flippedBits(seed: Int) throws {
        let made = try TestArchive(selection(directory / "tree"), in: directory.path)
        try made.verify()
        var random = SeededGenerator(seed: UInt64(seed))
        for path in [made.archive, made.index] {
            let good = try contents(path)
            for _ in 0..<15 {
                var bad = good
                bad[Int.random(in: 0..<bad.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                try write(bad, to: path)
                let error = try #require(throws: ArchiveError.self) { try made.verify() }
                #expect(error.exitStatus == .dataError)
                #expect(error.archive == path)
            }
            try write(good, to: path)
        }
        try made.verify()
    }

    @Test("names the first bad file, when an archive does not hold what its index says")
    func otherContent() throws {
        let made = try TestArchive(selection(directory / "tree"), in: directory.path)
        try Shell.output(
            "cd \(directory.path) && printf x | dd of=tree/d/f2 bs=1 seek=10 conv=notrunc status=none && rm t.tar.zst && mkdir x"
        )
        let other = try TestArchive(selection(directory / "tree"), in: directory / "x")
        try Shell.output("cd \(directory.path) && mv x/t.tar.zst .")
        let error = try #require(throws: ArchiveError.self) { try made.verify() }
        #expect(error.entry == Array("d/f2".utf8))
        #expect(error.summary.contains("it differs from its index line: time"))
        #expect(throws: ArchiveError.self) {
            try ArchiveVerifier.verify(
                archive: made.archive,
                archiveDigest: other.summary.archive.fileDigest,
                index: other.index,
                indexDigest: made.summary.index.fileDigest,
                cancellation: Cancellation()
            )
        }
    }

    @Test("finds a file that is missing in the archive or in the index")
    func missing() throws {
        let made = try TestArchive(selection(directory / "tree"), in: directory.path)
        let index = try contents(made.index)
        let archive = try contents(made.archive)
        try Shell.output("cd \(directory.path) && rm tree/d/f3 t.* && mkdir x")
        let smaller = try TestArchive(selection(directory / "tree"), in: directory / "x")
        try write(archive, to: made.archive)
        try write(try contents(smaller.index), to: made.index)
        var error = try #require(throws: ArchiveError.self) { try made.verify() }
        #expect(error.entry == Array("d".utf8))  // its time has changed
        try write(index, to: made.index)
        try made.verify()
        try write(try contents(smaller.archive), to: made.archive)
        error = try #require(throws: ArchiveError.self) { try made.verify() }
        #expect(error.archive == made.archive)
    }
}
