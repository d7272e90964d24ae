import Files
import Testing

@Suite("A path pattern") struct PathPatternTests {
    @Test(
        "names files with a star in a component, and everything in them",
        arguments: [
            ("etc/.updated", "etc/.updated", true), ("etc", "etc/a/b", true), ("etc/a", "etc", false),
            ("etc/a", "etc/ab", false), ("/etc/*", "etc/x", true), ("etc/*", "etc", false), ("etc/*", "etc/a/b", true),
            ("*.tmp", "a.tmp", true), ("*.tmp", ".tmp", true), ("*.tmp", "a.tmpx", false), ("*.tmp", "d/a.tmp", false),
            ("a*a", "a", false), ("a*a", "aa", true), ("a*b*c", "a-b-b-c", true), ("a*b*c", "acb", false),
            ("a*b*c", "abc", true), ("a**c", "ac", true), ("var/*/volumes", "var/pod/volumes/x", true),
            ("var/*/volumes", "var/a/b/volumes", false), ("*ab*ab", "ab", false), ("*ab*ab*", "xabyabz", true),
        ]
    )
    func matching(pattern: String, path: String, isMatch: Bool) throws {
        let pattern = try #require(PathPattern(text: pattern))
        #expect(pattern.matches(try #require(TreePath(validating: path.utf8))) == isMatch)
    }

    @Test("takes a star in a file's own name for itself when it is made of a path")
    func exact() {
        #expect(PathPattern("a*" as TreePath).matches("a*"))
        #expect(!PathPattern("a*" as TreePath).matches("ab"))
        #expect(("etc/*.d/x*" as PathPattern).description == "etc/*.d/x*")
    }

    @Test("refuses what cannot be a path", arguments: ["", "/", "a//b", "../a", "a/./b"])
    func refused(text: String) {
        #expect(PathPattern(text: text) == nil)
    }
}
