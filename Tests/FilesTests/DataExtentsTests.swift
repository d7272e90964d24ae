import Files
import SystemPackage
import TestSupport
import Testing

@Suite("Data extents") struct DataExtentsTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    func extents(_ lines: String) throws -> (extents: [DataExtent]?, stat: FileStat) {
        try Shell.output("set -e; cd \(directory.path); rm -f f; \(lines)")
        let file = try Directory(path: directory.path).open("f")
        let stat = try FileStat(of: file.descriptor, path: "f")
        return (try DataExtents.find(in: file.descriptor, size: stat.size, path: "f"), stat)
    }

    @Test("are not told of a file without holes")
    func dense() throws {
        let (extents, stat) = try extents("printf 'some bytes' > f")
        #expect(extents == nil && !stat.mayHaveHoles)
    }

    @Test("lie where data was written, between holes")
    func sparse() throws {
        let (extents, stat) = try extents(
            "truncate -s 10M f; printf x | dd of=f bs=1M seek=2 conv=notrunc status=none; printf y | dd of=f bs=1M seek=9 conv=notrunc status=none"
        )
        #expect(stat.mayHaveHoles && stat.size == 10 << 20)
        #expect(extents?.map(\.offset) == [2 << 20, 9 << 20])
        #expect(extents?.allSatisfy { (1...65536).contains($0.length) } == true)
    }

    @Test("end with the file, and are none in a file that is one hole")
    func ends() throws {
        let tail = try extents("truncate -s 1M f; printf tail >> f")
        #expect(tail.extents == [DataExtent(offset: 1 << 20, length: 4)])
        let hole = try extents("truncate -s 1M f")
        #expect(hole.extents == [] && hole.stat.mayHaveHoles)
        let empty = try extents(": > f")
        #expect(empty.extents == [])
    }
}
