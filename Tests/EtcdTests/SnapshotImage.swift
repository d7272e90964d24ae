import Etcd
import Files
import FoundationEssentials
import Reporting
import SystemPackage
import TestSupport
import Testing

/// The unpacked fixtures; see `Fixtures/ORIGIN.md`.
enum Fixture {
    private static let files = Result { () throws -> [String: [UInt8]] in
        let archive = FilePath(#filePath).removingLastComponent().appending("Fixtures/etcd-snapshots.tar.xz")
        let directory = try TemporaryDirectory()
        try Shell.output("tar -xJf '\(archive)' -C '\(directory.path)' --strip-components=1")
        var files = [String: [UInt8]]()
        for name in try Shell.output("ls '\(directory.path)'").split(separator: "\n").map({ String($0) }) {
            files[name] = try [UInt8](Data(contentsOf: URL(filePath: (directory / name).string)))
        }
        return files
    }

    static let versions = ["3.4.23", "3.5.1", "3.5.26", "3.6.13", "3.7.1"]
    static let snapshots = versions.flatMap { version in
        ["empty", "small", "auth"].map { "etcd-\(version)-\($0)" }
    }

    static func bytes(_ name: String) throws -> [UInt8] {
        try #require(try files.get()[name], "no fixture \(name)")
    }
}

/// A snapshot in memory that tests take apart and put together wrong.
struct SnapshotImage {
    /// The whole file, with its digest.
    var bytes: [UInt8]
    let pageSize = 4096

    init(_ fixture: String) throws {
        bytes = try Fixture.bytes(fixture + ".db")
    }

    /// Bytes before the digest.
    var databaseSize: Int { bytes.count - 32 }

    subscript(u16 offset: Int) -> UInt16 {
        get { number(offset) }
        set { store(newValue, offset) }
    }
    subscript(u32 offset: Int) -> UInt32 {
        get { number(offset) }
        set { store(newValue, offset) }
    }
    subscript(u64 offset: Int) -> UInt64 {
        get { number(offset) }
        set { store(newValue, offset) }
    }

    private func number<Number: FixedWidthInteger>(_ offset: Int) -> Number {
        bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self)) }
    }
    private mutating func store<Number: FixedWidthInteger>(_ number: Number, _ offset: Int) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self) }
    }

    /// Where the page `id` starts.
    func page(_ id: UInt64) -> Int { Int(id) * pageSize }
    /// The page that the root bucket's tree starts with.
    var rootPage: UInt64 { self[u64: 16 + 16] }

    /// Where element `index` of the page that starts at `page` is described.
    func element(_ page: Int, _ index: Int) -> Int { page + 16 + 16 * index }
    func leafKey(_ page: Int, _ index: Int) -> Range<Int> {
        let element = element(page, index)
        let start = element + Int(self[u32: element + 4])
        return start..<start + Int(self[u32: element + 8])
    }
    /// Where the description of the bucket `name` starts, in the root leaf.
    func bucket(_ name: String) -> Int {
        let root = page(rootPage)
        for index in 0..<Int(self[u16: root + 10]) {
            let key = leafKey(root, index)
            if bytes[key].elementsEqual(name.utf8) { return key.upperBound }
        }
        fatalError("no bucket \(name)")
    }
    /// The page that the bucket's tree starts with; 0 for an inline bucket.
    func root(ofBucket name: String) -> UInt64 { self[u64: bucket(name)] }

    /// Changes both meta pages and gives them good checksums.
    mutating func setMeta(_ change: (inout SnapshotImage, _ start: Int) -> Void) {
        for start in [16, pageSize + 16] {
            change(&self, start)
            var sum: UInt64 = 0xCBF2_9CE4_8422_2325
            for byte in bytes[start..<start + 56] { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
            self[u64: start + 56] = sum
        }
    }

    /// Gives the file the digest that its content has now.
    mutating func seal() {
        bytes.replaceSubrange(databaseSize..., with: SHA256Hasher.digest(of: bytes[..<databaseSize]).bytes)
    }

    /// Replaces the database by `content`, with a good digest.
    mutating func replace(_ content: [UInt8]) {
        bytes = content + SHA256Hasher.digest(of: content).bytes
    }

    /// Inspects it as a file.
    func inspect(_ rule: SnapshotInspector.DigestRule = .required) throws -> SnapshotInspection {
        let directory = try TemporaryDirectory()
        let file = try FileDescriptor.open(write(to: directory / "snapshot.db"), .readOnly)
        defer { try? file.close() }  // ignored: nothing was written
        return try SnapshotInspector(rule: rule, cancellation: Cancellation()).inspect(file)
    }

    /// Writes it to `path`.
    @discardableResult
    func write(to path: FilePath) throws -> FilePath {
        try Data(bytes).write(to: URL(filePath: path.string))
        return path
    }
}
