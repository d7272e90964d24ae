import Files
import SystemPackage
import TestSupport
import Testing

@Suite("Two files") struct SameBytesTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func compare() throws -> Bool {
        let one = try OwnedDescriptor(reading: directory / "one")
        let other = try OwnedDescriptor(reading: directory / "other")
        return try one.descriptor.hasSameBytes(as: other.descriptor, path: "one", otherPath: "other")
    }

    @Test("have the same bytes or not, wherever they differ", arguments: [0, 1, 262_143, 262_144, 262_145, 1_000_000])
    func compare(size: Int) throws {
        try Shell.output("cd '\(directory.path)' && head -c \(size) /dev/urandom > one && cp one other")
        #expect(try compare())
        try Shell.output("printf x >> '\(directory / "other")'")
        #expect(try !compare())
        for place in Set([0, size / 2, size - 1]) where size > 0 && place >= 0 {
            try Shell.output(
                """
                cd '\(directory.path)' && cp one other
                byte=$(od -An -tu1 -j \(place) -N 1 one)
                printf "\\\\x$(printf %x $((byte ^ 1)))" | dd of=other bs=1 seek=\(place) conv=notrunc status=none
                """
            )
            #expect(try !compare(), "\(place)")
        }
    }
}
