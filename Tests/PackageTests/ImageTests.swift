import SystemPackage
import TestSupport
import Testing

@testable import node_recovery

@Suite("The image", .enabled(if: Deb.isWanted, Deb.comment)) struct ImageTests {
    private let image: Image.Made

    init() throws { image = try Image.made }

    @Test("is the same, bit by bit, when it is made again") func reproducible() throws {
        let again = try Image.make()
        #expect(try Shell.run("cmp '\(image.archive)' '\(again.archive)'").status == 0)
    }

    @Test("has the release program under its names, the libraries that it needs, and nothing else") func contents()
        throws
    {
        let release = try #require(try Tool.release())
        let libraries = try Shell.output("ldd '\(release)' | sed -nE 's,^[^/]*/([^ ]+) .*,\\1 f 755,p'")
            .split(separator: "\n").map { String($0) }
        #expect(libraries.contains { $0.hasPrefix("lib/x86_64-linux-gnu/libsystemd.so.0 ") }, "\(libraries)")
        let names = Program.commands.map { "usr/sbin/\($0.name) l 777" }
        let listing = try Shell.output(
            "cd '\(image.root)' && find . ! -type d ! -path './usr/share/doc/*' -printf '%P %y %m\\n' | LC_ALL=C sort"
        ).split(separator: "\n").map { String($0) }
        #expect(listing == (libraries + names + ["usr/sbin/node-recovery f 755"]).sorted(), "\(listing)")
        #expect(try Shell.run("cmp '\(release)' '\(image.root)/usr/sbin/node-recovery'").status == 0)
        // Whose libraries they are, and under what licence.
        let packages = try Shell.output("cut -d' ' -f1 '\(image.root)/usr/share/doc/node-recovery/packages'")
            .split(separator: "\n").map { String($0) }
        #expect(packages.contains("libc6") && packages.contains("libstdc++6"), "\(packages)")
        for package in packages + ["node-recovery"] {
            #expect(
                try Shell.run("test -s '\(image.root)/usr/share/doc/\(package)/copyright'").status == 0,
                "\(package)"
            )
        }
    }

    @Test("says what it is, and its process takes the argument of TALM's job") func configuration() throws {
        let process = image.configuration["config"]
        #expect(image.entrypoint == ["/usr/sbin/upgrade-recovery"])
        #expect(process["User"] == .null && process["Volumes"] == .null && process["ExposedPorts"] == .null)
        #expect(image.environment == ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
        #expect(process["Labels"]["org.opencontainers.image.version"].text == Program.version)
        #expect(image.configuration["architecture"].text == "amd64" && image.configuration["os"].text == "linux")
        // The name by which 'podman load' and 'ctr images import' know it.
        let names = try Shell.output("jq -r '.manifests[].annotations[]' '\(image.directory / "layout")/index.json'")
        #expect(names.trimmed == "localhost/node-recovery:\(Program.version)")
        #expect(try Shell.output("skopeo inspect 'oci-archive:\(image.archive)'").contains("\"Digest\": \"sha256:"))
    }

    /// A host without Kubernetes, and a container of the image on it that is mounted as a Job mounts it.
    private struct Host {
        let image: Image.Made
        let directory: TemporaryDirectory

        init(_ image: Image.Made) throws {
            self.image = image
            directory = try TemporaryDirectory()
            _ = try JobHost.make(in: directory)
        }

        var root: FilePath { directory / "root" }
        var points: String {
            get throws { try Shell.output("ls '\(root)/var/recovery/points' 2>/dev/null || true").trimmed }
        }

        /// The container's last words.
        func lastWords() throws -> JSON { try JSON(parsing: try Shell.output("cat '\(directory / "last-words")'")) }

        func launchBackup(_ options: [String] = []) throws -> Shell.Result {
            let words =
                ["env", "-i"] + image.environment + ["\(project)/scripts/testbed/job-container"]
                + ["\(root)", "\(directory / "last-words")"] + options + ["--image", "\(image.root)"]
                + image.entrypoint + ["launchBackup"]
            return try Shell.run(words.map { "'\($0)'" }.joined(separator: " ") + " 2>&1")
        }
    }

    @Test(
        "takes the host's recovery point, with TALM's mounts and with none but /proc",
        arguments: [[], ["--proc-only"]]
    )
    func launchBackup(options: [String]) throws {
        let host = try Host(image)
        let result = try host.launchBackup(options)
        try #require(result.status == 0, "\(result)")
        #expect(!result.output.contains("warning"), "\(result)")
        let point = host.root.appending("var/recovery/points/1")
        #expect(try Shell.output("zstd -dcq '\(point)/etc.tar.zst' | tar -xOf - etc/whose") == "host\n")
        #expect(try JSON(parsing: try Shell.output("cat '\(point)/manifest.json'"))["node"]["name"].text == "job-host")
        let words = try host.lastWords()
        #expect(words["state"].text == "Succeeded" && words["generation"].integer == 1, "\(words)")
        // What a recovery is started with later, when there is no image any more.
        let copy = host.root.appending("var/recovery/upgrade-recovery")
        #expect(try Shell.run("cmp '\(copy)' '\(image.root)/usr/sbin/node-recovery'").status == 0)
        #expect(try Shell.output("'\(copy).sh' --version") == "upgrade-recovery \(Program.version)\n")
    }

    @Test("is no success while a recovery is under way: 79, where TALM's image ends with 0") func underWay() throws {
        let host = try Host(image)
        #expect(try host.launchBackup().status == 0)
        let step = try Shell.run(
            """
            '\(host.root)/var/recovery/upgrade-recovery' --root '\(host.root)' --dir '\(host.root)/var/recovery' \
                --profile plain --skip-check identity --yes --step 2>&1
            """
        )
        #expect(step.status == 75 && step.output.contains("paused before the phase 'files'"), "\(step)")
        let result = try host.launchBackup()
        #expect(result.status == 79, "\(result)")
        let words = try host.lastWords()
        #expect(words["state"].text == "UnrecoverableError" && words["error"]["exit_status"].integer == 79, "\(words)")
        #expect(try host.points == "1")
    }

    @Test("ends with an error where it sees neither the host's namespaces nor its directories") func nothingToSee()
        throws
    {
        let host = try Host(image)
        let result = try host.launchBackup(["--refuse", "--proc-only"])
        #expect(result.status != 0 && result.output.contains("\nhint: "), "\(result)")
        #expect(try host.points.isEmpty)
    }
}
