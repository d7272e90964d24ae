import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("A root directory") struct RootDirectoryTests {
    let directory: TemporaryDirectory
    let root: RootDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output(
            "cd \(directory.path); mkdir -p outside root/etc; echo out > outside/f; echo in > root/etc/hosts"
        )
        root = try RootDirectory(path: directory / "root")
    }

    @Test(
        "opens absolute and relative paths below it",
        arguments: ["/etc/hosts", "etc/hosts", "/../etc/../../etc/hosts"]
    )
    func paths(path: String) throws {
        #expect(try root.readFile(FilePath(path), limitBytes: 3) == Array("in\n".utf8))
    }

    @Test("keeps links inside, wherever they point")
    func links() throws {
        try Shell.output(
            "cd \(directory.path)/root; ln -s /etc etc/abs; ln -s ../../../outside/f etc/up; ln -s \(directory.path)/outside/f etc/out; ln -s loop etc/loop"
        )
        #expect(try root.readFile("/etc/abs/hosts", limitBytes: 9) == Array("in\n".utf8))
        #expect(try !root.exists("etc/up"))
        #expect(try !root.exists("etc/out"))
        #expect(throws: FilesError.self) { try root.exists("etc/loop") }
        #expect(try root.target(ofLink: "etc/up") == "../../../outside/f")
        #expect(try root.target(ofLink: "etc/hosts") == nil)
        #expect(try root.target(ofLink: "etc/none") == nil)
        #expect(try root.stat("etc/abs").kind == .directory)
        #expect(try root.stat("etc/abs", followsLink: false).kind == .symbolicLink)
    }

    @Test("makes directories below it, through links that stay inside")
    func makeDirectory() throws {
        try Shell.output("cd \(directory.path)/root; ln -s /etc link; ln -s /none dangling; umask 077")
        let made = try root.makeDirectory("/link/systemd/system", mode: 0o755)
        #expect(made.path == directory / "root/link/systemd/system")
        #expect(try root.stat("etc/systemd/system").mode == 0o755)
        _ = try root.makeDirectory("/link/systemd/system", mode: 0o700)
        #expect(try root.stat("etc/systemd/system").mode == 0o755)
        #expect(throws: FilesError.self) { try root.makeDirectory("etc/hosts/below") }
        #expect(throws: FilesError.self) { try root.makeDirectory("dangling/below") }
        #expect(try root.directoryIfPresent("none/below") == nil)
        #expect(try root.directoryIfPresent("etc")?.names().count == 2)
    }

    @Test("writes files below it: whole, with their mode, and never through a link to the outside")
    func writeFile() throws {
        try Shell.output("cd \(directory.path)/root; ln -s ../../outside etc/up; ln -s ../../outside/f etc/out")
        try root.writeFile("/etc/new", "text".utf8)
        #expect(try root.readFileIfPresent("etc/new", limitBytes: 9) == Array("text".utf8))
        #expect(try root.stat("etc/new").mode == 0o644)
        #expect(try root.readFileIfPresent("etc/none/new", limitBytes: 9) == nil)
        try root.writeFile("/etc/out", "mine".utf8, mode: 0o600)
        #expect(try Shell.output("cat \(directory.path)/outside/f") == "out\n")
        #expect(throws: FilesError.self) { try root.writeFile("/etc/up/f", "x".utf8) }
        try root.overwrite("etc/hosts", with: "on".utf8)
        #expect(try root.readFile("etc/hosts", limitBytes: 9) == Array("on\n".utf8))
        #expect(throws: FilesError.self) { try root.overwrite("etc/none", with: "on".utf8) }
    }

    @Test("lists names by their bytes")
    func names() throws {
        try Shell.output(#"cd \#(directory.path)/root; mkdir d; cd d; touch b B é .h a.b ab a $'\xff'"#)
        let names = try root.names(in: "/d").map { name in
            name.withPlatformString { Array(UnsafeBufferPointer(start: $0, count: 2)).map { UInt8(bitPattern: $0) } }
        }
        #expect(names.map(\.[0]) == [0x2E, 0x42, 0x61, 0x61, 0x61, 0x62, 0xC3, 0xFF])
        #expect(names[2...4].map(\.[1]) == [0, 0x2E, 0x62])
    }

    @Test("says what could not be done to which file of the node")
    func errors() throws {
        try Shell.output("echo 0123456789 > \(directory.path)/root/big")
        let missing = #expect(throws: FilesError.self) { try root.readFile("/etc/shadow", limitBytes: 10) }
        #expect(missing?.summary == "could not open '\(directory.path)/root/etc/shadow': No such file or directory")
        #expect(missing?.exitStatus == .noInput)
        let large = #expect(throws: FilesError.self) { try root.readFile("big", limitBytes: 10) }
        #expect(large?.summary == "could not read '\(directory.path)/root/big': File too large")
        #expect(try root.readFile("big", limitBytes: 11).count == 11)
        #expect(throws: FilesError.self) { try root.readFile("etc", limitBytes: 10) }
        #expect(throws: FilesError.self) { try RootDirectory(path: directory / "none") }
        #expect(throws: FilesError.self) { try root.names(in: "big") }
    }

    @Test("turns paths into tree paths and back, byte for byte")
    func conversion() {
        let path = FilePath(platformString: [0x2F, 0x61, 0x2F, -1, -2, 0])
        let tree = TreePath(path)
        #expect(tree?.bytes == [0x61, 0x2F, 0xFF, 0xFE])
        #expect(tree.map { FilePath("/").appending($0) } == path)
        #expect(FilePath(TreePath.root) == ".")
        #expect(TreePath("/") == .root && TreePath(FilePath("/")) == .root && TreePath(FilePath("")) == .root)
        #expect(TreePath(FilePath("/etc/../x")) == nil)
        #expect(RootDirectoryTests.text("/", "etc/hosts") == "/etc/hosts")
    }

    static func text(_ root: FilePath, _ path: TreePath) -> String? { (try? RootDirectory(path: root))?.text(of: path) }
}

@Suite("A file error") struct FilesErrorTests {
    @Test(
        "has the exit status of its reason",
        arguments: [
            (Errno.noSpace, 73), (.diskQuotaExceeded, 73), (.readOnlyFileSystem, 73), (.permissionDenied, 77),
            (.notPermitted, 77), (.noSuchFileOrDirectory, 66), (.ioError, 74), (.fileExists, 73),
            (.tooManyOpenFiles, 71),
            (.noMemory, 71), (.resourceTemporarilyUnavailable, 71),
        ] as [(Errno, Int32)]
    )
    func statuses(errno: Errno, status: Int32) {
        let error = FilesError(operation: "open", path: "/etc/shadow", errno: errno)
        #expect(error.exitStatus.rawValue == status)
        #expect(error.summary.hasPrefix("could not open '/etc/shadow': "))
    }
}
