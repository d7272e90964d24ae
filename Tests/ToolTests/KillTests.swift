import Glibc
import SystemPackage
import TestSupport
import Testing

/// A system call of one run: its name, and how many of that name its thread had made.
private struct Call: Hashable, CustomStringConvertible {
    var name: String
    var number: Int

    var description: String { "\(name) \(number)" }
}

/// What strace tells of a run.
private struct Trace {
    /// Each call that can be addressed, since the partial recovery point was made, in order.
    ///
    /// strace counts the calls of each name by thread and strikes in the thread that is first, so a call can be
    /// addressed when no other thread got there before.
    var writing: [Call] = []

    init(reading path: FilePath) throws {
        var counts: [String: Int] = [:]
        var seen: Set<Call> = []
        var isWriting = false
        for line in try Shell.output("cat '\(path)'").split(separator: "\n") {
            // A short process number is filled up with spaces.
            let process = line.prefix { $0 != " " }
            let text = line.dropFirst(process.count).drop { $0 == " " }
            guard let end = text.firstIndex(of: "(") else { continue }
            let name = String(text[..<end])
            guard name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else { continue }
            counts["\(process) \(name)", default: 0] += 1
            let call = Call(name: name, number: counts["\(process) \(name)"] ?? 0)
            if name == "mkdirat", text.contains(".partial\"") { isWriting = true }
            if seen.insert(call).inserted, isWriting { writing.append(call) }
        }
    }
}

@Suite("A backup that is cut", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct KillTests {
    /// Calls that change what is on disk.
    private static let changing = [
        "mkdirat", "write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "syncfs", "renameat", "renameat2",
        "linkat", "symlinkat", "unlinkat", "ftruncate", "fallocate", "fchmod", "copy_file_range", "ioctl",
    ]
    /// Calls that show where a run is.
    private static let looking = [
        "openat", "openat2", "pread64", "read", "statx", "close", "lseek", "getdents64", "llistxattr", "readlinkat",
    ]

    /// A node with two recovery points, changed since, and the store as it is then.
    private let node: SmallNode
    private let saved: FilePath

    init() throws {
        node = try SmallNode()
        try node.touchEverything()
        let second = try node.create()
        try #require(second.status == 0, "\(second)")
        try node.touchEverything()
        try Shell.output("rm '\(node.root)/etc/file-3'")
        saved = try node.directory.mount("saved")
        try Shell.output("cp -a '\(node.store)/.' '\(saved)/'")
    }

    /// A recovery partition as it was, for one worker; kept in memory, where a sync costs nothing.
    private func partition(_ worker: Int) throws -> FilePath { try node.directory.mount("worker-\(worker)") }

    private func reset(_ store: FilePath) throws {
        try Shell.output("find '\(store)' -mindepth 1 -delete; cp -a '\(saved)/.' '\(store)/'")
    }

    private func words(_ command: String, _ store: FilePath, _ arguments: String...) -> [String] {
        [command, "--root", node.root.string, "--dir", store.string, "--profile", "plain"] + arguments
    }

    private func trace(_ store: FilePath) throws -> Trace {
        let path = node.directory / "trace"
        let names = (Self.changing + Self.looking).joined(separator: ",")
        let result = try node.tool.run(
            "node-backup",
            words("create", store),
            under: ["strace", "-f", "-qq", "-o", path.string, "-e", "trace=\(names)", "-e", "signal=none"]
        )
        try #require(result.status == 0, "\(result)")
        return try Trace(reading: path)
    }

    private func generations(_ store: FilePath) throws -> Set<Int64> {
        let listed = try JSON(parsing: try node.tool.run("node-backup", words("list", store, "--json")).output)
        return Set(listed.items.compactMap { $0["generation"].integer })
    }

    /// Expects that every recovery point that is there is good, the newest old one among them, and that the next run
    /// works and removes what this one left.
    private func expectWhole(_ store: FilePath, after call: String) throws {
        let found = try generations(store)
        #expect(found == [1, 2] || found == [1, 2, 3] || found == [2, 3], "\(call): \(found)")
        let proof = try node.tool.run("node-backup", words("verify", store, "--all"))
        #expect(proof.status == 0, "\(call): \(proof)")
        let next = try node.tool.run("node-backup", words("create", store))
        #expect(next.status == 0, "\(call): \(next)")
        let left = try Shell.output("ls -A '\(store)/points' | grep -vxE '[0-9]+' || true")
        #expect(left == "", "\(call)")
    }

    @Test(
        "by SIGKILL at 200 places of its writing part leaves either no new recovery point or one that verifies",
        arguments: 0..<2
    )
    func killed(worker: Int) throws {
        let store = try partition(worker)
        try reset(store)
        let calls = try trace(store).writing
        // All that change the disk, and as many of the others as it takes to make 200, spread evenly.
        var places = calls.filter { Self.changing.contains($0.name) }
        let others = calls.filter { Self.looking.contains($0.name) }
        let missing = max(0, 200 - places.count)
        try #require(places.count + others.count >= 200, "\(calls.count)")
        places += (0..<missing).map { others[$0 * others.count / missing] }
        var killed = 0
        var withPoint = 0
        var leftovers = 0
        for (index, place) in places.prefix(max(200, places.count)).enumerated() where index % 2 == worker {
            try reset(store)
            let result = try node.tool.run(
                "node-backup",
                words("create", store),
                under: [
                    "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(place.name)", "-e",
                    "inject=\(place.name):signal=SIGKILL:when=\(place.number)",
                ]
            )
            if result.status == 137 { killed += 1 } else { #expect(result.status == 0, "\(place): \(result)") }
            if result.status == 137, try generations(store).contains(3) { withPoint += 1 }
            leftovers +=
                Int(try Shell.output("ls '\(store)/points' | grep -cE 'partial|removing' || true").trimmed) ?? 0
            try expectWhole(store, after: "\(place)")
        }
        print(
            "kill tests, worker \(worker): \(killed) of \((places.count + 1 - worker) / 2) runs killed, "
                + "\(withPoint) after the commit, \(leftovers) left something"
        )
        // Threads take turns, so now and then a place is not reached.
        #expect(killed >= 85)
        #expect(withPoint > 0 && withPoint < killed)
        #expect(leftovers > 30)
    }

    @Test("by an error at every call that changes the disk says which, and leaves the others as they were")
    func failing() throws {
        let store = try partition(2)
        try reset(store)
        let before = try points(store)
        var failed = 0
        var ignored = 0
        for (name, error) in [
            ("write", "ENOSPC"), ("pwrite64", "ENOSPC"), ("fsync", "EIO"), ("syncfs", "EIO"), ("mkdirat", "ENOSPC"),
            ("linkat", "ENOSPC"), ("renameat", "EIO"), ("renameat2", "EIO"), ("ftruncate", "EIO"),
            ("symlinkat", "ENOSPC"), ("fchmod", "EIO"),
        ] {
            var number = 0
            var wasInjected = true
            while wasInjected {
                number += 1
                try #require(number < 200, "\(name) never passes")
                try reset(store)
                let trace = node.directory / "errors"
                let result = try node.tool.run(
                    "node-backup",
                    words("create", store),
                    under: [
                        "strace", "-f", "-qq", "-y", "-o", trace.string, "-e", "trace=\(name)", "-e",
                        "signal=none", "-e", "inject=\(name):error=\(error):when=\(number)",
                    ]
                )
                let hits = try Shell.output("grep -F '(INJECTED)' '\(trace)' || true")
                wasInjected = !hits.isEmpty
                guard wasInjected else {
                    #expect(result.status == 0, "\(name) \(number): \(result)")
                    break
                }
                if result.status == 0 {
                    ignored += 1
                    try expectWhole(store, after: "\(name) \(number)")
                    continue
                }
                failed += 1
                #expect([73, 74].contains(result.status), "\(name) \(number): \(result)\n\(hits)")
                let text = error == "EIO" ? "Input/output error" : "No space left on device"
                #expect(result.errors.contains(": \(text)"), "\(name) \(number): \(result)\n\(hits)")
                if try !generations(store).contains(3) {
                    let after = try points(store)
                    #expect(after == before, "\(name) \(number): \(hits)")
                    let leftovers = try Shell.output("ls -A '\(store)/points'")
                    #expect(leftovers == "1\n2\n", "\(name) \(number): \(result)\n\(hits)")
                }
                try expectWhole(store, after: "\(name) \(number)")
            }
        }
        print("error tests: \(failed) runs failed as they must, \(ignored) went on without what was not needed")
        #expect(failed > 20)
    }

    /// The recovery points that were there before, as text.
    private func points(_ store: FilePath) throws -> String {
        try Shell.output(
            "cd '\(store)/points' && find 1 2 -type f -printf '%p %m %U:%G %s %T@\\n' | sort && find 1 2 -type f -print0 | sort -z | xargs -0 sha256sum"
        )
    }
}
