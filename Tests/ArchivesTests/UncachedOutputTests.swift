import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("Output past the page cache", .enabled(if: isRoot)) struct UncachedOutputTests {
    /// The second knows no direct writes and reads.
    enum Place: String, CaseIterable {
        case disk, ramfs
    }

    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir \(directory.path)/disk \(directory.path)/ramfs")
    }

    /// Runs a body with a directory of that kind.
    private func with(_ place: Place, _ body: (FilePath) throws -> Void) throws {
        let path = directory / place.rawValue
        if place == .ramfs { try Shell.output("mount -t ramfs none \(path)") }
        defer { if place == .ramfs { _ = try? Shell.run("umount -l \(path)") } }
        try body(path)
    }

    @Test("has in the file what was appended and not taken back, wherever the borders fall", arguments: Place.allCases)
    func appendAndRewind(place: Place) throws {
        try with(place) { directory in
            for seed in UInt64(1)...12 {
                var random = SeededGenerator(seed: seed)
                let path = directory.appending("f\(seed)")
                let file = OwnedDescriptor(owning: try create(path))
                var output = UncachedOutput(descriptor: file.descriptor)
                var expected: [UInt8] = []
                var marked = (mark: output.mark(), count: 0)
                for _ in 0..<12 {
                    // Some at a border of a page, most anywhere; some stay in the buffer, some go far beyond it.
                    let size = Int.random(in: 0...(seed % 2 == 0 ? 3_000_000 : 500_000), using: &random)
                    let bytes = random.bytes(Bool.random(using: &random) ? size : size & ~4095)
                    try bytes.withUnsafeBytes { try output.append($0) }
                    expected += bytes
                    #expect(output.position == Int64(expected.count))
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: marked = (output.mark(), expected.count)
                    case 1:
                        try output.rewind(to: marked.mark)
                        expected.removeLast(expected.count - marked.count)
                    default: break
                    }
                }
                try output.finish()
                let digest = SHA256Hasher.digest(of: expected)
                #expect(try Shell.output("sha256sum < \(path)") == "\(digest)  -\n", "seed \(seed)")
            }
        }
    }

    @Test("is read back as frames, longer ones than the reader's buffer among them", arguments: Place.allCases)
    func frames(place: Place) throws {
        try with(place) { directory in
            var random = SeededGenerator(seed: 5)
            let bytes = random.bytes(9_000_001) + [UInt8](repeating: 7, count: 20_000_000) + random.bytes(9_000_001)
            let path = directory.appending("f.zst")
            let written = try writeFrames([bytes], to: path)
            let read = try readFrames(path)
            #expect(read.content == bytes)
            #expect(read.totals == written)
            #expect(try Shell.output("zstd -dc \(path) | sha256sum") == "\(SHA256Hasher.digest(of: bytes))  -\n")
        }
    }

    @Test("says that the file system is full, and has written up to there")
    func full() throws {
        let small = try SmallFileSystem(in: directory, kibibytes: 2500)
        let file = OwnedDescriptor(owning: try create(small.path.appending("f")))
        var output = UncachedOutput(descriptor: file.descriptor)
        let bytes = [UInt8](repeating: 1, count: 1 << 20)
        #expect(throws: Errno.noSpace) {
            for _ in 0..<4 { try bytes.withUnsafeBytes { try output.append($0) } }
        }
        #expect(try Shell.output("stat -c %s \(small.path)/f") == "2560000\n")
    }
}
