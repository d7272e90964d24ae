import SystemPackage
import TestSupport
import Testing

/// `Fixtures/point-1.tar.xz`: what is in the field.
@Suite("A recovery point of an earlier program", .enabled(if: Tier.live.isWanted, Tier.live.comment))
struct EarlierPointTests {
    private let directory: TemporaryDirectory
    private let tool: Tool

    init() throws {
        directory = try TemporaryDirectory()
        tool = try Tool(in: directory)
        let fixture = FilePath(#filePath).removingLastComponent().appending("Fixtures/point-1.tar.xz")
        try Shell.output(
            """
            set -e
            cd '\(directory.path)'
            mkdir -p store node/etc/kubernetes node/usr/local node/var/lib/kubelet
            tar -C store -xJf '\(fixture)'
            echo one > node/etc/hostname; echo 00112233445566778899aabbccddeeff > node/etc/machine-id
            """
        )
    }

    private var store: FilePath { directory / "store" }
    private var root: FilePath { directory / "node" }

    private func backup(_ command: String, _ arguments: String...) throws -> Tool.Result {
        try tool.run("node-backup", [command] + arguments + ["--root", root.string, "--dir", store.string])
    }

    @Test("is listed, shown, verified and restored") func stays() throws {
        let list = try JSON(parsing: try backup("list", "--json").output)
        #expect(
            list[0]["components"].items.map(\.text) == [
                "etcd", "static-pods", "etc", "usr-local", "kubelet", "machine-config", "deployment", "images",
            ]
        )
        #expect(list[0]["lacking"] == .null && list[0]["verified_at"].text == "2026-11-28T08:53:55Z")
        let shown = try backup("show", "latest")
        #expect(shown.status == 0 && shown.output.contains("3.4.23 at revision 3, 2 keys"), "\(shown)")
        let verified = try backup("verify", "latest")
        #expect(verified.status == 0 && verified.output.contains("good (etcd, static-pods, etc, "), "\(verified)")
        let components = ["static-pods", "etc", "usr-local", "kubelet", "machine-config"]
        let restored = try tool.run(
            "node-backup",
            ["restore", "latest"] + components + ["--root", root.string, "--dir", store.string]
        )
        #expect(restored.status == 0, "\(restored)")
        #expect(
            try Shell.output(
                """
                cd '\(root)'
                cat etc/kubernetes/manifests/etcd.yaml | grep -c registry.example/etcd:1
                stat -c '%h %a' usr/local/bin/tool
                cat opt/site/agent.conf var/lib/kubelet/config.yaml
                readlink etc/link
                stat -c %s etc/sparse
                getfattr --only-values -n user.note etc/hostname
                """
            ) == "1\n2 755\nsite\nkind: KubeletConfiguration\nhostname\n1048576\nvalue"
        )
        let again = try backup("diff", "latest")
        #expect(again.status == 0, "\(again)")
        let extracted = try backup("extract", "latest", "etcd", "--to", "\(directory / "out")")
        #expect(extracted.output == "1 file written to '\(directory / "out")'.\n", "\(extracted)")
    }

    @Test("with parts of a newer program is verified as far as that goes, and everything else stays usable")
    func newer() throws {
        let manifest = store.appending("points/1/manifest.json")
        try Shell.output("sed -i 's/\"name\" : \"usr-local\"/\"name\" : \"firmware\"/' '\(manifest)'")
        let verified = try backup("verify", "1")
        #expect(verified.status == 76, "\(verified)")
        #expect(verified.output.contains("VERIFIED IN PART"), "\(verified)")
        #expect(
            verified.output.contains("component 'firmware' was written by a newer program: this one cannot restore it")
        )
        let list = try JSON(parsing: try backup("list", "--json").output)
        #expect(list[0]["unknown"].items.map(\.text) == ["firmware"])
        for arguments in [["restore", "1", "firmware"], ["extract", "1", "firmware", "--to", "\(directory / "x")"]] {
            let result = try tool.run(
                "node-backup",
                arguments + ["--root", root.string, "--dir", store.string]
            )
            #expect(result.status == 76, "\(result)")
            #expect(result.errors.contains("this one cannot restore it"), "\(result)")
        }
        #expect(try backup("restore", "1", "etc").status == 0)
        // A format that only a newer program can read is not damage either.
        try Shell.output("sed -i 's/\"format_version\" : 1/\"format_version\" : 2/' '\(manifest)'")
        #expect(try backup("show", "1").status == 76)
        let unreadable = try backup("verify", "1")
        #expect(unreadable.status == 76 && !unreadable.output.contains("DAMAGED"), "\(unreadable)")
        #expect(try backup("list").output.contains("NEWER"))
    }
}
