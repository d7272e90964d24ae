import Files
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

extension SeededGenerator {
    /// `count` bytes; every second stretch repeats itself, so that there is something to compress.
    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { buffer in
            var start = 0
            while start < buffer.count {
                let length = min(1024, buffer.count - start)
                let repeated = UInt8(truncatingIfNeeded: next())
                let isRepetition = next() & 1 == 0
                var offset = 0
                while offset < length {
                    var value = isRepetition ? UInt64(repeated) &* 0x0101_0101_0101_0101 : next()
                    let size = min(8, length - offset)
                    memcpy(buffer.baseAddress! + start + offset, &value, size)
                    offset += size
                }
                start += length
            }
        }
        return bytes
    }
}

/// Whether the tests may make devices, mounts and labels.
let isRoot = geteuid() == 0

/// Does something with the rights that nobody (65534) has on files.
///
/// `setfsuid(2)` holds for this thread alone. It is looked up, as Swift's Glibc module leaves it out.
func asNobody<Result>(_ body: () throws -> Result) throws -> Result {
    typealias SetID = @convention(c) (UInt32) -> Int32
    let setUser = unsafeBitCast(try #require(dlsym(nil, "setfsuid")), to: SetID.self)
    let old = setUser(65534)
    defer { _ = setUser(UInt32(bitPattern: old)) }
    return try body()
}

/// A small file system of its own, unmounted when the test lets go of it.
final class SmallFileSystem {
    let path: FilePath

    init(in directory: TemporaryDirectory, kibibytes: Int) throws {
        path = directory / "small"
        try Shell.output("mkdir \(path) && mount -t tmpfs -o size=\(kibibytes)k none \(path)")
    }

    deinit {
        // ignored: a leftover of a test is not the test's failure
        _ = try? Shell.run("umount -l \(path)")
    }
}

/// Makes a file, or empties one that is there, and opens it for writing and reading.
func create(_ path: FilePath) throws -> FileDescriptor {
    try .open(path, .readWrite, options: [.create, .truncate], permissions: [.ownerRead, .ownerWrite])
}

/// Writes pieces into a new `.zst` file.
@discardableResult
func writeFrames(
    _ pieces: [[UInt8]],
    to path: FilePath,
    level: CompressionLevel = .fixed(1),
    jobs: Int = 2,
    layout: FrameWriter.Layout = .archive
) throws -> FrameTotals {
    let file = try create(path)
    defer { try? file.close() }
    let writer = try FrameWriter(
        to: file,
        path: path,
        level: level,
        jobs: jobs,
        layout: layout,
        cancellation: Cancellation()
    )
    defer { writer.stop() }
    for piece in pieces { try piece.withUnsafeBytes { try writer.write($0) } }
    return try writer.finish()
}

/// Reads all content of a `.zst` file.
func readFrames(_ path: FilePath, jobs: Int = 2) throws -> (content: [UInt8], totals: FrameTotals) {
    let reader = try FrameReader(path: path, jobs: jobs, cancellation: Cancellation())
    var content = [UInt8]()
    while let piece = try reader.next() { content += piece }
    return (content, try #require(reader.totals))
}

func write(_ bytes: [UInt8], to path: FilePath) throws {
    let file = try create(path)
    defer { try? file.close() }
    try file.writeAll(bytes)
}

func contents(_ path: FilePath) throws -> [UInt8] {
    let file = OwnedDescriptor(owning: try FileDescriptor.open(path, .readOnly))
    let size = Int(try FileStat(of: file.descriptor, path: path.string).size)
    return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        count = try file.descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
    }
}

func selection(_ root: FilePath, _ subtrees: [TreePath] = [.root]) throws -> TreeSelection {
    TreeSelection(root: try RootDirectory(path: root), subtrees: subtrees)
}

/// All records of a tree with their digests, as they can be compared between two places.
func records(_ root: FilePath, wholeDigests: Bool = false) throws -> [FileRecord] {
    var walk = TreeWalk(root: try RootDirectory(path: root))
    var records = [FileRecord]()
    while let event = try walk.next() {
        guard case .file(var record) = event else { continue }
        try walk.readDetails(&record)
        record.hint = nil
        if record.kind == .regular, record.hardLink == nil {
            let file = try walk.openContent()
            // in the form that an archiver would take
            let extents = try DataExtents.find(in: file.descriptor, size: record.size, path: "\(record.path)")
            var hasher = ContentHasher(cancellation: Cancellation())
            let dataBytes = wholeDigests ? record.size : extents?.totalBytes ?? record.size
            hasher.start(ContentDigest.Form(size: record.size, dataBytes: dataBytes))
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            for extent in extents ?? [DataExtent(offset: 0, length: record.size)] {
                var position = extent.offset
                let end = extent.offset + extent.length
                while position < end {
                    let count = pread(
                        file.descriptor.rawValue,
                        &buffer,
                        min(buffer.count, Int(end - position)),
                        Int(position)
                    )
                    guard count > 0 else { break }
                    try buffer.withUnsafeBytes {
                        try hasher.add(UnsafeRawBufferPointer(rebasing: $0[..<count]), at: position)
                    }
                    position += Int64(count)
                }
            }
            record.digest = try hasher.finish(size: record.size)
        }
        records.append(record)
    }
    return records
}

/// The lines of an index.
func indexRecords(_ path: FilePath) throws -> [FileRecord] {
    let reader = ArchiveIndexReader(from: try FrameReader(path: path, jobs: 1, cancellation: Cancellation()))
    var records = [FileRecord]()
    while let record = try reader.next() { records.append(record) }
    return records
}

/// The entries of an archive with their content, holes as zeros.
func tarEntries(_ path: FilePath) throws -> [(entry: TarEntry, content: [UInt8])] {
    let reader = try TarReader(from: try FrameReader(path: path, jobs: 2, cancellation: Cancellation()))
    var entries: [(TarEntry, [UInt8])] = []
    while let entry = try reader.next() {
        var content = [UInt8](repeating: 0, count: Int(min(entry.record.size, 1 << 24)))
        try reader.readContent { offset, bytes in
            content.replaceSubrange(Int(offset)..<(Int(offset) + bytes.count), with: bytes)
        }
        entries.append((entry, content))
    }
    return entries
}

/// An archive of a directory, and what to expect of it.
struct TestArchive {
    let directory: FilePath
    let summary: TreeArchiveSummary
    var archive: FilePath { directory.appending("t.tar.zst") }
    var index: FilePath { directory.appending("t.files.zst") }

    init(
        _ selection: TreeSelection,
        in directory: FilePath,
        options: TreeArchiver.Options = .init(level: .fixed(1)),
        cancellation: Cancellation = Cancellation(),
        progress: @escaping (Int, Int64) -> Void = { _, _ in }
    ) throws {
        self.directory = directory
        summary = try TreeArchiver.write(
            selection,
            name: "t",
            into: directory,
            options: options,
            cancellation: cancellation,
            progress: progress
        )
    }

    @discardableResult
    func verify() throws -> ArchiveVerifier.Contents {
        try ArchiveVerifier.verify(
            archive: archive,
            archiveDigest: summary.archive.fileDigest,
            index: index,
            indexDigest: summary.index.fileDigest,
            cancellation: Cancellation()
        )
    }
}

/// Makes a tree with every kind of file and everything that can belong to one.
/// - Parameter onlyASCII: Leaves out names that other tools mark in ways of their own.
func makeEveryKindOfFile(in path: FilePath, onlyASCII: Bool = false) throws {
    try Shell.output(
        #"""
        set -e; cd \#(path)
        mkdir -p d/empty "d/with space" d/deep
        echo hello > d/file; : > d/nothing; head -c 3000000 /dev/urandom > d/large
        echo equals > 'd/a=b#c*?[x]\y'; printf 'x' > $'d/new\nline'
        long=$(printf 'n%.0s' $(seq 200)); mkdir -p d/deep/$long/$long; echo far > d/deep/$long/$long/$long
        ln -s file d/link; ln -s /does/not/exist d/dangling; ln -s $long/$long/$long/$long d/deep/longlink
        ln d/file d/hard1; ln d/file d/deep/hard2; ln -P d/link d/linkhard
        mkfifo d/fifo; ln d/fifo d/fifohard
        truncate -s 300000 d/hole; printf data | dd of=d/hole bs=1 seek=100000 conv=notrunc status=none
        truncate -s 1000000 d/onlyhole
        printf start > d/endhole; truncate -s 5000000 d/endhole
        dd if=/dev/zero of=d/holestart bs=4096 seek=500 count=3 status=none
        chmod 4755 d/file; chmod 2711 d/nothing; chmod 1777 d/empty; chmod 000 d/large
        touch -d '2001-02-03 04:05:06.123456789' d/file; touch -d @-86400 d/nothing; touch -d @9999999999 d/hole
        touch -d '2011-12-13 14:15:16.000000001' d/empty; touch -h -d @1234567890.5 d/link
        setfattr -n user.comment -v 'a value' d/file; setfattr -n user.empty d/file
        setfattr -n user.binary -v 0x00ff0a3d00 d/large; setfattr -n 'user.with=and%3D' -v x d/large
        """#
    )
    if !onlyASCII {
        try Shell.output(
            #"""
            set -e; cd \#(path)
            echo u > 'd/Főtanúsítvány'; echo l > $'d/latin\xe9'; ln -s $'latin\xe9' d/toLatin; ln $'d/latin\xe9' $'d/m\xff'
            mkdir $'d/\xfe'; echo in > $'d/\xfe/in'
            """#
        )
    }
    guard isRoot else { return }
    try Shell.output(
        #"""
        set -e; cd \#(path)
        mknod d/char c 1 3; mknod d/block b 259 1048575
        chown 1234:5678 d/file d/fifo; chown -h 4321:8765 d/link; chown 3000000000:3000000001 d/nothing
        chmod 4755 d/file
        setfacl -m u:1000:r,u:2000000000:rw,g:2000:rx,m::rx d/large; setfacl -m d:u:1000:rwx,d:g::r d/empty
        setfacl -m m::r d/nothing
        setfattr -n trusted.secret -v 0x00010203 d/file
        setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 d/hard1
        setfattr -h -n trusted.onlink -v yes d/link
        touch -d '2001-02-03 04:05:06.123456789' d/file
        """#
    )
}
