import Files
import SystemPackage
import TestSupport
import Testing

@Suite("A directory") struct DirectoryTests {
    let temporary: TemporaryDirectory
    let directory: Directory

    init() throws {
        temporary = try TemporaryDirectory()
        directory = try Directory(path: temporary.path)
    }

    func make(_ lines: String) throws { try Shell.output("set -e; cd \(temporary.path); \(lines)") }

    @Test("renames over, beside and in exchange")
    func rename() throws {
        try make("echo a > a; echo b > b; mkdir d")
        let refused = #expect(throws: FilesError.self) { try directory.rename("a", to: "b", rule: .refuse) }
        #expect(refused?.errno == .fileExists)
        try directory.rename("a", to: "b", rule: .exchange)
        #expect(try Shell.output("cd \(temporary.path); cat a b") == "b\na\n")
        try directory.rename("a", to: "b")
        try directory.rename("b", to: "c", in: try directory.directory("d"), rule: .refuse)
        #expect(try Shell.output("cat \(temporary.path)/d/c") == "b\n")
        #expect(try directory.names() == ["d"])
        #expect(throws: FilesError.self) { try directory.rename("no", to: "where") }
    }

    @Test("makes, looks at, links and removes files, and follows no link")
    func files() throws {
        try directory.makeDirectory("d")
        let inner = try directory.directory("d")
        _ = try inner.create("f")
        try inner.link("f", as: "g", in: directory)
        #expect(try directory.stat("g")?.linkCount == 2)
        #expect(try directory.stat("g")?.mode == 0o600)
        #expect(try directory.stat("none") == nil)
        try make("ln -s g link; ln -s d dlink")
        for error in [
            #expect(throws: FilesError.self) { _ = try directory.open("link") },
            #expect(throws: FilesError.self) { _ = try directory.create("link") },
            #expect(throws: FilesError.self) { _ = try directory.directory("dlink") },
            #expect(throws: FilesError.self) { _ = try directory.link("g", as: "link") },
        ] {
            #expect([.fileExists, .tooManySymbolicLinkLevels, .notDirectory].contains(try #require(error).errno))
        }
        #expect(try directory.stat("link")?.kind == .symbolicLink)
        try directory.remove("link")
        try directory.remove("link")
        #expect(throws: FilesError.self) { try directory.remove("d") }
        try directory.sync()
        try directory.syncFileSystem()
    }

    @Test("removes a tree, but not what its links point to")
    func removeTree() throws {
        try make(
            #"mkdir -p keep t/a/b t/c; echo > keep/f; ln -s ../keep t/l; ln keep/f t/a/h; mkfifo t/a/p; touch $'t/a/b/\xff'; chmod 0 t/c"#
        )
        try directory.removeTree("t")
        try directory.removeTree("t")
        #expect(try Shell.output("cd \(temporary.path); find . | sort") == ".\n./keep\n./keep/f\n")
        try make("ln -s keep l")
        try directory.removeTree("l")
        #expect(try directory.names() == ["keep"])
    }

    @Test("stops removing at a mount point", .enabled(if: isRoot))
    func mountPoint() throws {
        try make("mkdir -p t/m t/n keep; echo > keep/f; echo > t/n/f; mount --bind keep t/m")
        defer { _ = try? Shell.run("umount -l \(temporary.path)/t/m") }
        let error = #expect(throws: FilesError.self) { try directory.removeTree("t") }
        #expect(error?.errno == .resourceBusy && error?.path == "\(temporary.path)/t/m")
        #expect(try Shell.output("ls \(temporary.path)/keep") == "f\n")
    }

    @Test("removes a tree that is deeper than a stack and than there are descriptors", .enabled(if: isRoot))
    func deepTree() throws {
        try make(
            "mkdir m; mount -t tmpfs none m; cd m; python3 -c 'import os\nfor i in range(30000): os.mkdir(\"d\"); open(\"z\", \"w\").close(); os.chdir(\"d\")'"
        )
        defer { _ = try? Shell.run("umount -l \(temporary.path)/m") }
        try directory.directory("m").removeTree("d")
        #expect(try directory.directory("m").names() == ["z"])
    }

    @Test("lies on a file system that tells its room", .enabled(if: isRoot))
    func space() throws {
        try make("mkdir m; mount -t tmpfs -o size=1M,nr_inodes=50 none m")
        defer { _ = try? Shell.run("umount -l \(temporary.path)/m") }
        let before = try FileSystemSpace(at: temporary / "m")
        #expect(before.totalBytes == 1 << 20 && before.availableBytes == 1 << 20)
        try make("head -c 65536 /dev/zero > m/f")
        let after = try FileSystemSpace(at: temporary / "m")
        #expect(after.availableBytes == 1 << 20 - 65536)
        #expect(after.availableFiles == before.availableFiles.map { $0 - 1 })
    }
}
