import Files
import SystemPackage
import TestSupport
import Testing

@Suite("A walk") struct TreeWalkTests {
    let directory: TemporaryDirectory
    var root: FilePath { directory.path }

    init() throws { directory = try TemporaryDirectory() }

    func make(_ lines: String) throws { try Shell.output("set -e; umask 022; cd \(directory.path); \(lines)") }

    @Test("tells kind, mode, size, link target and time of each file")
    func kinds() throws {
        try make(
            """
            mkdir -m 1777 d; printf hello > d/file; chmod 4751 d/file; ln -s 'no where' d/link; mkfifo -m 640 d/pipe
            touch -h -d '1969-07-20 20:17:40.123456789 UTC' d/file d/link d/pipe; touch -d @7.000000001 d; touch -d @8 .
            """
        )
        let records = try walk(root).records
        let moon = FileTime(seconds: -14_182_940, nanoseconds: 123_456_789)
        #expect(records.map(\.path.description) == [".", "d", "d/file", "d/link", "d/pipe"])
        #expect(records.map(\.kind) == [.directory, .directory, .regular, .symbolicLink, .fifo])
        #expect(records.dropFirst().map(\.mode) == [0o1777, 0o4751, 0o777, 0o640])
        #expect(records.map(\.size) == [0, 0, 5, 0, 0])
        #expect(records.map(\.linkTarget) == [nil, nil, nil, Array("no where".utf8), nil])
        #expect(records.dropFirst(2).map(\.modified) == [moon, moon, moon])
        #expect(records[1].modified == FileTime(seconds: 7, nanoseconds: 1))
        #expect(records.allSatisfy { $0.hint != nil && $0.hardLink == nil && $0.attributes.isEmpty })
    }

    @Test("reads every extended attribute of every kind of file", .enabled(if: isRoot))
    func attributes() throws {
        try make(
            """
            touch file; mkdir dir; ln -s x link; mkfifo pipe; mknod null c 1 3; mknod loop b 7 200
            for f in file dir link pipe null loop; do
                setfattr -h -n trusted.t -v 't' $f; setfattr -h -n security.selinux -v 'u:o:t:s0' $f
            done
            setfattr -n user.empty file; setfattr -n user.big -v "$(head -c 3000 /dev/zero | tr '\\0' x)" file
            setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 file
            setfacl -m u:7:r file; setfacl -d -m g:8:rwx dir
            """
        )
        let records = try walk(root).records.dropFirst()
        let names = Dictionary(
            uniqueKeysWithValues: records.map { record in
                (record.path.description, record.attributes.map { String(decoding: $0.name, as: UTF8.self) })
            }
        )
        let labels = ["security.selinux", "trusted.t"]
        for name in ["link", "pipe", "null", "loop"] { #expect(names[name] == labels) }
        #expect(names["dir"] == ["security.selinux", "system.posix_acl_default", "trusted.t"])
        #expect(
            names["file"]
                == [
                    "security.capability", "security.selinux", "system.posix_acl_access", "trusted.t", "user.big",
                    "user.empty",
                ]
        )
        let file = try #require(records.first { $0.path.description == "file" })
        #expect(file.attributes[1].value == Array("u:o:t:s0".utf8))
        #expect(file.attributes[4].value == Array(repeating: UInt8(ascii: "x"), count: 3000))
        #expect(file.attributes[5].value == [])
        #expect(records.first { $0.path.description == "null" }?.device == DeviceNumber(major: 1, minor: 3))
        #expect(records.first { $0.path.description == "loop" }?.device == DeviceNumber(major: 7, minor: 200))
    }

    @Test("keeps the bytes of names that are not UTF-8")
    func names() throws {
        try make(#"touch $'\xff\xfe' $'a\nb' $'\x01' 'é'"#)
        #expect(
            try walk(root).records.dropFirst().map(\.path.bytes) == [[1], [97, 10, 98], [0xC3, 0xA9], [0xFF, 0xFE]]
        )
    }

    @Test("goes in the order of tree paths", arguments: 1...6 as ClosedRange<UInt64>)
    func order(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let alphabet = [".", "-", "a", "b", "A", "0", "é", " ", "~"]
        var directories = ["."]
        var lines = ""
        for _ in 0..<120 {
            let name =
                "x"
                + (0..<Int.random(in: 0...3, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
                .joined()
            let path = directories.randomElement(using: &random)! + "/" + name
            if Bool.random(using: &random) {
                lines += "mkdir '\(path)' 2>/dev/null && true; "
                directories.append(path)
            } else {
                lines += "touch '\(path)' 2>/dev/null || true; "
            }
        }
        _ = try Shell.run("cd \(root); \(lines)")
        let paths = try walk(root).records.map(\.path)
        let found = try Shell.output("cd \(root); find . -print0").split(separator: "\0").compactMap {
            TreePath(validating: $0.utf8)
        }
        #expect(paths.count > 20)
        #expect(paths == found.sorted())
    }

    @Test("takes subtrees in any order, overlapping, missing, files and links among them")
    func subtrees() throws {
        try make(
            "mkdir -p etc/ssh usr/local/bin var; echo > etc/hosts; echo > etc/ssh/key; ln -s ../hosts etc/ssh/link; echo > var/x"
        )
        let events = try walk(
            root,
            ["var/x", "etc/ssh", "etc", "no/such", "etc/ssh/link", "usr/local", "var/x/y", "nor"].map {
                TreePath(validating: $0.utf8)!
            }
        )
        #expect(
            events.paths == [
                "etc", "etc/hosts", "etc/ssh", "etc/ssh/key", "etc/ssh/link", "usr/local", "usr/local/bin", "var/x",
            ]
        )
        #expect(
            events.leftOut
                == ["no/such", "nor", "var/x/y"].map { LeftOut(path: TreePath(validating: $0.utf8)!, reason: .missing) }
        )
    }

    @Test("resolves the way to a subtree inside the root, and follows no link from there on")
    func links() throws {
        try make(
            "mkdir -p var/usrlocal/bin usr etc; echo > var/usrlocal/bin/tool; ln -s /var/usrlocal usr/local; ln -s / etc/all"
        )
        #expect(try walk(root, ["usr/local/bin/tool", "usr/local"]).paths == ["usr/local", "usr/local/bin/tool"])
        #expect(try walk(root, ["etc"]).paths == ["etc", "etc/all"])
    }

    @Test("leaves out sockets, the store and what patterns name, and tells so")
    func leftOut() throws {
        try make(
            """
            mkdir -p etc/deep/er store/points; touch etc/a.tmp etc/b etc/deep/c.tmp etc/deep/er/x store/points/1
            python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("etc/sock")'
            """
        )
        let store = try RootDirectory(path: root).stat("store").identity
        let events = try walk(root, exclusions: ["etc/*.tmp", "etc/*/er"], leaveOut: [store: "recovery store"])
        #expect(events.paths == [".", "etc", "etc/b", "etc/deep", "etc/deep/c.tmp"])
        #expect(
            events.leftOut
                == [
                    LeftOut(path: "etc/a.tmp", reason: .excluded), LeftOut(path: "etc/deep/er", reason: .excluded),
                    LeftOut(path: "etc/sock", reason: .socket),
                    LeftOut(path: "store", reason: .named("recovery store")),
                ]
        )
        #expect(try walk(root, ["etc/deep/er/x"], exclusions: ["etc/*/er"]).leftOut.map(\.reason) == [.excluded])
    }

    @Test(
        "leaves out what is mounted below, a bind mount of the same file system and of a file too",
        .enabled(if: isRoot)
    )
    func mountPoints() throws {
        try make("mkdir -p top/a/vol top/b top/same; echo > top/file; echo > top/other; mkdir 'top/blank name'")
        defer {
            // the test's own mounts, in its own directory
            _ = try? Shell.run("cd \(root); umount -l top/a/vol top/same top/file 'top/blank name' top")
        }
        try make("mount --bind top top; mount -t tmpfs secret top/a/vol; mount --bind top/b top/same")
        try make("mount --bind top/other top/file; mount -t tmpfs none 'top/blank name'; echo > top/a/vol/token")
        let events = try walk(root, ["top"])
        #expect(events.paths == ["top", "top/a", "top/b", "top/other"])
        #expect(events.leftOut.map(\.path.description) == ["top/a/vol", "top/blank name", "top/file", "top/same"])
        guard case .mountPoint("tmpfs", "secret") = events.leftOut.first?.reason else {
            Issue.record("no type or source: \(events.leftOut)")
            return
        }
        #expect(try walk(root, ["top/a/vol"]).paths == ["top/a/vol", "top/a/vol/token"])
        #expect(try walk(root, ["top"], oneFileSystem: false).paths.contains("top/a/vol/token"))
    }

    @Test("gives further names of a file the first one, also when a subtree lies between them")
    func hardLinks() throws {
        try make(
            "mkdir -p a b c; echo 1 > b/one; ln b/one a/zero; ln b/one c/two; ln -s x a/l; ln a/l c/l; echo > c/single"
        )
        let records = try walk(root, ["c", "a", "b"]).records
        let links = records.filter { $0.hardLink != nil }.map { "\($0.path) \($0.hardLink!) \($0.size)" }
        #expect(links == ["b/one a/zero 2", "c/l a/l 0", "c/two a/zero 2"])
    }

    @Test("goes on behind a directory that is taken away, and behind one whose place is taken")
    func vanishing() throws {
        try make("mkdir -p a b c d; touch a/x b/x c/x d/x")
        var walk = TreeWalk(root: try RootDirectory(path: root))
        var events = [TreeWalk.Event]()
        while let event = try walk.next() {
            events.append(event)
            switch event {
            case .file(let record) where record.path == "a": try make("rm -r a")
            case .file(let record) where record.path == "b":
                try make("mv b bb; mkdir b; touch b/new; rm -r c; rm -r bb")
            case .file(let record) where record.path == "d": try make("rm -r d; ln -s / d")
            default: break
            }
        }
        #expect(events.paths == [".", "a", "b", "d"])
        #expect(
            events.leftOut
                == ["a", "b", "c", "d"].map { LeftOut(path: TreePath(validating: $0.utf8)!, reason: .vanished) }
        )
    }

    @Test("comes back from a tree that is deeper than a process may have files open")
    func deep() throws {
        try make(
            "python3 -c 'import os\nfor i in range(1500): os.mkdir(\"d\"); open(\"z\", \"w\").close(); os.chdir(\"d\")'"
        )
        let records = try walk(root).records
        #expect(records.count == 1 + 2 * 1500)
        #expect(records.map(\.path) == records.map(\.path).sorted())
        #expect(records.last?.path == "z")
    }

    @Test("opens the content of the file that it just returned, and notices another one in its place")
    func content() throws {
        try make("printf first > f; printf second > g")
        var walk = TreeWalk(root: try RootDirectory(path: root), subtrees: ["f", "g"])
        _ = try walk.next()
        let file = try walk.openContent()
        #expect(try file.descriptor.readAll(limitBytes: 100, path: "f") == Array("first".utf8))
        let before = try FileStat(of: file.descriptor, path: "f")
        #expect(before.isUnchanged(in: walk.stat))
        try make("printf more >> f")
        #expect(try !before.isUnchanged(in: FileStat(of: file.descriptor, path: "f")))
        _ = try walk.next()
        try make("mv f g")
        #expect(throws: FilesError(operation: "open", path: "\(root)/g", errno: Errno(rawValue: 116))) {
            _ = try walk.openContent()
        }
        try make("ln -sf f g")
        #expect(throws: FilesError(operation: "open", path: "\(root)/g", errno: Errno(rawValue: 116))) {
            _ = try walk.openContent()
        }
        try make("rm g")
        do {
            _ = try walk.openContent()
            Issue.record("opened a file that is gone")
        } catch {
            #expect(error.summary == "could not open '\(root)/g': No such file or directory")
        }
    }

    @Test(
        "goes on behind what it may not read, and opens what it may not open without access time",
        .enabled(if: isRoot)
    )
    func unreadable() throws {
        try make("chmod 755 .; mkdir -m 700 a; touch a/x; mkdir -m 744 b; touch b/x; mkdir c; printf text > c/f")
        let rootDirectory = try RootDirectory(path: root)
        var walk = TreeWalk(root: rootDirectory)
        var events = [TreeWalk.Event]()
        try asNobody {
            while let event = try walk.next() {
                events.append(event)
                if case .file(let record) = event, record.kind == .regular {
                    let file = try walk.openContent()
                    #expect(try file.descriptor.readAll(limitBytes: 9, path: "") == Array("text".utf8))
                }
            }
        }
        #expect(events.paths == [".", "a", "b", "c", "c/f"])
        #expect(
            events.filter { if case .unreadable = $0 { true } else { false } }
                == [
                    .unreadable("a", FilesError(operation: "open", path: "\(root)/a", errno: .permissionDenied)),
                    .unreadable("b/x", FilesError(operation: "examine", path: "\(root)/b/x", errno: .permissionDenied)),
                ]
        )
    }

    @Test("leaves access times alone")
    func accessTime() throws {
        try make("mkdir d; printf x > d/f; touch -a -d @5 d/f d")
        var walk = TreeWalk(root: try RootDirectory(path: root))
        while let event = try walk.next() {
            if case .file(let record) = event, record.kind == .regular {
                let file = try walk.openContent()
                _ = try file.descriptor.readAll(limitBytes: 9, path: "")
            }
        }
        #expect(try Shell.output("stat -c %X \(root)/d \(root)/d/f") == "5\n5\n")
    }
}
