import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("An odd file in a tree") struct OddFileTests {
    @Test("whose path no system call takes is left out with everything in it, and listed")
    func longPath() throws {
        let bench = try RestoreBench(
            """
            python3 -c 'import os
            for i in range(17):
                os.mkdir("d" * 250); os.chdir("d" * 250); open("f", "w").close()'
            """
        )
        #expect(bench.made.summary.leftOut.count == 1)
        let left = try #require(bench.made.summary.leftOut.first)
        #expect("\(left.reason)" == "cannot be stored: its path is longer than 4095 bytes")
        #expect(left.path.bytes.count > 4095)
        try bench.made.verify()
        #expect(try bench.restore().written == 0)
        #expect(try bench.restorer().plan { _ in true }.leftOut.map(\.path) == [left.path])
    }

    @Test("has attributes whose names are any bytes")
    func attributeNames() throws {
        let bench = try RestoreBench(
            """
            touch f d; setfattr -n $'user.caf\\xe9' -v 1 f; setfattr -n $'user.a=b%c\\nd' -v 2 f; setfattr -n user.é -v 3 d
            """
        )
        try bench.made.verify()
        try bench.change("rm f d")
        try bench.restore()
        try bench.expectEqual()
    }

    @Test("from before 1970 has its time in the archive as POSIX has it, which GNU tar restores")
    func earlyTimes() throws {
        let times = [
            "1969-12-31 23:59:58.5", "1969-12-31 23:59:59.25", "1969-12-31 23:59:59", "1960-01-01 00:00:00.000000001",
            "1970-01-01 00:00:00.5", "2020-01-01 00:00:00.5",
        ]
        let bench = try RestoreBench(times.enumerated().map { "touch -d '\($1) UTC' f\($0)" }.joined(separator: "; "))
        try bench.made.verify()
        let out = bench.directory / "tar"
        try Shell.output("mkdir \(out) && tar -C \(out) --zstd -xpf \(bench.made.archive)")
        let times1 = try Shell.output("cd \(bench.tree); stat -c '%n %.9Y' f*")
        #expect(try Shell.output("cd \(out); stat -c '%n %.9Y' f*") == times1)
        try bench.change("rm f*")
        try bench.restore()
        #expect(try Shell.output("cd \(bench.tree); stat -c '%n %.9Y' f*") == times1)
    }

    @Test("is found in a tree that is mounted read-only, before anything is changed", .enabled(if: isRoot))
    func readOnly() throws {
        let bench = try RestoreBench("echo 1 > f")
        #expect(try bench.restore().written == 0)
        try bench.change(
            "echo 2 > f; echo 3 > new; mount --bind \(bench.tree) \(bench.tree); mount -o remount,bind,ro \(bench.tree)"
        )
        defer { _ = try? Shell.run("umount -l \(bench.tree)") }
        let error = #expect(throws: FilesError.self) { try bench.restorer().neededBytes() }
        #expect(error?.errno == .readOnlyFileSystem)
        #expect(error?.summary == "could not write to '\(bench.tree)': Read-only file system")
    }

    @Test("is removed with hundreds of thousands of others, or made with them, in little memory", .enabled(if: isRoot))
    func many() throws {
        let bench = try RestoreBench("mkdir keep", inMemory: true)
        try bench.change(
            """
            python3 -c 'import os
            for i in range(5000): os.mkdir("d"); os.chdir("d"); open("z", "w").close()'
            mkdir many; cd many; seq 3000 | xargs touch
            """
        )
        let summary = try bench.restore()
        #expect(summary.removed > 5000)
        try bench.expectEqual()
    }
}
