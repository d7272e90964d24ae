import Files
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Archives

@Suite("A tree restorer") struct TreeRestorerTests {
    @Test("makes every kind of file where there is nothing, and then has nothing to do", .enabled(if: isRoot))
    func everything() throws {
        let bench = try RestoreBench(tops: ["d"], kinds: true)
        try bench.change("rm -rf d")
        let summary = try bench.restore()
        #expect(summary.written == bench.made.summary.files)
        // short holes count as what is written
        #expect(summary.writtenBytes >= bench.made.summary.sourceBytes)
        let root = bench.expected.first { $0.path.isRoot }
        #expect(try records(bench.tree).filter { !$0.path.isRoot } == bench.expected.filter { $0 != root })
        for name in ["hole", "onlyhole", "endhole"] {
            let blocks = try Shell.output("stat -c %b \(bench.tree)/d/\(name)")
            #expect(try #require(Int(blocks.dropLast())) <= 16)
        }
        let before = try bench.snapshot()
        let second = try bench.restore()
        #expect(second.unchanged == second.files && second.files == summary.files && second.removed == 0)
        #expect(try bench.snapshot() == before)
    }

    @Test("touches nothing in a tree that is equal, whatever the archive looks like", .enabled(if: isRoot))
    func nothingToDo() throws {
        let bench = try RestoreBench(kinds: true)
        let before = try bench.snapshot()
        #expect(try bench.differences() == [])
        let summary = try bench.restore(archive: "/does/not/exist")
        #expect(summary.files == bench.made.summary.files)
        #expect(try bench.snapshot() == before)
    }

    /// A change, what the plan says of it, and whether the archive is needed.
    struct Difference: CustomTestStringConvertible, Sendable {
        var change: String
        var plan: [String]
        var readsArchive = true
        var testDescription: String { change }
    }

    static let differences: [Difference] = [
        Difference(change: "echo other > d/file", plan: ["d/file: content, time, attribute security.capability"]),
        Difference(change: "rm d/file; echo HELLO > d/file", plan: []),
        Difference(change: "touch -r d/nothing t; echo x > d/nothing; touch -r t d/nothing; rm t", plan: []),
        Difference(change: "chmod 600 d/file", plan: ["d/deep/hard2: mode"], readsArchive: false),
        Difference(change: "chown 7 d/nothing d/empty d/fifo d/char", plan: [], readsArchive: false),
        Difference(change: "chown -h 7 d/link; touch -h d/dangling", plan: [], readsArchive: false),
        Difference(change: "touch d d/empty d/large d/hole d/deep/hard2", plan: [], readsArchive: false),
        Difference(
            change: "setfattr -n user.new -v 1 d/file; setfattr -x user.empty d/file",
            plan: [],
            readsArchive: false
        ),
        Difference(change: "setfattr -n user.comment -v other d/file", plan: [], readsArchive: false),
        Difference(change: "setfattr -x security.capability d/file", plan: [], readsArchive: false),
        Difference(change: "chown 5 d/file", plan: [], readsArchive: false),
        Difference(change: "setcap cap_net_raw=ep d/a=b*", plan: [], readsArchive: false),
        Difference(
            change: "setfacl -b d/large; setfacl -k d/empty; setfacl -m u:9:r d/nothing",
            plan: [],
            readsArchive: false
        ),
        Difference(change: "setfacl -m d:u:1:rwx . d d/deep; mkdir d/x", plan: [], readsArchive: false),
        Difference(change: "setfacl -m d:u:1:rwx,u:7:rwx . d d/deep; rm -r d/f* d/deep/* d/empty d/link", plan: []),
        Difference(change: "chmod g+s d d/deep; chgrp 77 d d/deep; rm -r d/f* d/deep/* d/empty d/link", plan: []),
        Difference(change: "setfattr -h -n trusted.onlink -v no d/link", plan: [], readsArchive: false),
        Difference(change: "ln -sfn elsewhere d/link", plan: [], readsArchive: false),
        Difference(change: "rm d/char d/block; mknod d/char c 1 5; mknod d/block b 1 5", plan: [], readsArchive: false),
        Difference(change: "rm d/fifo; mkfifo d/fifo", plan: [], readsArchive: false),
        Difference(change: "rm d/hard1 d/deep/hard2", plan: ["d/deep: time", "+ d/deep/hard2", "+ d/hard1"]),
        Difference(change: "rm d/hard1; cp -a d/file d/hard1", plan: ["d/hard1: hard link"], readsArchive: false),
        Difference(change: "rm d/file; cp -a d/hard1 d/file; echo more >> d/hard1", plan: []),
        Difference(change: "ln -f d/file d/nothing", plan: ["d/nothing: hard link"]),
        Difference(change: "rm d/large; ln d/file d/large; chmod 777 d/file", plan: []),
        Difference(change: "ln d/file ../outside; chmod 777 d/file", plan: []),
        Difference(change: "ln d/nothing ../outside; chmod 777 d/nothing", plan: []),
        Difference(change: "ln d/fifo ../outside; chmod 777 d/fifo", plan: [], readsArchive: false),
        Difference(change: "ln d/file d/aaa; ln d/file zzz", plan: ["- d/aaa", "- zzz"], readsArchive: false),
        Difference(
            change: "mkdir -p new/a/b; echo > new/a/b/c; mkfifo d/new; ln -s x d/deep/new",
            plan: [],
            readsArchive: false
        ),
        Difference(
            change: "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"d/s\")'",
            plan: ["- d/s"],
            readsArchive: false
        ),
        Difference(change: "rm d/file; mkdir d/file; echo > d/file/in; mkdir d/file/deep", plan: []),
        Difference(change: "rm d/link; mkdir -p d/link/in", plan: [], readsArchive: false),
        Difference(change: "rm d/fifo; echo > d/fifo", plan: [], readsArchive: false),
        Difference(change: "rm -r d/deep; echo > d/deep", plan: []),
        Difference(change: "rm -r d/empty; ln -s /etc d/empty", plan: [], readsArchive: false),
        Difference(change: "rm d/file; ln -s /etc/passwd d/file", plan: []),
        Difference(change: "rm d/file; mknod d/file c 1 3", plan: []),
        Difference(change: "rm -r d; ln -s /tmp d", plan: []),
        Difference(change: "rm -r d; echo > d", plan: []),
        Difference(change: "mv d e; mkdir d; mv e d/", plan: []),
        Difference(change: "rm -rf ./*", plan: ["+ d"]),
        Difference(change: "chmod 000 d d/deep", plan: ["d: mode"], readsArchive: false),
        Difference(change: "truncate -s 1 d/hole d/onlyhole; fallocate -l 300000 d/endhole", plan: []),
    ]

    @Test("takes each kind of difference away, and says so before", .enabled(if: isRoot), arguments: differences)
    func difference(_ difference: Difference) throws {
        let bench = try RestoreBench(kinds: true)
        try bench.change(difference.change)
        let before = try bench.snapshot()
        let plan = try bench.differences()
        #expect(try bench.snapshot() == before)
        #expect(!plan.isEmpty)
        for line in difference.plan { #expect(plan.contains(line), "\(plan)") }
        let planned = try bench.restorer().plan { _ in true }
        let done = try bench.restore(archive: difference.readsArchive ? nil : "/does/not/exist")
        #expect(planned == done)
        #expect(plan.count == done.written + done.metadataOnly + done.removed)
        try bench.expectEqual()
        let after = try bench.snapshot()
        let second = try bench.restore(archive: "/does/not/exist")
        #expect(second.unchanged == second.files && second.removed == 0)
        #expect(try bench.snapshot() == after)
        if difference.change.contains("outside") {
            #expect(try Shell.output("stat -c %h \(bench.directory.path)/outside") == "1\n")
        }
    }

    @Test("sees a change that left size and time alone, also in a file that was left alone before the backup")
    func hints() throws {
        // younger than a second, a file has no hint
        let bench = try RestoreBench(tops: ["d"], "mkdir d; echo one > d/f; echo two > d/g; sleep 1.2")
        let hints = try indexRecords(bench.made.index).map { $0.hint != nil }
        #expect(hints == [true, true, true])
        try bench.change("touch -r d/f t; echo ONE > d/f; touch -r t d/f; rm t")
        #expect(try bench.differences() == ["d/f: content"])
        try bench.restore()
        try bench.expectEqualFiles()
    }
}
