import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("An atomic file") struct AtomicFileTests {
    let temporary: TemporaryDirectory
    let directory: Directory

    init() throws {
        temporary = try TemporaryDirectory()
        directory = try Directory(path: temporary.path)
    }

    func text(_ name: FilePath.Component) throws -> String {
        let file = try directory.open(name)
        return String(decoding: try file.descriptor.readAll(limitBytes: 1 << 30, path: ""), as: UTF8.self)
    }

    @Test("takes the place of the old one, whatever that was")
    func replaces() throws {
        try AtomicFile.write("one".utf8, to: "f", in: directory)
        #expect(try directory.stat("f")?.mode == 0o600)
        try AtomicFile.write("two".utf8, to: "f", in: directory, mode: 0o755)
        #expect(try text("f") == "two")
        #expect(try directory.stat("f")?.mode == 0o755)
        try Shell.output("cd \(temporary.path); ln -s f link")
        try AtomicFile.write("three".utf8, to: "link", in: directory)
        #expect(try text("f") == "two" && text("link") == "three")
        #expect(try directory.names() == ["f", "link"])
    }

    @Test("leaves the old one, and nothing beside it, when the content fails")
    func failure() throws {
        struct Torn: Error {}
        try AtomicFile.write("old".utf8, to: "f", in: directory)
        #expect(throws: Torn.self) {
            try AtomicFile.write(to: "f", in: directory) { file in
                _ = try file.writeAll("new".utf8)
                throw Torn()
            }
        }
        #expect(try text("f") == "old")
        try Shell.output("mkdir \(temporary.path)/d")
        #expect(throws: FilesError.self) { try AtomicFile.write("x".utf8, to: "d", in: directory) }
        #expect(throws: FilesError.self) { try AtomicFile.link(to: "x", as: "d", in: directory) }
        #expect(try directory.names() == ["d", "f"])
    }

    @Test("leaves nothing when the file system is full", .enabled(if: isRoot))
    func full() throws {
        try Shell.output("cd \(temporary.path); mkdir m; mount -t tmpfs -o size=64k none m")
        defer { _ = try? Shell.run("umount -l \(temporary.path)/m") }
        let small = try Directory(path: temporary / "m")
        try AtomicFile.write("old".utf8, to: "f", in: small)
        let error = #expect(throws: FilesError.self) {
            try AtomicFile.write([UInt8](repeating: 1, count: 1 << 20), to: "f", in: small)
        }
        #expect(error?.errno == .noSpace && error?.exitStatus == .cantCreate)
        #expect(try Shell.output("cd \(temporary.path)/m; ls -A; cat f") == "f\nold")
    }

    @Test("can be a copy of an open file")
    func copy() throws {
        try Shell.output("cd \(temporary.path); head -c 3000001 /dev/urandom > a")
        let source = try directory.open("a")
        try AtomicFile.copy(source.descriptor, to: "b", in: directory, mode: 0o700)
        try Shell.output("cmp \(temporary.path)/a \(temporary.path)/b")
        #expect(try directory.stat("b")?.mode == 0o700)
    }

    @Test("can be a link, replaced in one moment")
    func link() throws {
        try AtomicFile.link(to: "points/6", as: "latest", in: directory)
        try AtomicFile.link(to: "points/7", as: "latest", in: directory)
        #expect(try Shell.output("readlink \(temporary.path)/latest; ls -A \(temporary.path)") == "points/7\nlatest\n")
    }
}
