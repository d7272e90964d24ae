import Files
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("A tree comparison") struct TreeComparisonTests {
    let directory: TemporaryDirectory
    var tree: FilePath { directory / "tree" }

    init() throws {
        directory = try TemporaryDirectory()
        try Shell.output("mkdir \(directory.path)/tree \(directory.path)/out")
    }

    private func differences(_ made: TestArchive, readsEverything: Bool = false) throws -> [String] {
        let comparison = TreeComparison(
            try selection(tree),
            index: made.index,
            readsEverything: readsEverything,
            cancellation: Cancellation()
        )
        var found = [String]()
        let summary = try comparison.run { difference in
            switch difference.change {
            case .added: found.append("+ \(difference.path)")
            case .removed: found.append("- \(difference.path)")
            case .changed(let aspects):
                found.append("\(difference.path): \(aspects.map(\.description).joined(separator: ", "))")
            }
            return true
        }
        #expect(summary.isComplete)
        #expect(summary.differences == found.count)
        return found
    }

    @Test("of an untouched tree finds nothing, with and without trust in change times")
    func untouched() throws {
        try makeEveryKindOfFile(in: tree)
        // Only what was left alone for a second gets a hint.
        try Shell.output("sleep 1.1; touch \(tree)/d/young")
        let made = try TestArchive(selection(tree), in: directory / "out")
        let lines = try indexRecords(made.index)
        #expect(lines.filter { $0.hint == nil }.map(\.path.description) == ["d", "d/young"])
        #expect(try differences(made) == [])
        #expect(try differences(made, readsEverything: true) == [])
        let summary = try TreeComparison(selection(tree), index: made.index, cancellation: Cancellation()).run { _ in
            false
        }
        #expect(summary.files == made.summary.files)
        #expect(summary.sourceBytes == made.summary.sourceBytes)
    }

    @Test("tells what is new, gone and different, and in what", .enabled(if: isRoot))
    func everyAspect() throws {
        try Shell.output(
            """
            cd \(tree) && for f in content size mode owner time type same gone attr acl again; do echo $f > $f; done
            ln -s a link; mknod dev c 1 3; echo l > l1; ln l1 l2; setfattr -n user.a -v 1 attr; mkdir dir; echo x > dir/x
            touch -d @1000000000 . * -h
            """
        )
        let made = try TestArchive(selection(tree), in: directory / "out")
        try Shell.output(
            """
            cd \(tree) && echo CONTENT > content && echo longer >> size && chmod 600 mode && chown 1 owner && touch time
            rm type gone dir/x && mkdir type && ln -sf b link && rm dev && mknod dev c 1 5
            rm l2 && echo l > l2 && setfattr -n user.a -v 2 attr && setfattr -n user.b -v 2 attr
            setfacl -m u:5:r acl && echo new > dir.new && cp again again2 && mv again2 again
            touch -d @1000000000 . * -h
            touch time
            """
        )
        #expect(
            try differences(made) == [
                "acl: attribute system.posix_acl_access", "attr: attribute user.a, attribute user.b",
                "content: content",
                "dev: device number", "- dir/x", "+ dir.new", "- gone", "l2: hard link", "link: link target",
                "mode: mode", "owner: owner", "size: size", "time: time", "type: type",
            ]
        )
    }

    @Test("refuses a damaged index")
    func damaged() throws {
        try Shell.output("echo x > \(tree)/x")
        let made = try TestArchive(selection(tree), in: directory / "out")
        var bytes = try contents(made.index)
        bytes[bytes.count / 2] ^= 1
        try write(bytes, to: made.index)
        #expect(throws: ArchiveError.self) { try differences(made) }
    }
}
