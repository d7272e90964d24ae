import Files
import Glibc
import SystemPackage
import TestSupport
import Testing

@Suite("A tree writer") struct TreeWriterTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir \(directory.path)/from \(directory.path)/to")
    }

    /// Copies `from` to `to` the way an archive would.
    func copy() throws {
        var walk = TreeWalk(root: try RootDirectory(path: directory / "from"))
        let writer = try TreeWriter(directory: directory / "to")
        while let event = try walk.next() {
            guard case .file(var record) = event else { continue }
            try walk.readDetails(&record)
            if record.hardLink != nil {
                try writer.makeHardLink(record)
                continue
            }
            switch record.kind {
            case .directory: try writer.makeDirectory(record)
            case .symbolicLink: try writer.makeSymbolicLink(record)
            case .regular:
                let source = try walk.openContent()
                let whole = [DataExtent(offset: 0, length: record.size)]
                let extents = try DataExtents.find(in: source.descriptor, size: record.size, path: "") ?? whole
                let bytes = try source.descriptor.pread(record.size)
                try writer.makeFile(record) { content in
                    for extent in extents {
                        try bytes.withUnsafeBytes {
                            let piece = $0[Int(extent.offset)..<Int(extent.offset + extent.length)]
                            try content.write(UnsafeRawBufferPointer(rebasing: piece), at: extent.offset)
                        }
                    }
                }
            default: try writer.makeNode(record)
            }
        }
        try writer.finish()
        #expect(writer.notKept.isEmpty)
    }

    /// What can be compared between two places.
    func records(_ name: FilePath.Component) throws -> [FileRecord] {
        try walk(directory.path.appending(name)).records.map { record in
            var record = record
            record.hint = nil
            return record
        }
    }

    @Test("makes every kind of file again, with everything that belongs to it", .enabled(if: isRoot))
    func roundTrip() throws {
        try Shell.output(
            """
            set -e; cd \(directory.path)/from
            mkdir -m 2750 d d/deep; chown 12:34 d; printf 'hello' > d/f; chown 65534:7 d/f; chmod 6755 d/f
            ln d/f hard; ln -s ../nowhere d/l; chown -h 5:6 d/l; ln d/l d/l2; mkfifo -m 604 p; mknod -m 660 c c 1 3
            mknod -m 600 b b 259 1048575; chown 1:2 p c b; touch $'d/\\xff\\n'; : > empty
            truncate -s 3M sparse; printf middle | dd of=sparse bs=1 seek=1500000 conv=notrunc status=none
            setfattr -n user.comment -v 'a b' d/f; setfattr -n trusted.t -v 1 d; setfattr -h -n trusted.t -v 2 d/l
            setfattr -h -n security.selinux -v 'system_u:object_r:etc_t:s0' d/l d/f d p c b
            setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 hard
            setfacl -m u:7:r,g:9:rw hard; setfacl -d -m u:8:rwx d; setfacl -m u:8:x d
            chmod 400 empty; chmod 0500 d/deep
            find . -depth -exec touch -h -d '2001-02-03 04:05:06.987654321 UTC' {} +; touch -d @5.000000007 d
            """
        )
        try copy()
        let from = try records("from")
        #expect(try records("to") == from)
        #expect(from.count == 13)
        let blocks = try Shell.output("cd \(directory.path); stat -c %b from/sparse to/sparse").split(separator: "\n")
        #expect(blocks[0] == blocks[1])
        try Shell.output(
            "cmp \(directory.path)/from/sparse \(directory.path)/to/sparse; cmp \(directory.path)/from/d/f \(directory.path)/to/hard"
        )
        #expect(try Shell.output("stat -c '%h %a' \(directory.path)/to/d/f") == "2 6775\n")
    }

    @Test("lets nothing inherit the default ACL of the directory it writes to", .enabled(if: isRoot))
    func inheritedACL() throws {
        try Shell.output(
            "cd \(directory.path); setfacl -d -m u:7:rwx to; mkdir -p from/a/b; touch from/a/b/f from/g; mkfifo from/p"
        )
        try copy()
        let attributes = try records("to").dropFirst().flatMap(\.attributes)
        #expect(attributes.isEmpty)
    }

    @Test("makes parents that come late or never, closed to others")
    func lateParents() throws {
        let writer = try TreeWriter(directory: directory / "to")
        try writer.makeFile(record("a/b/f", .regular)) { _ in }
        #expect(try Shell.output("stat -c %a \(directory.path)/to/a/b") == "700\n")
        try writer.makeDirectory(record("a/b", .directory, mode: 0o711))
        try writer.makeFile(record("a/b/g", .regular)) { _ in }
        try writer.finish()
        #expect(try Shell.output("cd \(directory.path)/to; stat -c '%a %Y' a/b; stat -c %a a") == "711 9\n700\n")
        #expect(try records("to").map(\.path.description) == [".", "a", "a/b", "a/b/f", "a/b/g"])
    }

    @Test("follows no link out of its directory", arguments: ["/", "..", "../outside", "inside"])
    func links(target: String) throws {
        try Shell.output("cd \(directory.path); mkdir outside to/inside")
        let writer = try TreeWriter(directory: directory / "to")
        try writer.makeSymbolicLink(record("way", .symbolicLink, target: target))
        try writer.makeFile(record("inside/one", .regular)) { _ in }
        for path: TreePath in ["way/f", "way/outside/f", "way/a/b/f"] {
            expect(Errno.tooManySymbolicLinkLevels) { try writer.makeFile(record(path, .regular)) { _ in } }
            expect(Errno.tooManySymbolicLinkLevels) { try writer.makeDirectory(record(path, .directory)) }
            expect(Errno.tooManySymbolicLinkLevels) {
                try writer.makeSymbolicLink(record(path, .symbolicLink, target: "x"))
            }
            expect(Errno.tooManySymbolicLinkLevels) { try writer.makeNode(record(path, .fifo)) }
            var link = record(path, .regular)
            link.hardLink = "inside/one"
            expect(Errno.tooManySymbolicLinkLevels) { try writer.makeHardLink(link) }
            link.path = "new"
            link.hardLink = path
            expect(Errno.tooManySymbolicLinkLevels) { try writer.makeHardLink(link) }
        }
        // a link that takes the place of a directory is not taken for it, neither now nor at the end
        expect(Errno.fileExists) { try writer.makeDirectory(record("way", .directory, mode: 0o777)) }
        expect(Errno.fileExists) { try writer.makeFile(record("way", .regular)) { _ in } }
        try writer.finish()
        #expect(
            try Shell.output("cd \(directory.path); find outside to | sort")
                == "outside\nto\nto/inside\nto/inside/one\nto/way\n"
        )
    }

    @Test("refuses a directory whose place a link has taken by the time it is finished")
    func swappedDirectory() throws {
        try Shell.output("mkdir -m 700 \(directory.path)/outside")
        let writer = try TreeWriter(directory: directory / "to")
        try writer.makeDirectory(record("d", .directory, mode: 0o777))
        try Shell.output("cd \(directory.path)/to; rmdir d; ln -s ../outside d")
        expect(Errno.tooManySymbolicLinkLevels) { try writer.finish() }
        #expect(try Shell.output("stat -c %a \(directory.path)/outside") == "700\n")
    }

    @Test("touches nothing that exists")
    func existing() throws {
        try Shell.output("cd \(directory.path)/to; echo old > f; mkdir -m 750 d")
        let writer = try TreeWriter(directory: directory / "to")
        expect(.fileExists) { try writer.makeFile(record("f", .regular)) { _ in } }
        expect(.fileExists) { try writer.makeDirectory(record("d", .directory)) }
        expect(.fileExists) { try writer.makeSymbolicLink(record("f", .symbolicLink, target: "x")) }
        expect(.fileExists) { try writer.makeNode(record("f", .fifo)) }
        expect(.fileExists) { try writer.makeFile(record(.root, .regular)) { _ in } }
        expect(.notDirectory) { try writer.makeFile(record("f/g", .regular)) { _ in } }
        expect(.invalidArgument) { try writer.makeNode(record("s", .socket)) }
        expect(.invalidArgument) { try writer.makeHardLink(record("h", .regular)) }
        try writer.finish()
        #expect(try Shell.output("cd \(directory.path)/to; cat f; stat -c %a d; ls") == "old\n750\nd\nf\n")
    }

    @Test("leaves nothing of a file whose content cannot be written, and refuses content beyond its size")
    func content() throws {
        struct Torn: Error {}
        let writer = try TreeWriter(directory: directory / "to")
        #expect(throws: Torn.self) { try writer.makeFile(record("d/f", .regular, size: 5)) { _ in throw Torn() } }
        for offset: Int64 in [-1, 3, 5, .max] {
            expect(Errno(rawValue: 27)) {
                try writer.makeFile(record("d/f", .regular, size: 5)) { content in
                    try [1, 2, 3].withUnsafeBytes {
                        try content.write(UnsafeRawBufferPointer(rebasing: $0[..<3]), at: offset)
                    }
                }
            }
        }
        expect(.invalidArgument) { try writer.makeFile(record("d/f", .regular, size: -1)) { _ in } }
        #expect(try records("to").map(\.path) == [.root, "d"])
    }

    @Test("makes what lies deeper than a path may be long")
    func deep() throws {
        var path = TreePath("d")
        for _ in 0..<25 { path = path.appending(Array(repeating: UInt8(ascii: "x"), count: 250)) }
        let writer = try TreeWriter(directory: directory / "to")
        try writer.makeDirectory(record(path, .directory, mode: 0o711))
        try writer.makeFile(record(path.appending("f".utf8), .regular)) { _ in }
        try writer.finish()
        // a walk does not go that far, as no archive does
        #expect(try records("to").count == 18)
        #expect(try Shell.output("find \(directory.path)/to | wc -l") == "28\n")
        #expect(try Shell.output("find \(directory.path)/to -type d -perm 711 -printf '%T@\n'").hasPrefix("9."))
    }

    @Test("says what it could not keep when it may go on, and drops setuid with the owner", .enabled(if: isRoot))
    func losses() throws {
        try Shell.output("chmod 755 \(directory.path); chown 65534 \(directory.path)/to")
        var file = record("f", .regular, mode: 0o4755)
        file.attributes = [
            ExtendedAttribute(name: Array("nonsense.x".utf8), value: [1]),
            ExtendedAttribute(name: Array("user.a".utf8) + [0], value: [1]),
            ExtendedAttribute(name: Array("user.b".utf8), value: [1]),
        ]
        let strict = try TreeWriter(directory: directory / "to")
        expect(.notSupported) { try strict.makeFile(file) { _ in } }
        let tolerant = try TreeWriter(directory: directory / "to", toleratesLosses: true)
        try tolerant.makeFile(file) { _ in }
        #expect(tolerant.notKept.map(\.what) == ["attribute 'nonsense.x'", "attribute 'user.a\\000'"])
        #expect(try records("to").first { $0.path == "f" }?.attributes.map(\.name) == [Array("user.b".utf8)])

        file.path = "g"
        file.attributes = []
        var device = record("c", .characterDevice)
        device.device = DeviceNumber(major: 1, minor: 3)
        try asNobody {
            expect(.notPermitted) { try strict.makeFile(file) { _ in } }
            expect(.notPermitted) { try strict.makeNode(device) }
            try tolerant.makeFile(file) { _ in }
            try tolerant.makeNode(device)
        }
        #expect(tolerant.notKept.dropFirst(2).map(\.what) == ["owner", "device"])
        #expect(try Shell.output("cd \(directory.path)/to; stat -c '%n %u %a' *") == "f 0 4755\ng 65534 755\n")
    }

    func record(_ path: TreePath, _ kind: FileKind, mode: UInt32 = 0o644, size: Int64 = 0, target: String? = nil)
        -> FileRecord
    {
        FileRecord(
            path: path,
            kind: kind,
            mode: mode,
            uid: geteuid(),
            gid: getegid(),
            size: size,
            modified: FileTime(seconds: 9, nanoseconds: 8),
            linkTarget: target.map { Array($0.utf8) }
        )
    }

    func expect(_ errno: Errno, _ location: SourceLocation = #_sourceLocation, _ body: () throws -> Void) {
        do {
            try body()
            Issue.record("no error", sourceLocation: location)
        } catch let error as FilesError {
            #expect(error.errno == errno, "\(error)", sourceLocation: location)
        } catch {
            Issue.record(error, sourceLocation: location)
        }
    }
}

extension FileDescriptor {
    /// The first `count` bytes.
    fileprivate func pread(_ count: Int64) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(count))
        let read = try bytes.withUnsafeMutableBytes { try self.read(fromAbsoluteOffset: 0, into: $0) }
        #expect(read == Int(count))
        return bytes
    }
}
