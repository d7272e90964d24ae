import Files
import Reporting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("A tree restorer that is cut", .enabled(if: isRoot)) struct TreeRestorerFaultTests {
    /// Every kind of change in one tree of a few files.
    static let changes = """
        echo other > d/changed; rm d/missing; rm -r d/dir; echo > d/dir; rm d/plain; mkdir -p d/plain/x; touch d/plain/x/y
        chmod 711 d/mode; setfattr -n trusted.b -v 2 d/mode; touch d/time; ln -sfn x d/link; rm d/first; echo 2 > d/first
        mkdir -p d/extra/deep; echo > d/extra/deep/f; ln -f d/mode d/split; rm d/fifo; ln d/time ../outside; chown 9 d/time
        rm -r top2
        """

    private func bench() throws -> RestoreBench {
        let bench = try RestoreBench(
            tops: ["d", "top2", "far/off/file"],
            """
            mkdir -p d/dir/sub top2/in far/off; echo content > d/changed; echo m > d/missing; echo 1 > d/dir/sub/f
            echo p > d/plain; echo same > d/mode; echo same > d/split; setfattr -n trusted.a -v 1 d/mode; echo t > d/time
            chown 3:4 d/split; chmod 4755 d/mode; ln -s target d/link; echo 1 > d/first; ln d/first d/second
            ln d/first d/dir/sub/third; mkfifo d/fifo; echo 2 > top2/in/f; chmod 500 top2/in; echo far > far/off/file
            touch -d @1000000000 d/* d/dir/* d top2/* -h
            """,
            inMemory: true
        )
        try bench.change(Self.changes)
        try Shell.output("cd \(bench.place) && mkdir changed && cp -a tree outside changed")
        return bench
    }

    /// Puts the changed tree there again.
    private func reset(_ bench: RestoreBench) throws {
        try Shell.output("cd \(bench.place) && rm -rf tree outside && cp -a changed/. .")
    }

    /// The files of the archive alone: of directories above tops nothing is recorded.
    private func records(_ bench: RestoreBench) throws -> [FileRecord] {
        let above: [TreePath] = [.root, "far", "far/off"]
        return try treeRecords(bench.tree).filter { !above.contains($0.path) }
    }

    /// The same, each further name with the digest of the first one.
    private func contentsOf(_ bench: RestoreBench) throws -> [FileRecord] { withContents(try records(bench)) }

    private func withContents(_ records: [FileRecord]) -> [FileRecord] {
        let digests = Dictionary(uniqueKeysWithValues: records.map { ($0.path, $0.digest) })
        return records.map { record in
            var record = record
            if let first = record.hardLink { record.digest = digests[first] ?? nil }
            return record
        }
    }

    @Test("comes to the same end when it is killed before any of its changes and run again", arguments: 0..<4)
    func kills(part: Int) throws {
        var number = 1 + part
        let bench = try bench()
        while true {
            try reset(bench)
            let above: [TreePath] = [.root, "far", "far/off"]
            let old = try contentsOf(bench)
            let faults = Faults(killedAt: number)
            let isKilled: Bool
            do {
                _ = try bench.restorer().run(observer: faults)
                isKilled = false
            } catch {
                isKilled = true
            }
            // each name has the old file or the new one
            let expected = bench.expected.filter { !above.contains($0.path) }
            let contents = Dictionary(grouping: old + withContents(expected), by: \.path).mapValues {
                Set($0.map(\.digest))
            }
            for record in try contentsOf(bench) where !record.path.components.contains(where: TreeEditor.isStagedName) {
                #expect(contents[record.path]?.contains(record.digest) ?? false, "\(record.path) after \(number)")
            }
            try bench.restore()
            let found = try records(bench)
            #expect(found.map(\.path) == expected.map(\.path), "killed at change \(number)")
            for (one, other) in zip(found, expected) where one != other {
                #expect(one == other, "killed at change \(number)")
            }
            #expect(try Shell.output("cat \(bench.place)/outside; stat -c %u \(bench.place)/outside") == "t\n9\n")
            guard isKilled else {
                #expect(number > 60)
                return
            }
            number += 4
        }
    }

    @Test("leaves the tree as it was when anything fails before the first rename", arguments: 0..<4)
    func failures(part: Int) throws {
        let bench = try bench()
        let renames = try renameNumber(bench)
        #expect(renames > 30)
        for number in stride(from: 1 + part, to: renames, by: 4) {
            try reset(bench)
            let before = try treeRecords(bench.tree)
            let faults = Faults(failing: number)
            let error = try #require(throws: FilesError.self) { try bench.restorer().run(observer: faults) }
            #expect(error.errno == .noSpace)
            let after = try treeRecords(bench.tree)
            #expect(after.map(\.path) == before.map(\.path), "change \(number)")
            // of directories above tops nothing is known, their times neither
            let above: [TreePath] = [.root, "far", "far/off"]
            for (one, other) in zip(after, before) where one != other && !above.contains(one.path) {
                #expect(one == other, "change \(number)")
            }
        }
    }

    @Test("leaves nothing of its own behind when a rename or what follows fails, and ends well the next time")
    func laterFailures() throws {
        let bench = try bench()
        let above: [TreePath] = [.root, "far", "far/off"]
        let expected = bench.expected.filter { !above.contains($0.path) }
        var number = try renameNumber(bench)
        let first = number
        while true {
            try reset(bench)
            let faults = Faults(failing: number, errno: .ioError)
            do {
                _ = try bench.restorer().run(observer: faults)
                break
            } catch let error as FilesError {
                #expect(error.errno == .ioError)
            }
            let left = try records(bench).filter { $0.path.components.contains(where: TreeEditor.isStagedName) }
            #expect(left.isEmpty, "change \(number)")
            try bench.restore()
            #expect(try records(bench) == expected, "change \(number)")
            number += 1
        }
        #expect(number > first + 20)
    }

    /// The number of the change that is the first rename.
    private func renameNumber(_ bench: RestoreBench) throws -> Int {
        let counter = Recorder()
        _ = try bench.restorer().run(observer: counter)
        return try #require(counter.operations.firstIndex(of: "rename")) + 1
    }

    @Test("takes everything back when the file system is full half way")
    func full() throws {
        let directory = try TemporaryDirectory()
        let small = try directory.mount("tree", options: "size=3m")
        try Shell.output(
            "cd \(small) && mkdir d && head -c 1000000 /dev/urandom > d/a && cp d/a d/b && echo x > d/c && mkdir \(directory.path)/out"
        )
        let made = try TestArchive(selection(small, ["d"]), in: directory / "out")
        try Shell.output(
            "cd \(small)/d && for f in a b; do head -c 1000000 /dev/urandom > $f; done; rm c; touch -d @5 ."
        )
        let request = TreeRestorer.Request(
            root: try RootDirectory(path: small),
            archive: made.archive,
            index: made.index
        )
        let restorer = TreeRestorer(request, cancellation: Cancellation())
        let needed = try restorer.neededBytes()
        #expect(needed.map(\.path) == [small.appending("d")])
        #expect(try #require(needed.first).bytes > FileSystemSpace(at: small).availableBytes)
        let before = try treeRecords(small)
        let error = try #require(throws: FilesError.self) { try restorer.run() }
        #expect(error.errno == .noSpace)
        #expect(try treeRecords(small) == before)
        try Shell.output("mount -o remount,size=8m \(small)")
        #expect(try #require(needed.first).bytes <= FileSystemSpace(at: small).availableBytes)
        _ = try restorer.run()
        #expect(try restorer.plan { _ in true }.unchanged == 4)
    }

    @Test("stops before the renames when it is told to, and takes everything back")
    func stopped() throws {
        let bench = try bench()
        let before = try treeRecords(bench.tree)
        let cancellation = Cancellation()
        #expect(throws: Stopped.self) {
            try bench.restorer(cancellation: cancellation).run { files, _ in
                if files == 3 { cancellation.cancel(.signal(15)) }
            }
        }
        #expect(try treeRecords(bench.tree).map(\.path) == before.map(\.path))
    }
}

/// Remembers what was done.
private final class Recorder: ChangeObserver {
    private let recorded = Mutex<[String]>([])
    var operations: [String] { recorded.withLock { $0 } }
    func willChange(_ operation: StaticString) { recorded.withLock { $0.append("\(operation)") } }
}
