import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("A hostile archive") struct TreeRestorerHostileTests {
    let directory: TemporaryDirectory
    var tree: FilePath { directory / "place/tree" }
    private var archive: FilePath { directory.path.appending("x.tar.zst") }
    private var index: FilePath { directory.path.appending("x.files.zst") }

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output(
            """
            mkdir -p \(directory.path)/place/tree/etc/sub \(directory.path)/place/out; cd \(directory.path)/place
            echo secret > out/secret; echo 1 > tree/etc/file; ln -s ../../out tree/etc/toOut; ln -s \(directory.path)/place/out tree/link
            """
        )
    }

    /// Writes an index of these lines (with `~` for what every line has) and an archive that Python makes.
    private func write(_ lines: [String], _ python: String = "") throws {
        let metadata = "mode=00644 uid=0 gid=0"
        let text =
            "#mtree\n# node-recovery index 1\n"
            + lines.map { $0.replacing("~", with: metadata) + "\n" }.joined() + "# end \(lines.count)\n"
        try writeFrames([Array(text.utf8)], to: index)
        let script = """
            import io, sys, tarfile
            t = tarfile.open(fileobj=open(sys.argv[1], 'wb'), mode='w', format=tarfile.PAX_FORMAT)
            def add(name, content=None, **more):
                i = tarfile.TarInfo(name); i.mtime = 1
                for key, value in more.items(): setattr(i, key, value)
                if content is not None: i.size = len(content)
                t.addfile(i, None if content is None else io.BytesIO(content))
            \(python)
            t.close()
            """
        try writeBytes(Array(script.utf8), directory / "make.py")
        try Shell.output("cd \(directory.path) && python3 make.py x.tar && zstd -q -f x.tar -o x.tar.zst")
    }

    private func restorer() throws -> TreeRestorer {
        let root = try RootDirectory(path: tree)
        let request = TreeRestorer.Request(root: root, archive: archive, index: index, within: ["etc", "a"])
        return TreeRestorer(request, cancellation: Cancellation())
    }

    /// Everything in and beside the tree.
    private func everything() throws -> String {
        try Shell.output(
            "cd \(directory.path)/place && find . -printf '%p %y %l %i %C@ %T@\\n' | LC_ALL=C sort && cat out/secret"
        )
    }

    static let digest = SHA256Hasher.digest(of: Array("hi".utf8)).hex
    static let file = "type=file ~ size=2 time=1.000000000 sha256digest=\(digest)"
    static let directoryLine = "./etc type=dir mode=00755 uid=0 gid=0 time=1.000000000"

    static let badIndexes: [[String]] = [
        ["./../out/secret \(file)"],
        ["./etc/../../out/secret \(file)"],
        [".//etc/x \(file)"],
        ["/etc/x \(file)"],
        ["./etc/./x \(file)"],
        [directoryLine, "./etc/x/../../../out/secret \(file)"],
        // a link, then a file through it
        ["./etc type=link ~ time=1.000000000 link=../../out", "./etc/secret \(file)"],
        [directoryLine, "./etc/l type=link ~ time=1.000000000 link=../../out", "./etc/l/secret \(file)"],
        [directoryLine, "./etc/file \(file)", "./etc/file/secret \(file)"],
        // a file whose directory is missing between two others: the node's own link would be followed
        [directoryLine, "./etc/toOut/secret \(file)"],
        // hard links that lead out, nowhere, to a directory, to another kind, through another hard link
        [directoryLine, "./etc/x type=file ~ size=6 time=1.000000000 hardlink=./../out/secret"],
        [directoryLine, "./etc/x type=file ~ size=6 time=1.000000000 hardlink=./a/secret"],
        [
            directoryLine, "./etc/sub \(directoryLine.dropFirst(6))",
            "./etc/x type=file ~ size=6 time=1.000000000 hardlink=./etc/sub",
        ],
        [
            directoryLine, "./etc/l type=link ~ time=1.000000000 link=x",
            "./etc/x type=file ~ size=2 time=1.000000000 hardlink=./etc/l",
        ],
        [
            directoryLine, "./etc/a \(file)", "./etc/b type=file ~ size=2 time=1.000000000 hardlink=./etc/a",
            "./etc/c type=file ~ size=2 time=1.000000000 hardlink=./etc/b",
        ],
        // what another component is about
        ["./root/.ssh/authorized_keys \(file)"], ["./etcetera \(file)"],
        [". type=dir \(directoryLine.dropFirst(15))", "./etcetera \(file)"],
        [". \(file)"],
        [". type=link ~ time=1.000000000 link=out"],
        // names that are too long
        ["./etc/\(String(repeating: "n", count: 256)) \(file)"],
        ["./\(Array(repeating: "n", count: 2500).joined(separator: "/")) \(file)"],
        // there twice, out of order
        [directoryLine, "./etc/x \(file)", "./etc/x \(file)"],
        [directoryLine, "./etc/x \(file)", "./etc/a \(file)"],
    ]

    @Test("is refused with its index, and nothing is written", arguments: badIndexes)
    func indexes(_ lines: [String]) throws {
        try write(lines, "add('etc', type=tarfile.DIRTYPE)")
        let before = try everything()
        let error = try #require(throws: ArchiveError.self) { try restorer().run() }
        #expect(error.exitStatus == .dataError, "\(error.summary)")
        #expect(throws: error) { try restorer().plan { _ in true } }
        #expect(try everything() == before)
    }

    @Test(
        "is refused by a verification too, even when its index and its archive agree",
        arguments: [
            // a file in a file, a directory that is missing, another component's place, a hard link to nothing
            (
                [directoryLine, "./etc/file \(file)", "./etc/file/x \(file)"],
                "add('etc', type=tarfile.DIRTYPE, mode=0o755); add('etc/file', b'hi'); add('etc/file/x', b'hi')"
            ),
            (
                [directoryLine, "./etc/toOut/x \(file)"],
                "add('etc', type=tarfile.DIRTYPE, mode=0o755); add('etc/toOut/x', b'hi')"
            ),
            (["./root/x \(file)"], "add('root/x', b'hi')"),
            (
                [directoryLine, "./etc/x type=file ~ size=2 time=1.000000000 hardlink=./etc/a"],
                "add('etc', type=tarfile.DIRTYPE, mode=0o755); add('etc/x', type=tarfile.LNKTYPE, linkname='etc/a')"
            ),
        ]
    )
    func verification(lines: [String], python: String) throws {
        try write(lines, python)
        let error = #expect(throws: ArchiveError.self) { try verify() }
        #expect(error?.exitStatus == .dataError)
        #expect(throws: ArchiveError.self) { try restorer().run() }
    }

    @Test(
        "is refused for what lies behind its end: data, or zeros without end",
        arguments: [
            "t.fileobj.write(b'x')", "t.fileobj.write(bytes(3 << 20))",
        ]
    )
    func behindTheEnd(python: String) throws {
        try write([Self.directoryLine], "add('etc', type=tarfile.DIRTYPE, mode=0o755)")
        try verify()
        try write(
            [Self.directoryLine],
            "add('etc', type=tarfile.DIRTYPE, mode=0o755); t.fileobj.write(bytes(10240)); \(python)"
        )
        let error = #expect(throws: ArchiveError.self) { try verify() }
        #expect(error?.exitStatus == .dataError)
    }

    private func verify() throws {
        _ = try ArchiveVerifier.verify(
            archive: archive,
            archiveDigest: SHA256Hasher.digest(of: contents(archive)),
            index: index,
            indexDigest: SHA256Hasher.digest(of: contents(index)),
            within: ["etc", "a"],
            cancellation: Cancellation()
        )
    }

    static let badArchives = [
        "add('../out/secret', b'hi')", "add('/etc/x', b'hi')", "add('etc/x/../../../out/secret', b'hi')",
        "add('etc/x', type=tarfile.LNKTYPE, linkname='../out/secret')",
        "add('etc/x', type=tarfile.SYMTYPE, linkname='../../out/secret')",
        "add('etc/x', type=tarfile.CHRTYPE, devmajor=1, devminor=1)",
        "add('etc/y', b'hi')", "add('etc/x', b'ho')", "add('etc/x', b'hihi')", "add('etc/x', b'')", "",
        "add('etc/x', b'hi', uid=7)", "add('etc/x', b'hi', mode=0o4755)", "add('etc/' + 'x' * 5000, b'hi')",
    ]

    @Test("is refused when it is not what its index says, and nothing is written", arguments: badArchives)
    func archives(_ python: String) throws {
        try write(
            [Self.directoryLine, "./etc/x \(Self.file)"],
            "add('etc', type=tarfile.DIRTYPE, mode=0o755); " + (python.isEmpty ? "pass" : python)
        )
        let before = try Shell.output(
            "cd \(directory.path)/place && find . -printf '%p %y %l %i %T@\\n' | LC_ALL=C sort"
        )
        let error = try #require(throws: ArchiveError.self) { try restorer().run() }
        #expect(error.exitStatus == .dataError || error.exitStatus == .noInput, "\(error.summary)")
        let after = try Shell.output(
            "cd \(directory.path)/place && find . -printf '%p %y %l %i %T@\\n' | LC_ALL=C sort"
        )
        #expect(after == before)
    }

    @Test("makes links that lead out, and devices, in its tree alone", .enabled(if: isRoot))
    func inside() throws {
        let line = "mode=00755 uid=0 gid=0 time=1.000000000"
        try write(
            [
                "./etc type=dir \(line)", "./etc/file type=char ~ time=1.000000000 device=linux,1,3",
                "./etc/sub type=link mode=00777 uid=0 gid=0 time=1.000000000 link=../../out",
                "./etc/toOut type=dir \(line)",
                "./etc/toOut/secret \(Self.file)",
            ],
            """
            add('etc', type=tarfile.DIRTYPE, mode=0o755)
            add('etc/file', type=tarfile.CHRTYPE, devmajor=1, devminor=3)
            add('etc/sub', type=tarfile.SYMTYPE, linkname='../../out', mode=0o777)
            add('etc/toOut', type=tarfile.DIRTYPE, mode=0o755)
            add('etc/toOut/secret', b'hi')
            """
        )
        let outside = try Shell.output("stat -c '%i %z' \(directory.path)/place/out/*")
        #expect(try restorer().run().written == 4)
        #expect(
            try Shell.output("cd \(tree)/etc && stat -c %F file sub toOut && cat toOut/secret").hasSuffix(
                "directory\nhi"
            )
        )
        #expect(try Shell.output("stat -c '%i %z' \(directory.path)/place/out/*") == outside)
        #expect(try restorer().run().written == 0)
    }

    @Test("fills the file system with zeros at most until it is full, and all is taken back", .enabled(if: isRoot))
    func bomb() throws {
        let small = try directory.mount("place/tree/etc", options: "size=2m")
        try Shell.output("echo 1 > \(small)/file; touch -d @1 \(small)")
        let size = 64 << 20
        let zeros = [UInt8](repeating: 0, count: size)
        let digest = SHA256Hasher.digest(of: zeros).hex
        try write(
            [Self.directoryLine, "./etc/file type=file ~ size=\(size) time=1.000000000 sha256digest=\(digest)"],
            "add('etc', type=tarfile.DIRTYPE, mode=0o755); add('etc/file', bytes(\(size)))"
        )
        #expect(try contents(archive).count < 10_000)
        let needed = try restorer().neededBytes()
        #expect(needed.map(\.path) == [tree.appending("etc")] && needed.allSatisfy { $0.bytes > Int64(size) })
        let error = try #require(throws: FilesError.self) { try restorer().run() }
        #expect(error.errno == .noSpace)
        #expect(try Shell.output("cd \(small) && find . -printf '%p %T@\\n' -type f -exec cat {} +").hasPrefix(". 1.0"))
        #expect(try Shell.output("cd \(small) && ls -A && cat file") == "file\n1\n")
    }
}
