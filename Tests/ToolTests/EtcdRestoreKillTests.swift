import SystemPackage
import TestSupport
import Testing

/// A snapshot of a real etcd, and what a restore of it makes when nothing disturbs it.
private final class RestoreRig: Sendable {
    let directory: TemporaryDirectory
    let tool: Tool
    let reference: FilePath

    init() throws {
        directory = try TemporaryDirectory()
        tool = try Tool(in: directory)
        reference = directory / "reference/etcd"
        let etcd = try RunningEtcd(in: directory / "source")
        defer { etcd.end() }
        let value = String(repeating: "x", count: 3000)
        for number in 0..<40 { try etcd.etcdctl("put /registry/object-\(number) \(value)") }
        let saved = try tool.run(
            "etcd-snapshot",
            ["save", snapshot.string, "--endpoint", "http://127.0.0.1:\(etcd.port)"]
        )
        try #require(saved.status == 0, "\(saved)")
        try Shell.output("zstd -q '\(snapshot)'; mkdir '\(directory / "reference")'")
        try #require(try restore(to: reference).status == 0)
    }

    var snapshot: FilePath { directory / "snapshot.db" }

    func restore(to target: FilePath, under wrapper: [String] = []) throws -> Tool.Result {
        try tool.run(
            "etcd-snapshot",
            ["restore", "\(snapshot).zst", "--data-dir", target.string],
            under: wrapper
        )
    }

    /// Expects that a directory is not there, or is what an undisturbed restore makes; and that the next restore
    /// makes that.
    func expectWhole(_ target: FilePath, after what: String) throws {
        let isThere = try Shell.output("[ ! -e '\(target)' ] || echo there") != ""
        if !isThere {
            let next = try restore(to: target)
            #expect(next.status == 0, "\(what): \(next)")
        }
        #expect(try Shell.output("diff -r '\(reference)' '\(target)' 2>&1 || true") == "", "\(what)")
        let left = try Shell.output("ls -A '\(target.removingLastComponent())'")
        #expect(left == "etcd\n", "\(what): \(left)")
    }
}

@Suite("A restore of etcd that is cut", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct EtcdRestoreKillTests
{
    /// System calls that change what is on the disk.
    private static let changing = [
        "mkdirat", "pwrite64", "write", "fsync", "syncfs", "renameat2", "renameat", "unlinkat", "ftruncate", "fchmod",
        "fchown", "openat",
    ]

    private let rig: RestoreRig

    init() throws { rig = try RestoreRig() }

    /// Runs a restore with the k-th call of a name struck, k = 1, 2, … until there is none.
    private func strike(_ call: String, _ how: String, _ body: (FilePath, Int, Tool.Result) throws -> Void) throws
        -> Int
    {
        for number in 1...400 {
            let place = rig.directory / "work"
            try Shell.output("rm -rf '\(place)'; mkdir '\(place)'")
            let target = place.appending("etcd")
            let result = try rig.restore(
                to: target,
                under: [
                    "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e", "signal=none",
                    "-e", "inject=\(call):\(how):when=\(number)",
                ]
            )
            try body(target, number, result)
            if result.status == 0 { return number - 1 }
        }
        Issue.record("\(call) is called more than 400 times")
        return 400
    }

    @Test("by SIGKILL at any call leaves nothing under the name, or all of it")
    func killed() throws {
        var places = 0
        for call in Self.changing {
            places += try strike(call, "signal=KILL") { target, number, result in
                if result.status != 0 { try rig.expectWhole(target, after: "\(call) \(number)") }
            }
        }
        #expect(places > 20)
    }

    @Test("by a disk that is full half way leaves nothing, says so, and works when there is room")
    func full() throws {
        let struck = try strike("pwrite64", "error=ENOSPC") { target, number, result in
            guard result.status != 0 else { return }
            #expect(result.status == 73, "pwrite64 \(number): \(result)")
            #expect(result.errors.contains("No space left on device\nhint: "), "pwrite64 \(number): \(result)")
            #expect(try Shell.output("ls -A '\(target.removingLastComponent())'") == "", "pwrite64 \(number)")
            try rig.expectWhole(target, after: "pwrite64 \(number)")
        }
        #expect(struck > 0)
    }

    @Test("by a file system that is too small is refused before it begins, or half way, and leaves nothing")
    func small() throws {
        for kibibytes in [64, 128, 192, 256, 320, 384, 512] {
            let place = try rig.directory.mount("small-\(kibibytes)", options: "size=\(kibibytes)k")
            let target = place.appending("etcd")
            let result = try rig.restore(to: target)
            if result.status == 0 {
                #expect(try Shell.output("diff -r '\(rig.reference)' '\(target)' 2>&1 || true") == "")
            } else {
                #expect(result.status == 73, "\(kibibytes) KiB: \(result)")
                #expect(try Shell.output("ls -A '\(place)'") == "", "\(kibibytes) KiB")
            }
        }
    }
}
