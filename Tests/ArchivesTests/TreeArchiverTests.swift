import Files
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("A tree archiver") struct TreeArchiverTests {
    let directory: TemporaryDirectory
    var tree: FilePath { directory / "tree" }
    var out: FilePath { directory / "out" }

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir \(directory.path)/tree \(directory.path)/out \(directory.path)/to")
    }

    @Test("puts into the archive and the index what is in the tree", arguments: [1, 3])
    func everything(jobs: Int) throws {
        try makeEveryKindOfFile(in: tree)
        let made = try TestArchive(selection(tree), in: out, options: .init(level: .automatic, jobs: jobs))
        var expected = try records(tree)
        for index in expected.indices where expected[index].hardLink != nil { expected[index].attributes = [] }
        var lines = try indexRecords(made.index)
        for index in lines.indices { lines[index].hint = nil }
        #expect(lines == expected)
        #expect(made.summary.files == expected.count)
        let contents = try made.verify()
        #expect(contents.files == expected.count)
        #expect(contents.sourceBytes == made.summary.sourceBytes)
        #expect(made.summary.sourceBytes < expected.filter { $0.hardLink == nil }.reduce(0) { $0 + $1.size })
        #expect(try Shell.output("sha256sum < \(made.archive)") == "\(made.summary.archive.fileDigest)  -\n")
        #expect(try Shell.output("sha256sum < \(made.index)") == "\(made.summary.index.fileDigest)  -\n")
        #expect(try Shell.output("stat -c %a:%s \(made.index)") == "600:\(made.summary.index.fileBytes)\n")
    }

    @Test("gives the same bytes for the same tree")
    func deterministic() throws {
        try makeEveryKindOfFile(in: tree)
        let one = try TestArchive(selection(tree), in: out)
        let two = try TestArchive(selection(tree), in: directory / "to", options: .init(level: .fixed(1), jobs: 3))
        #expect(one.summary.archive == two.summary.archive)
    }

    @Test("takes the chosen subtrees only, and lists what it leaves out")
    func choice() throws {
        try Shell.output(
            """
            cd \(tree) && mkdir -p etc/a usr/local usr/lib && touch etc/a/b etc/.updated usr/local/c usr/lib/d &&
            python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('etc/s')"
            """
        )
        var choice = try selection(tree, [TreePath("usr/local"), TreePath("etc"), TreePath("var")])
        choice.exclusions = [PathPattern("etc/.updated")]
        let made = try TestArchive(choice, in: out)
        #expect(
            try indexRecords(made.index).map(\.path.description) == [
                "etc", "etc/a", "etc/a/b", "usr/local", "usr/local/c",
            ]
        )
        #expect(
            Set(made.summary.leftOut) == [
                LeftOut(path: TreePath("etc/.updated"), reason: .excluded),
                LeftOut(path: TreePath("etc/s"), reason: .socket),
                LeftOut(path: TreePath("var"), reason: .missing),
            ]
        )
    }

    @Test("leaves nothing behind when the disk is full, and says which", .enabled(if: isRoot))
    func fullDisk() throws {
        try Shell.output("head -c 3000000 /dev/urandom > \(tree)/a; head -c 3000000 /dev/urandom > \(tree)/b")
        let small = try SmallFileSystem(in: directory, kibibytes: 2000)
        let error = try #require(throws: ArchiveError.self) {
            try TestArchive(selection(tree), in: small.path)
        }
        #expect(error.cause == .system(ENOSPC))
        #expect(error.archive == small.path.appending("t.tar.zst"))
        #expect(try Shell.output("ls -A \(small.path)") == "")
    }

    @Test("leaves nothing behind when it is stopped")
    func stopped() throws {
        try Shell.output("head -c 9000000 /dev/urandom > \(tree)/a")
        let cancellation = Cancellation()
        #expect(throws: Stopped.self) {
            try TestArchive(selection(tree), in: out, cancellation: cancellation) { _, bytes in
                if bytes > 3_000_000 { cancellation.cancel(.deadline(.seconds(5))) }
            }
        }
        #expect(try Shell.output("ls -A \(out)") == "")
    }

    @Test("does not touch an archive that is there already")
    func exists() throws {
        try Shell.output("echo old > \(out)/t.files.zst")
        let error = try #require(throws: ArchiveError.self) { try TestArchive(selection(tree), in: out) }
        #expect(error.cause == .system(EEXIST))
        #expect(try Shell.output("cd \(out); grep . *") == "old\n")
    }

    @Test("reads a file again that changes while it is read", arguments: [4_000_000, 1_500_000])
    func changedOnce(size: Int) throws {
        try Shell.output("cd \(tree) && head -c \(size) /dev/urandom > b && echo before > a && echo after > c")
        let path = tree.appending("b")
        var changes = 0
        let made = try TestArchive(selection(tree), in: out) { _, bytes in
            guard bytes > 300_000, changes < 2 else { return }
            changes += 1
            _ = try? Shell.run("head -c 1000000 /dev/urandom >> \(path)")
        }
        #expect(changes == 2)
        #expect(made.summary.changed == [])
        try made.verify()
        let now = try records(tree)
        #expect(try indexRecords(made.index).map(\.digest) == now.map(\.digest))
        #expect(made.summary.sourceBytes == Int64(size + 2_000_000 + 7 + 6))
        #expect(try Shell.output("tar --zstd -tf \(made.archive)") == "./\na\nb\nc\n")
    }

    @Test(
        "stores a file that never stops changing as it was last seen, and says so",
        arguments: [
            "head -c 500000 /dev/urandom >> b", "truncate -s -1000 b", "truncate -s 10 b; head -c 4M /dev/urandom >> b",
        ]
    )
    func alwaysChanging(line: String) throws {
        try Shell.output("cd \(tree) && head -c 6000000 /dev/urandom > b && echo before > a && echo after > c")
        let tree = tree
        let made = try TestArchive(selection(tree), in: out) { _, bytes in
            if bytes > 300_000 { _ = try? Shell.run("cd \(tree) && \(line)") }
        }
        #expect(made.summary.changed == [TreePath("b")])
        try made.verify()
        let lines = try indexRecords(made.index)
        #expect(lines.map(\.path.description) == [".", "a", "b", "c"])
        #expect(lines[2].hint == nil)
    }

    @Test("goes on when a file vanishes, and says so; a hard link to it becomes the file")
    func vanished() throws {
        try Shell.output(
            """
            cd \(tree) && head -c 2000000 /dev/urandom > a && echo linked > b && ln b c && ln b d && echo e > e
            """
        )
        let tree = tree
        let made = try TestArchive(selection(tree), in: out) { _, bytes in
            if bytes > 300_000 { _ = try? Shell.run("rm -f \(tree)/b \(tree)/e") }
        }
        #expect(made.summary.vanished == [TreePath("b"), TreePath("e")])
        try made.verify()
        let lines = try indexRecords(made.index)
        #expect(lines.map(\.path.description) == [".", "a", "c", "d"])
        #expect(lines[2].hardLink == nil)
        #expect(lines[3].hardLink == TreePath("c"))
    }

    @Test("fails with the name of a file that it cannot read, or lists it when told to")
    func unreadable() throws {
        try Shell.output(
            """
            cd \(tree) && mkdir d && echo x > d/secret && ln d/secret d/zlink && echo y > d/y && mkdir e && echo z > e/z &&
            chmod 600 d/secret && chmod 700 e && chmod -R a+rwX \(out) && chmod 777 \(directory.path)
            """
        )
        try asNobody {
            let error = try #require(throws: FilesError.self) { try TestArchive(selection(tree), in: out) }
            #expect(error.path == tree.appending("d/secret").string)
            #expect(error.errno == .permissionDenied)
            #expect(try Shell.output("ls -A \(out)") == "")
            let made = try TestArchive(selection(tree), in: out, options: .init(skipsUnreadable: true))
            #expect(made.summary.unreadable.map(\.path.description) == ["d/secret", "d/zlink", "e"])
            #expect(try indexRecords(made.index).map(\.path.description) == [".", "d", "d/y", "e"])
            try made.verify()
        }
    }

    @Test("trusts a change time only when it lies a second before the reading")
    func racy() {
        let hint = ChangeHint(inode: 1, changeTime: FileTime(seconds: 100, nanoseconds: 500_000_000))
        for (seconds, nanoseconds, isGood) in [
            (101, 500_000_000, true), (101, 499_999_999, false), (100, 600_000_000, false), (102, 0, true),
            (99, 0, false), (1_000_000, 0, true), (.max, 0, true), (.min, 0, false),
        ] as [(Int64, Int32, Bool)] {
            #expect(hint.isTrustworthy(readAt: FileTime(seconds: seconds, nanoseconds: nanoseconds)) == isGood)
        }
    }
}
