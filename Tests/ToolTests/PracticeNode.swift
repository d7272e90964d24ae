import Glibc
import SystemPackage
import TestSupport
import Testing

/// A practice node of scripts/testbed with a recovery partition of its own, and the program that works on it.
final class PracticeNode: Sendable {
    let directory: TemporaryDirectory
    let tool: Tool
    let profile: String

    init(profile: String, objects: Int = 500) throws {
        self.profile = profile
        directory = try TemporaryDirectory()
        tool = try Tool(in: directory)
        try Shell.output("\(testbed("practice-node")) --profile \(profile) --objects \(objects) \(directory / "node")")
        _ = try directory.mount("node/var/recovery")
        // What the practice node does not have of what a Linux file can be.
        try Shell.output(
            """
            set -e
            cd '\(directory / "node")/etc/site'
            mknod -m 620 console c 5 1
            mknod disk b 7 200
            chown 1000:6 disk
            mkdir -m 2775 shared
            chown :10 shared
            touch -h -d '2001-02-03 04:05:06.7 UTC' dangling
            printf x > "$(printf 'n%0254d' 0)"
            """
        )
    }

    deinit {
        // ignored: a leftover of a test is not the test's failure
        _ = try? Shell.run("\(testbed("practice-node")) --stop \(directory / "node")")
    }

    var root: FilePath { directory / "node" }

    /// A directory for the recovery points of one test, on the recovery partition.
    func store(_ name: String) throws -> FilePath {
        let path = root.appending("var/recovery/\(name)")
        try Shell.output("mkdir -p '\(path)'")
        return path
    }

    /// Runs `node-backup` on the node.
    func backup(_ command: String, _ store: FilePath, _ arguments: String...) throws -> Tool.Result {
        try tool.run(
            "node-backup",
            [command, "--root", root.string, "--dir", store.string] + arguments
        )
    }

    /// The same, and it ends with 0.
    @discardableResult
    func backupDone(
        _ command: String,
        _ store: FilePath,
        _ arguments: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let result = try tool.run(
            "node-backup",
            [command, "--root", root.string, "--dir", store.string] + arguments
        )
        try #require(result.status == 0, "\(result)", sourceLocation: sourceLocation)
        return result.output
    }

    /// Every file below the directories `paths` of `root` with all that a backup keeps of it, one line a file.
    ///
    /// Holes are not compared: a file system may make more of them or less.
    static func listing(of root: FilePath, _ paths: String, except: String = "") throws -> String {
        try Shell.output(
            """
            set -e
            cd '\(root)'
            find \(paths) \(except) -printf '%p %y %m %U:%G %n %T@ ' \
                \\( -type f -printf '%s ' -o -type l -printf '%l ' -o -type b,c -exec stat -c '%t,%T' {} + \\) -printf '\\0' \
                | sort -z | tr '\\0' '\\n'
            find \(paths) \(except) -type f -print0 | sort -z | xargs -0r sha256sum
            find \(paths) \(except) -print0 | sort -z | xargs -0r getfattr -h -d -m - -e hex --absolute-names
            """
        )
    }
}

/// Raises the practice nodes once for a suite; each test has a store of its own.
struct PracticeNodes: SuiteTrait, TestScoping {
    @TaskLocal static var all: [String: PracticeNode] = [:]

    static func node(_ profile: String) throws -> PracticeNode { try #require(all[profile]) }

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        let nodes = [
            "kubeadm": try PracticeNode(profile: "kubeadm"),
            "openshift": try PracticeNode(profile: "openshift"),
        ]
        try await Self.$all.withValue(nodes, operation: function)
    }
}
