import Files
import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("What a tree restorer keeps", .enabled(if: isRoot)) struct TreeRestorerKeepTests {
    @Test("is what is mounted below a top: not entered, not written, not removed")
    func mountPoints() throws {
        let bench = try RestoreBench(
            tops: ["d"],
            "mkdir -p d/vol d/a; echo 1 > d/vol/hidden; echo 1 > d/a/f; echo 1 > d/bound",
            inMemory: true
        )
        try bench.change(
            """
            mount -t tmpfs none d/vol; echo 2 > d/vol/secret; mkdir -p d/new/vol d/new/gone/deep; echo > d/new/gone/f
            mount -t tmpfs none d/new/vol; echo 3 > d/new/vol/secret; echo 2 > d/a/f; echo b > ../b; echo x > d/x
            mount --bind ../b d/bound; mkdir d/vol/.node-recovery.0123456789abcdef
            """
        )
        let plan = try bench.differences()
        #expect(
            plan == ["d: time", "d/a/f: content, time", "- d/new/gone", "- d/new/gone/deep", "- d/new/gone/f", "- d/x"]
        )
        let summary = try bench.restore()
        #expect(summary.leftOut.map(\.path.description) == ["d/bound", "d/new/vol", "d/vol"])
        let found = try Shell.output(
            "cd \(bench.tree) && find d | LC_ALL=C sort && cat d/vol/secret d/new/vol/secret d/a/f d/bound"
        )
        #expect(
            found == """
                d\nd/a\nd/a/f\nd/bound\nd/new\nd/new/vol\nd/new/vol/secret\nd/vol
                d/vol/.node-recovery.0123456789abcdef\nd/vol/secret\n2\n3\n1\nb\n
                """
        )
        try bench.change("umount d/vol; umount d/bound; umount d/new/vol")
        #expect(try bench.restore().removed == 2)
        try bench.expectEqualFiles()
    }

    @Test("is what the index does not have, when asked, but for what an interrupted run left")
    func extras() throws {
        let bench = try RestoreBench(tops: ["d"], "mkdir d; echo 1 > d/f", inMemory: true)
        try bench.change(
            """
            echo 2 > d/f; mkdir -p d/new/deep d/.node-recovery.0123456789abcdef/in; echo 3 > d/new/deep/x
            echo 4 > d/.node-recovery.0123456789abcdef/in/y
            """
        )
        #expect(try bench.restorer(keepsExtras: true).run().written == 1)
        #expect(try Shell.output("cd \(bench.tree) && find d -type f | sort && cat d/f") == "d/f\nd/new/deep/x\n1\n")
        try bench.restore()
        try bench.expectEqualFiles()
    }

    @Test(
        "stops it before any change when it stands in the way of another kind of file, and is named",
        arguments: [
            "rm d/file; mkdir -p d/file/vol; mount -t tmpfs none d/file/vol",
            "rm d/file; mkdir -p d/file; mount -t tmpfs none d/file",
            "rm d/file; mkdir -p d/file/keep",
            "mount --bind top top; echo 2 > top",
            "rm top; mkdir top; mount -t tmpfs none top",
            "echo 2 > d/file; chattr +i d/file", "touch d/file; chattr +a d/file",
            "mkdir d/new; touch d/new/x; chattr +i d/new/x",
            "rm d/file; mkdir d/file; echo > d/file/x; chattr +i d/file/x", "touch d; chattr +i d",
            "touch -r d t; touch d/extra; touch -r t d; rm t; chattr +i d",
        ]
    )
    func obstructed(_ change: String) throws {
        let bench = try RestoreBench(tops: ["d", "top"], "mkdir d; echo 1 > d/file; echo 1 > d/other; echo 1 > top")
        try bench.change("echo other > d/other; \(change)")
        defer { _ = try? Shell.run("cd \(bench.tree); chattr -R -i -a .; umount d/file/vol d/file top") }
        let before = try bench.snapshot()
        let exclusions: [PathPattern] = ["d/file/keep"]
        let error = try #require(throws: ArchiveError.self) { try bench.restore(except: exclusions) }
        guard case .obstructed(let reason) = error.cause else {
            Issue.record("\(error.summary)")
            return
        }
        #expect(error.summary.contains(change.contains("top") ? "'top'" : "'d"))
        #expect(!reason.isEmpty && error.exitStatus == Reporting.ExitStatus.cantCreate)
        #expect(throws: error) { try bench.differences(except: exclusions) }
        #expect(try bench.snapshot() == before)
    }

    @Test("is an exclusion and the recovery store, and the directories that hold them")
    func exclusions() throws {
        let bench = try RestoreBench(
            "mkdir -p d/keep d/store d/x; echo 1 > d/keep/f; echo 1 > d/.updated; echo 1 > d/gone; echo 1 > d/x/a.log; echo 1 > d/f"
        )
        try bench.change(
            """
            echo 22 > d/keep/f; echo 2 > d/keep/new; rm d/.updated; echo 2 > d/f; rm d/gone; echo 22 > d/x/a.log
            echo > d/x/b.log; mkdir -p d/new/in/keep d/new/store/1; echo > d/new/x; echo > d/new/store/1/f
            """
        )
        let store = try RootDirectory(path: bench.tree).stat("d/new/store").identity
        let restorer = try bench.restorer(
            except: ["d/keep", "d/.updated", "d/gone", "d/x/*.log", "d/new/in/keep"],
            leaveOut: [store: "recovery store"]
        )
        let summary = try restorer.run()
        #expect(
            summary.leftOut.map { "\($0.path) \($0.reason)" } == [
                "d/keep excluded", "d/new/in/keep excluded", "d/new/store recovery store", "d/x/a.log excluded",
                "d/x/b.log excluded",
            ]
        )
        let found = try Shell.output(
            "cd \(bench.tree)/d && find . -type f | LC_ALL=C sort | xargs grep -H ''; ls -d new/*"
        )
        #expect(
            found == """
                ./f:1\n./keep/f:22\n./keep/new:2\n./new/store/1/f:\n./x/a.log:22\n./x/b.log:\nnew/in\nnew/store\n
                """
        )
        #expect(summary.removed == 1 && summary.written == 1)
        let second = try restorer.run()
        #expect(second.unchanged == second.files && second.removed == 0)
    }

    @Test("makes the next name of a file the first one, when the first one is kept")
    func standIns() throws {
        let bench = try RestoreBench("mkdir a b; echo linked > a/first; ln a/first b/second; ln a/first b/third")
        try bench.change("echo other > a/first; rm b/third; echo 3 > b/third")
        try bench.restore(except: ["a"])
        let found = try Shell.output("cd \(bench.tree) && cat a/first b/second b/third && stat -c %h a/first b/second")
        #expect(found == "other\nlinked\nlinked\n1\n2\n")
        let before = try bench.snapshot()
        #expect(try bench.restore(except: ["a"]).written == 0)
        #expect(try bench.snapshot() == before)
    }

    @Test("does not depend on how long a name is, nor on its bytes")
    func names() throws {
        let long = String(repeating: "n", count: 255)
        let bench = try RestoreBench(
            "mkdir -p \(long)/\(long); echo 1 > \(long)/\(long)/\(long); echo 1 > $'b\\xff\\n'; ln -s x \(long)/l; mkdir $'d\\xfe'",
            inMemory: true
        )
        try bench.change(
            "echo 2 > \(long)/\(long)/\(long); rm $'b\\xff\\n'; mkdir $'b\\xff\\n'; rmdir $'d\\xfe'; touch $'d\\xfe'; touch $'e\\xfe'"
        )
        try bench.restore()
        try bench.expectEqual()
        try bench.change("rm -r \(long); echo > \(long)")
        try bench.restore()
        try bench.expectEqual()
        try bench.change("rm -r \(long)")
        try bench.restore()
        try bench.expectEqual()
    }

    @Test("makes missing directories above tops, through links inside the root, and leaves what is beside them")
    func parents() throws {
        let bench = try RestoreBench(
            tops: ["a/b/c", "u/local"],
            "mkdir -p a/b u/local; echo 1 > a/b/c; echo 1 > u/local/f"
        )
        try bench.change(
            "rm -r a u; mkdir -p v/l u; ln -s /v/l a; echo 1 > u/beside; touch u/.node-recovery.0123456789abcdef"
        )
        #expect(try bench.restore().written == 3)
        let found = try Shell.output("cd \(bench.tree) && cat v/l/b/c u/local/f && ls -A u && stat -c %a v/l/b")
        #expect(found == "1\n1\nbeside\nlocal\n755\n")
    }
}
