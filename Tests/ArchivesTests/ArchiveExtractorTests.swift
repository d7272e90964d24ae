import Files
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("An archive extractor") struct ArchiveExtractorTests {
    let directory: TemporaryDirectory
    var tree: FilePath { directory / "tree" }
    var to: FilePath { directory / "to" }

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir \(directory.path)/tree \(directory.path)/out \(directory.path)/to")
    }

    @discardableResult
    private func extract(_ paths: [TreePath], _ made: TestArchive) throws -> ArchiveExtractor.Contents {
        let writer = try TreeWriter(directory: to)
        let contents = try ArchiveExtractor.extract(
            paths,
            archive: made.archive,
            index: made.index,
            to: writer,
            cancellation: Cancellation()
        )
        try writer.finish()
        return contents
    }

    @Test("makes every kind of file again as it was", .enabled(if: isRoot))
    func everything() throws {
        try makeEveryKindOfFile(in: tree)
        let made = try TestArchive(selection(tree), in: directory / "out")
        #expect(try extract([], made).files == made.summary.files)
        let (expected, found) = (try records(tree), try records(to))
        #expect(found.map(\.path) == expected.map(\.path))
        for (one, other) in zip(found, expected) { #expect(one == other) }
        for name in ["hole", "onlyhole", "endhole"] {
            let blocks = try Shell.output("stat -c %b \(to)/d/\(name)")
            #expect(try #require(Int(blocks.dropLast())) <= 16)
        }
    }

    @Test("takes a chosen file with the directories above it, and a directory with everything in it")
    func chosen() throws {
        try Shell.output(
            "cd \(tree) && mkdir -p a/b/c a/x && echo 1 > a/b/c/f && echo 2 > a/b/g && echo 3 > a/x/y && chmod 750 a/b && touch z"
        )
        let made = try TestArchive(selection(tree), in: directory / "out")
        try extract([TreePath("a/b/c"), TreePath("z")], made)
        #expect(try Shell.output("cd \(to) && find . | sort") == ".\n./a\n./a/b\n./a/b/c\n./a/b/c/f\n./z\n")
        #expect(try Shell.output("stat -c %a \(to)/a/b") == "750\n")
    }

    @Test("gives a hard link its content when the first name is not wanted")
    func hardLinks() throws {
        try Shell.output("cd \(tree) && echo linked > a && ln a b && ln a c && echo x > d")
        let made = try TestArchive(selection(tree), in: directory / "out")
        try extract([TreePath("b"), TreePath("c")], made)
        #expect(try Shell.output("cd \(to) && ls && cat b && stat -c %h b c") == "b\nc\nlinked\n2\n2\n")
        #expect(try Shell.output("stat -c %y \(to)/b") == Shell.output("stat -c %y \(tree)/a"))
    }

    @Test("makes nothing when a path is not in the archive, and names it")
    func missing() throws {
        try Shell.output("cd \(tree) && echo x > x")
        let made = try TestArchive(selection(tree), in: directory / "out")
        let error = try #require(throws: ArchiveError.self) { try extract([TreePath("x"), TreePath("y/z")], made) }
        #expect(error.summary == "could not extract 'y/z' in '\(made.archive)': no such file in the archive")
        #expect(error.exitStatus == .noInput)
        #expect(try Shell.output("ls -A \(to)") == "")
    }

    @Test("leaves no damaged file behind")
    func damaged() throws {
        try Shell.output("cd \(tree) && head -c 9000000 /dev/urandom > x")
        let made = try TestArchive(selection(tree), in: directory / "out")
        var bytes = try contents(made.archive)
        bytes[bytes.count - 500_000] ^= 1
        try write(bytes, to: made.archive)
        let error = try #require(throws: ArchiveError.self) { try extract([], made) }
        #expect(error.entry == Array("x".utf8))
        #expect(try Shell.output("ls -A \(to)") == "")
    }
}
