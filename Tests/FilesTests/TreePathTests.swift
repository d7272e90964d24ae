import Files
import TestSupport
import Testing

@Suite("A tree path") struct TreePathTests {
    @Test(
        "drops what tar writers put around a path",
        arguments: [
            ("./a/b", "a/b"), ("/a/b/", "a/b"), (".", ""), ("./", ""), ("", ""), ("//a", "a"), ("/./a", "a"),
            (".a", ".a"), ("..a", "..a"),
        ]
    )
    func validating(raw: String, path: String) {
        #expect(TreePath(validating: raw.utf8)?.bytes == Array(path.utf8))
    }

    @Test(
        "refuses what could lead elsewhere",
        arguments: ["..", "../a", "a/..", "a/../b", "a//b", "a/./b", "a/.", "a\0b", "./..", "/.."]
    )
    func refused(raw: String) {
        #expect(TreePath(validating: raw.utf8) == nil)
    }

    @Test("orders like its components, one by one", arguments: 1...4 as ClosedRange<UInt64>)
    func order(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let bytes: [UInt8] = [0x01, 0x2D, 0x2E, 0x30, 0x61, 0x62, 0xFF]
        let paths = (0..<200).map { _ in
            (0..<Int.random(in: 0...4, using: &random)).reduce(TreePath.root) { path, _ in
                path.appending(
                    (0..<Int.random(in: 1...3, using: &random)).map { _ in bytes.randomElement(using: &random) ?? 1 }
                        + [0x7A]
                )
            }
        }
        var wrong = [String]()
        for left in paths {
            for right in paths {
                let expected = left.components.lexicographicallyPrecedes(right.components) {
                    $0.lexicographicallyPrecedes($1)
                }
                if (left < right) != expected { wrong.append("\(left) \(right)") }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test("lies within its directories, and only within them")
    func within() {
        let path: TreePath = "a/b/c"
        for directory: TreePath in [.root, "a", "a/b", "a/b/c"] { #expect(path.isWithin(directory)) }
        for other: TreePath in ["a/b/c/d", "a/bb", "b", "a/b/cc"] { #expect(!path.isWithin(other)) }
    }

    @Test("takes itself apart")
    func parts() {
        let path: TreePath = "a/b.c/d"
        #expect(path.parent == "a/b.c" && path.name.elementsEqual("d".utf8) && path.components.count == 3)
        #expect(("a" as TreePath).parent == .root && TreePath.root.parent == nil && TreePath.root.name.isEmpty)
        #expect(path.parent?.appending(path.name) == path && TreePath.root.description == ".")
    }
}

@Suite("A file name") struct FileNameTests {
    @Test(
        "is text where it can be and octal where it cannot",
        arguments: [
            (Array("plain é 漢.txt".utf8), "plain é 漢.txt"), ([0x61, 0xFF, 0x62], "a\\377b"),
            ([0x0A, 0x1B], "\\012\\033"),
            (Array("a\\b".utf8), "a\\\\b"), ([0xC3], "\\303"), ([0xC2, 0x9B], "\\302\\233"), ([0x7F], "\\177"),
            ([], ""),
            ([0xE2, 0x80, 0xAE], "\\342\\200\\256"),
        ] as [([UInt8], String)]
    )
    func text(bytes: [UInt8], text: String) {
        #expect(FileName.text(of: bytes) == text)
    }
}
