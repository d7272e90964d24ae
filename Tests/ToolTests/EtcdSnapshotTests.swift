import SystemPackage
import TestSupport
import Testing

@Suite("etcd-snapshot", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct EtcdSnapshotTests {
    private let directory: TemporaryDirectory
    private let tool: Tool

    init() throws {
        directory = try TemporaryDirectory()
        tool = try Tool(in: directory)
    }

    private func tools(_ version: String) throws -> String {
        version == "3.4" ? "" : try Shell.output(testbed("etcd-pypi")).trimmed
    }

    private func etcd(_ version: String) throws -> (RunningEtcd, [String]) {
        let pki = directory / "pki"
        try Shell.output("\(testbed("certificates")) \(pki) ecdsa")
        let etcd = try RunningEtcd(
            in: directory / "etcd",
            tools: try tools(version),
            certificates: (pki, "server-ip")
        )
        for number in 0..<40 { try etcd.etcdctl("put /registry/\(number % 30) value-\(number)") }
        try etcd.etcdctl("del /registry/7")
        let options = [
            "--endpoint", "https://127.0.0.1:\(etcd.port)", "--cacert", "\(pki)/ca.crt", "--cert", "\(pki)/client.crt",
            "--key", "\(pki)/client.key",
        ]
        return (etcd, options)
    }

    @Test("saves what etcd's own tools read, and says the same about it", arguments: ["3.4", "3.5"])
    func save(version: String) throws {
        let (etcd, options) = try etcd(version)
        defer { etcd.end() }
        let file = directory / "snapshot.db"
        let saved = try tool.run("etcd-snapshot", ["save", "--json", file.string] + options)
        try #require(saved.status == 0, "\(saved)")
        #expect(try Shell.output("stat -c %a '\(file)'") == "600\n")
        let theirs = try Shell.output(
            version == "3.4"
                ? "ETCDCTL_API=3 etcdctl snapshot status '\(file)' -w json"
                : "'\(try tools(version))/etcdutl' snapshot status '\(file)' -w json"
        )
        let status = try tool.run("etcd-snapshot", ["status", "--json", file.string])
        #expect(status.status == 0, "\(status)")
        let (ours, expected) = (try JSON(parsing: status.output), try JSON(parsing: theirs))
        #expect(ours.names == expected.names)
        for name in expected.names { #expect(ours[name] == expected[name], "\(name)") }
        #expect(try JSON(parsing: saved.output) == ours)
        #expect(ours["revision"].integer == 42)

        let packed = directory / "snapshot.zst"
        try Shell.output("zstd -q '\(file)' -o '\(packed)'")
        #expect(try tool.run("etcd-snapshot", ["status", "--json", packed.string]).output == status.output)
        for path in [file, packed] {
            let good = try tool.run("etcd-snapshot", ["verify", path.string])
            #expect(good.status == 0, "\(good)")
            #expect(good.output.hasPrefix("\(path): good, revision 42, "), "\(good)")
        }
        // Nothing is overwritten.
        let again = try tool.run("etcd-snapshot", ["save", file.string] + options)
        #expect(again.status == 73, "\(again)")
        #expect(again.errors.contains("'\(file)': File exists\nhint: "), "\(again)")
        #expect(try tool.run("etcd-snapshot", ["verify", file.string]).status == 0)
    }

    @Test("lists the faults of a damaged snapshot and ends with 65") func damaged() throws {
        let (etcd, options) = try etcd("3.4")
        defer { etcd.end() }
        let file = directory / "snapshot.db"
        try #require(try tool.run("etcd-snapshot", ["save", file.string] + options).status == 0)
        let size = Int(try Shell.output("stat -c %s '\(file)'").trimmed) ?? 0
        for (what, line) in [
            ("cut in the middle", "truncate -s \(size / 2)"), ("without its digest", "truncate -s -32"),
            ("a byte more", "truncate -s +1"), ("empty", "truncate -s 0"),
            ("a flipped byte", "printf '\\377' | dd bs=1 seek=9000 conv=notrunc status=none of="),
            ("no meta pages", "dd if=/dev/zero bs=8192 count=1 conv=notrunc status=none of="),
        ] {
            let bad = directory / "bad.db"
            try Shell.output("cp '\(file)' '\(bad)'; \(line)\(line.hasSuffix("=") ? "" : " ")'\(bad)'")
            let verify = try tool.run("etcd-snapshot", ["verify", bad.string])
            #expect(verify.status == 65, "\(what): \(verify)")
            #expect(verify.output.hasPrefix("\(bad): "), "\(what): \(verify)")
            let error =
                what == "without its digest"
                ? "'\(bad)' has no SHA-256 at its end" : "the snapshot '\(bad)' is damaged: "
            #expect(verify.errors.hasPrefix("etcd-snapshot: \(error)"), "\(what): \(verify)")
            #expect(try tool.run("etcd-snapshot", ["status", bad.string]).status == 65)
        }
        let missing = try tool.run("etcd-snapshot", ["verify", "\(directory.path)/nowhere"])
        #expect(missing.status == 66, "\(missing)")
        let notPacked = directory / "bad.zst"
        try Shell.output("zstd -q '\(file)' -o '\(notPacked)'; truncate -s -9 '\(notPacked)'")
        #expect(try tool.run("etcd-snapshot", ["verify", notPacked.string]).status == 65)
    }

    @Test("leaves no file when it cannot save") func failures() throws {
        let (etcd, options) = try etcd("3.4")
        let target = directory / "target"
        try Shell.output("mkdir '\(target)'")
        let file = target.appending("snapshot.db").string
        func expect(
            _ arguments: [String],
            _ status: Int32,
            _ text: String,
            sourceLocation: SourceLocation = #_sourceLocation
        )
            throws
        {
            let result = try tool.run("etcd-snapshot", ["save", file] + arguments)
            #expect(result.status == status, "\(result)", sourceLocation: sourceLocation)
            #expect(result.errors.hasPrefix("etcd-snapshot: "), "\(result)", sourceLocation: sourceLocation)
            #expect(result.errors.contains(text), "\(result)", sourceLocation: sourceLocation)
            #expect(try Shell.output("ls -A '\(target)'") == "", sourceLocation: sourceLocation)
        }
        try expect(options + ["--cacert", "\(directory.path)/pki/foreign-ca.crt"], 69, "is not trusted")
        for behaviour in [PartialEtcd.Behaviour.hangUp, .wrongDigest] {
            let server = try PartialEtcd(behaviour, answersStatus: false)
            try expect(["--endpoint", server.url], 69, "the snapshot stream of")
        }
        let garbage = try PartialEtcd(.garbage, answersStatus: false)
        try expect(["--endpoint", garbage.url], 65, "is damaged: ")
        let stalling = try PartialEtcd(.stall, answersStatus: false)
        try expect(["--endpoint", stalling.url, "--timeout", "1s"], 75, "not done within the limit of 1.0 s")
        let stalling2 = try PartialEtcd(.stall, answersStatus: false)
        let run = try tool.start("etcd-snapshot", ["save", file, "--endpoint", stalling2.url])
        try Shell.output("sleep 1")
        run.signal(15)
        #expect(try run.wait().status == 75)
        #expect(try Shell.output("ls -A '\(target)'") == "")
        let nowhere = try tool.run("etcd-snapshot", ["save", "\(target)/no/where"] + options)
        #expect(nowhere.status == 66, "\(nowhere)")
        etcd.end()
        try expect(options, 69, "Connection refused")
    }
}
