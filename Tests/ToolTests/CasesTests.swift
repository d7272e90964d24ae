import SystemPackage
import TestSupport
import Testing

/// Reproductions of faults that were found by hand: `../shared/cases/NAME.sh PROGRAMS` beside the project.
private enum Case {
    /// All of them.
    private static let names = [
        "alarm-kept", "dry-run-agrees", "etcd-link-in-root", "etcd-wal-dir", "extract-without-attributes",
        "junk-manifest",
        "name-lost", "not-a-snapshot", "not-storable-names", "read-only-tree", "several-members", "sparse-space",
        "time-before-1970",
    ]

    static let directory = FilePath(#filePath).removingLastComponent().removingLastComponent()
        .removingLastComponent().removingLastComponent().appending("shared/cases")

    /// Those of the names that are beside the project.
    static let present = names.filter { (try? Shell.run("test -x '\(directory)/\($0).sh'"))?.status == 0 }
}

@Suite("The cases", .enabled(if: Tier.live.isWanted && !Case.present.isEmpty, Tier.live.comment))
struct CasesTests {
    @Test("end as they should", arguments: Case.present) func ends(name: String) throws {
        let directory = try TemporaryDirectory()
        let tool = try Tool(in: directory)
        let result = try Shell.run("'\(Case.directory)/\(name).sh' '\(directory / "bin")' 2>&1")
        #expect(result.status == 0, "\(result.output)")
        withExtendedLifetime(tool) {}
    }
}
