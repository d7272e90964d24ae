import SystemPackage
import TestSupport
import Testing

/// `launchBackup` in a container that is made and mounted as TALM's backup job makes it.
@Suite("launchBackup in a job's container", .enabled(if: Tier.live.isWanted, Tier.live.comment))
struct LaunchBackupTests {
    private static func run(_ arguments: [String], in directory: TemporaryDirectory) throws -> Tool.Result {
        try Tool(in: directory).run(
            "upgrade-recovery",
            ["launchBackup", "--profile", "plain"],
            under: [script, "\(directory.path)/root", "\(directory.path)/last-words"] + arguments
        )
    }

    private static var script: String {
        FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
            .appending("scripts/testbed/job-container").string
    }

    @Test("enters the host: its files, its network's name, its recovery directory, the container's last words")
    func entersTheHost() throws {
        let directory = try TemporaryDirectory()
        let root = try JobHost.make(in: directory)
        let result = try Self.run([], in: directory)
        try #require(result.status == 0, "\(result)")
        #expect(!result.errors.contains("warning"), "\(result)")
        let point = root.appending("var/recovery/points/1")
        let manifest = try JSON(parsing: try Shell.output("cat '\(point)/manifest.json'"))
        #expect(manifest["node"]["name"].text == "job-host")
        #expect(try Shell.output("zstd -dcq '\(point)/etc.tar.zst' | tar -xOf - etc/whose") == "host\n")
        // The program beside the points is the container's, although its name means nothing on the host.
        #expect(try Shell.output("'\(root)/var/recovery/upgrade-recovery.sh' --version").contains("0.1"))
        let words = try JSON(parsing: try Shell.output("cat '\(directory.path)/last-words'"))
        #expect(words["state"].text == "Succeeded")
    }

    @Test("does not stumble over processes of the host that have the numbers of its own threads, in 20 runs")
    func ownNumbers() throws {
        let directory = try TemporaryDirectory()
        _ = try JobHost.make(in: directory)
        for run in 1...20 {
            let result = try Self.run(["--proc-only"], in: directory)
            try #require(result.status == 0, "\(run): \(result)")
        }
    }

    @Test("takes /host for the root where the host's namespaces are out of reach, and says so")
    func fallsBack() throws {
        let directory = try TemporaryDirectory()
        let root = try JobHost.make(in: directory)
        let result = try Self.run(["--refuse"], in: directory)
        try #require(result.status == 0, "\(result)")
        #expect(result.errors.contains("only what is mounted below /host is backed up"), "\(result)")
        let archive = root.appending("var/recovery/points/1/etc.tar.zst")
        #expect(try Shell.output("zstd -dcq '\(archive)' | tar -xOf - etc/whose") == "host\n")
        let words = try JSON(parsing: try Shell.output("cat '\(directory.path)/last-words'"))
        #expect(words["state"].text == "Succeeded")
    }

    @Test("without privileges ends with status 77 and says what the container needs")
    func refused() throws {
        let directory = try TemporaryDirectory()
        _ = try JobHost.make(in: directory)
        let nobody = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]
        let result = try Self.run(nobody, in: directory)
        #expect(result.status == 77, "\(result)")
        #expect(result.errors.contains("cannot enter the host at /host: "), "\(result)")
        #expect(result.errors.contains("hint: run the container privileged as user 0"), "\(result)")
    }
}
