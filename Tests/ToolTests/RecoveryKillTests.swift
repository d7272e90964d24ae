import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("A recovery that is cut", FailedNodes()) struct RecoveryKillTests {
    private let node: FailedNode

    init() throws { node = try FailedNodes.node() }

    private func words(_ name: String, _ what: String, log: String = "/dev/null") -> [String] {
        // strace 6.1 does not deliver a signal when the kernel filters for it
        let filter = what.hasPrefix("signal") ? [] : ["--seccomp-bpf"]
        return ["strace", "-f"] + filter + [
            "-qq", "-o", log, "-e", "trace=\(name)", "-e", "inject=\(name):\(what)", "-e", "signal=none",
        ]
    }

    /// Every step, in order.
    private func steps() throws -> [String] {
        try JSON(parsing: try node.tool.run("upgrade-recovery", ["--list-steps", "--json"]).output).items
            .compactMap { $0["name"].text }
    }

    @Test(
        "at every line of its journal, before and after it is on the disk, ends the same after --resume",
        arguments: 0..<2
    )
    func killedAtLines(worker: Int) throws {
        let trial = "lines-\(worker)"
        var places: Set<String> = []
        let count = node.trace.calls.count { $0.name == "fdatasync" }
        try #require(count >= 2 * (try steps()).count)
        for number in 1...count where number % 2 == worker {
            let trial = try node.trial(trial)
            let result = try trial.run(under: words("fdatasync", "signal=KILL:when=\(number)"))
            try #require(result.status == 137, "line \(number): \(result)")
            let (step, event) = try trial.last()
            places.insert("\(step) \(event == "started" ? "started" : "over")")
            try node.expectEnd(trial, after: "line \(number), \(step) \(event)", resumes: number % 4 < 2)
        }
        // Odd lines are beginnings, even ones ends: between the two workers every step is cut before and after it.
        let wanted = try steps().map { "\($0) \(worker == 1 ? "started" : "over")" }
        #expect(places == Set(wanted))
    }

    @Test("inside every step, at calls that change the disk and others, ends the same", arguments: 0..<2)
    func killedInside(worker: Int) throws {
        var generator = SeededGenerator(seed: 41)
        var places: [RecoveryTrace.Call] = []
        for step in try steps() {
            let all = node.trace.calls.filter { $0.step == step }
            let changing = all.filter { RecoveryTrace.changing.contains($0.name) && $0.name != "fdatasync" }
            let working = ["restore", "keep-failed-state", "rehearse", "tidy"].contains { step.hasPrefix($0) }
            // of what changes names every one in the steps that change places, a few of all others
            places += changing.shuffled(using: &generator).prefix(working ? 9 : 1)
            places += all.shuffled(using: &generator).prefix(working ? 2 : 1)
        }
        var killed: Set<String> = []
        var count = 0
        for (index, place) in places.enumerated() where index % 2 == worker {
            let trial = try node.trial("inside-\(worker)")
            let result = try trial.run(under: words(place.name, "signal=KILL:when=\(place.number)"))
            if result.status == 137 {
                count += 1
                killed.insert(place.step)
            } else {
                #expect(result.status == 0, "\(place): \(result)")
            }
            try node.expectEnd(trial, after: "\(place)", resumes: index % 4 < 2)
        }
        print("recovery kill tests, worker \(worker): \(count) of \((places.count + 1 - worker) / 2) runs killed")
        #expect(count > places.count / 3)
    }

    @Test("twice in a row ends the same") func killedTwice() throws {
        var generator = SeededGenerator(seed: 43)
        let places = node.trace.calls.filter {
            $0.step.hasPrefix("restore") && RecoveryTrace.changing.contains($0.name)
        }
        for place in places.shuffled(using: &generator).prefix(8) {
            let trial = try node.trial("twice")
            _ = try trial.run(under: words(place.name, "signal=KILL:when=\(place.number)"))
            // the second one is struck in the middle of what it has to do again
            _ = try trial.run("--resume", under: words("renameat2", "signal=KILL:when=3"))
            try node.expectEnd(trial, after: "\(place) and again")
        }
    }

    @Test("by a journal that is cut at any place goes on, with --restart where the message says so") func journalCut()
        throws
    {
        let template = try node.trial("cut-template")
        let last = node.trace.calls.count { $0.name == "fdatasync" } - 1
        let killed = try template.run(under: words("fdatasync", "signal=KILL:when=\(last)"))
        try #require(killed.status == 137)
        let sizes = try Shell.output("awk '{ print length($0) + 1 }' '\(template.store)/journal'").split(
            separator: "\n"
        )
        .compactMap { Int($0) }
        var cuts: [Int] = []
        var start = 0
        for (line, size) in sizes.enumerated() {
            // every place of the lines: one behind its beginning, one in it, the one before its end, and its end
            let inside = line == 0 ? Array(stride(from: 0, to: size, by: 40)) : [1 + line * 7 % (size - 2), size - 1]
            cuts += inside.map { start + $0 }
            start += size
            cuts.append(start)
        }
        for cut in cuts {
            let trial = FailedNode.Trial(
                place: template.place.removingLastComponent().appending("cut"),
                tool: node.tool
            )
            try Shell.output(
                """
                rm -rf '\(trial.place)' && cp -a '\(template.place)' '\(trial.place)'
                truncate -s \(cut) '\(trial.store)/journal'
                """
            )
            let result = try trial.run("--resume")
            if cut < sizes[0] {
                #expect(result.status == 65, "cut at \(cut): \(result)")
                #expect(result.errors.contains("hint: start over with 'upgrade-recovery --restart"), "\(result)")
                let status = try trial.run("--status")
                #expect(status.status == 65 && status.errors.contains("--restart"), "\(status)")
                let restart = try trial.run("--restart")
                #expect(restart.status == 0, "cut at \(cut): \(restart)")
            } else {
                #expect(result.status == 0, "cut at \(cut): \(result)")
            }
            let difference = FailedNode.difference(try trial.state(), node.end)
            #expect(difference == "", "cut at \(cut): \(difference)")
            #expect(try trial.leftovers() == "", "cut at \(cut)")
            #expect(try Shell.output("ls '\(trial.store)/points'").trimmed == "1\n2", "cut at \(cut)")
        }
    }

    /// Calls that fail, and how.
    private static let failures = [
        ("write", "ENOSPC"), ("pwrite64", "ENOSPC"), ("fsync", "EIO"), ("fdatasync", "EIO"), ("syncfs", "EIO"),
        ("mkdirat", "ENOSPC"), ("linkat", "EIO"), ("symlinkat", "ENOSPC"), ("mknodat", "ENOSPC"),
        ("renameat", "EIO"), ("renameat2", "EIO"), ("unlinkat", "EIO"), ("ftruncate", "EIO"), ("fchmod", "EIO"),
        ("fchown", "EIO"), ("fchownat", "EIO"), ("utimensat", "EIO"), ("fsetxattr", "ENOSPC"), ("openat", "EIO"),
        ("openat2", "EIO"), ("getdents64", "EIO"), ("pread64", "EIO"),
    ]

    @Test("by an error at a call says which file and what to do, and ends the same after it", arguments: 0..<2)
    func failing(worker: Int) throws {
        var failed = 0
        var passed = 0
        for (index, (name, error)) in Self.failures.enumerated() where index % 2 == worker {
            let total = node.trace.calls.count { $0.name == name }
            // dense at the beginning, then ever wider
            var number = name == "openat" || name == "pread64" ? 30 : 1
            while number <= total {
                let trial = try node.trial("failing-\(worker)")
                let log = "\(node.directory.path)/errors-\(worker)"
                let result = try trial.run(under: words(name, "error=\(error):when=\(number)", log: log))
                let what = "\(name) \(number) \(error)"
                if result.status == 0 {
                    passed += 1
                } else {
                    failed += 1
                    #expect([65, 66, 69, 73, 74, 75].contains(result.status), "\(what): \(result)")
                    #expect(result.errors.contains("\nhint: "), "\(what): \(result)")
                    let message = result.errors.split(separator: "\n").last { $0.hasPrefix("upgrade-recovery: ") } ?? ""
                    #expect(message.contains("'"), "\(what): \(result)")
                }
                try node.expectEnd(trial, after: what)
                number = number < 4 ? number + 1 : number * 3 / 2
            }
        }
        print("recovery fault tests, worker \(worker): \(failed) runs failed, \(passed) went on")
        #expect(failed > 20)
    }
}
