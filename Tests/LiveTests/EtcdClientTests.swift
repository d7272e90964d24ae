import Etcd
import Glibc
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("A live etcd", .serialized, .enabled(if: Tier.live.isWanted, Tier.live.comment))
struct EtcdClientTests {
    let directory: TemporaryDirectory
    let client = EtcdClient(cancellation: Cancellation())

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func certificates(_ kind: String = "ecdsa") throws -> FilePath {
        let path = directory / "pki-\(kind)"
        try Shell.output("\(testbed("certificates")) \(path) \(kind)")
        return path
    }

    private func fill(_ etcd: RunningEtcd, mebibytes: Int) throws {
        try Shell.output("head -c 1048576 /dev/urandom > \(directory.path)/value")
        for number in 0..<mebibytes { try etcd.etcdctl("put /big/\(number) < \(directory.path)/value") }
    }

    /// Saves a snapshot as the product does, without its care for files.
    private func save(_ endpoint: EtcdEndpoint, to path: FilePath) throws -> Int64 {
        let file = try FileDescriptor.open(
            path,
            .writeOnly,
            options: [.create, .truncate],
            permissions: .ownerReadWrite
        )
        defer { try? file.close() }
        var told: (Int64, Int64) = (0, 0)
        let count = try client.streamSnapshot(
            from: endpoint,
            stallLimit: .seconds(10),
            progress: { told = ($0, $1) },
            sink: { _ = try file.writeAll($0) }
        )
        #expect(told == (count, count))
        return count
    }

    @Test("gives a snapshot that etcdctl reads and restores", arguments: EtcdVersion.allCases)
    func snapshot(version: EtcdVersion) throws {
        let tools = try version.tools()
        let etcd = try RunningEtcd(in: directory / "etcd", tools: tools)
        try fill(etcd, mebibytes: 20)
        try etcd.etcdctl("del /big/3")
        let hash = try client.hashKV(of: etcd.endpoint(), revision: 0, limit: .seconds(5))

        let path = directory / "snapshot"
        let count = try save(etcd.endpoint(), to: path)

        let status = try client.status(of: etcd.endpoint(), limit: .seconds(5))
        #expect(status.serverVersion.hasPrefix(version.rawValue))
        #expect(status.databaseSizeBytes + 32 == count)
        #expect(status.revision == 22)
        let etcdctl = tools.isEmpty ? "etcdctl" : "\(tools)/etcdctl"
        let line = try Shell.output(
            "\(etcdctl) snapshot status \(path) 2>&1 | tail -n 1",
            environment: ["ETCDCTL_API": "3"]
        )
        #expect(line.split(separator: ",").dropFirst().first?.description.trimmed == "22")
        // etcdctl checks the digest at the end when it restores.
        try Shell.output(
            "\(etcdctl) snapshot restore \(path) --data-dir \(directory.path)/restored/data --name node"
                + " --initial-cluster node=http://127.0.0.1:1 --initial-advertise-peer-urls http://127.0.0.1:1 2>&1",
            environment: ["ETCDCTL_API": "3"]
        )
        etcd.end()
        let restored = try RunningEtcd(in: directory / "restored", tools: tools)
        #expect(try restored.etcdctl("get --prefix /big --keys-only").split(separator: "\n").count == 19)
        #expect(try client.hashKV(of: restored.endpoint(), revision: 0, limit: .seconds(5)) == hash)
    }

    @Test("tells its alarms", arguments: EtcdVersion.allCases)
    func alarms(version: EtcdVersion) throws {
        let etcd = try RunningEtcd(
            in: directory / "etcd",
            tools: version.tools(),
            options: "--quota-backend-bytes 65536"
        )
        #expect(try client.status(of: etcd.endpoint(), limit: .seconds(5)).alarms.isEmpty)
        try Shell.output("head -c 100000 /dev/urandom > \(directory / "value")")
        for _ in 0..<2 { _ = try? etcd.etcdctl("put big < \(directory / "value")") }
        let status = try client.status(of: etcd.endpoint(), limit: .seconds(5))
        #expect(status.alarms == ["NOSPACE"])
        #expect(status.errors.isEmpty)
    }

    @Test("that has lost its quorum still answers and gives its snapshot", arguments: EtcdVersion.allCases)
    func noQuorum(version: EtcdVersion) throws {
        let etcd = try RunningEtcd(in: directory / "etcd", tools: version.tools())
        #expect(try client.members(of: etcd.endpoint(), limit: .seconds(5)).map(\.name) == ["node"])
        try etcd.etcdctl("member add other --peer-urls http://127.0.0.1:1")
        var errors: [String] = []
        for _ in 0..<100 where errors.isEmpty {
            errors = try client.status(of: etcd.endpoint(), limit: .seconds(5)).errors
            try Shell.output("sleep 0.1")
        }
        #expect(errors == ["etcdserver: no leader"])
        let members = try client.members(of: etcd.endpoint(), limit: .seconds(5))
        #expect(Set(members.map(\.name)) == ["node", ""])
        #expect(try save(etcd.endpoint(), to: directory / "snapshot") > 32)
    }

    @Test(
        "is reached over mutual TLS, whatever the kind of key and name",
        arguments: EtcdVersion.allCases,
        [
            ("rsa", "server-ip", "127.0.0.1", "client"), ("rsa", "server-dns", "localhost", "client-pkcs1"),
            ("ecdsa", "server-ip", "127.0.0.1", "client"), ("ecdsa", "server-dns", "localhost", "client-sec1"),
        ]
    )
    func mutualTLS(version: EtcdVersion, variant: (kind: String, server: String, host: String, key: String)) throws {
        let etcd = try RunningEtcd(
            in: directory / "etcd",
            tools: version.tools(),
            certificates: (certificates(variant.kind), variant.server)
        )
        let endpoint = etcd.endpoint(host: variant.host, key: variant.key)
        #expect(try client.status(of: endpoint, limit: .seconds(5)).serverVersion.hasPrefix(version.rawValue))
        #expect(try save(endpoint, to: directory / "snapshot") > 32)
    }

    @Test("is refused, or refuses, each for its own reason", arguments: EtcdVersion.allCases)
    func refusals(version: EtcdVersion) throws {
        let pki = try certificates()
        let etcd = try RunningEtcd(in: directory / "etcd", tools: version.tools(), certificates: (pki, "server-ip"))
        let url = "https://127.0.0.1:\(etcd.port)"

        // What it says about it can be lost when it hangs up; which certificate it is about is not.
        expect(etcd.endpoint(client: "client-foreign"), says: "our certificate '\(pki)/client-foreign.crt'")
        expect(etcd.endpoint(client: "client-expired"), says: "it expired on 2021-01-01 00:00:00 UTC")
        expect(
            etcd.endpoint(authority: "foreign-ca"),
            says:
                "the certificate of '\(url)' is not trusted: signed by 'CN = ca', which is not in '\(pki)/foreign-ca.crt'"
        )
        expect(etcd.endpoint(host: "localhost"), says: "is not trusted: it is for 127.0.0.1 only")
        expect(etcd.endpoint(client: "client", key: "client-foreign"), says: "it is not the key of '\(pki)/client.crt'")
        expect(etcd.endpoint(key: "client-encrypted"), says: "the private key is encrypted")
        expect(
            etcd.endpoint(key: "missing"),
            says: "cannot read '\(pki)/missing.key' for '\(url)': No such file or directory"
        )
        expect(EtcdEndpoint(host: "127.0.0.1", port: etcd.port, tls: nil), says: "'http://127.0.0.1:\(etcd.port)'")
        etcd.end()
        expect(etcd.endpoint(), says: "cannot connect to '\(url)': Connection refused")

        let expired = try RunningEtcd(
            in: directory / "e",
            tools: version.tools(),
            certificates: (pki, "server-expired")
        )
        expect(expired.endpoint(), says: "the certificate of 'CN = etcd' expired on 2021-01-01 00:00:00 UTC")
        let plain = try RunningEtcd(in: directory / "plain", tools: version.tools())
        let tls = expired.endpoint().tls
        expect(
            EtcdEndpoint(host: "127.0.0.1", port: plain.port, tls: tls),
            says: "TLS with 'https://127.0.0.1:\(plain.port)'"
        )
    }

    @Test("is not taken for one when it speaks no HTTP/2 or only old TLS")
    func otherServers() throws {
        let pki = try certificates()
        for (options, text) in [
            ("-alpn http/1.1", "HTTP/2"), ("", "HTTP/2"), ("-tls1_1 -cipher ALL:@SECLEVEL=0", "TLS with"),
        ] {
            let log = directory / "s_server.log"
            let server =
                "openssl s_server -accept 127.0.0.1:0 -www -cert \(pki)/server-ip.crt -key \(pki)/server-ip.key"
            let pid = try Shell.output("\(server) \(options) >\(log) 2>&1 </dev/null & echo $!").trimmed
            defer { _ = try? Shell.run("kill \(pid)") }
            let port = try Shell.output(
                "for i in $(seq 100); do grep -q ACCEPT \(log) && break; sleep 0.1; done; sed -n 's/^ACCEPT.*://p' \(log)"
            )
            let tls = EtcdEndpoint.TLSFiles(
                authority: pki.appending("ca.crt"),
                certificate: pki.appending("client.crt"),
                key: pki.appending("client.key")
            )
            expect(EtcdEndpoint(host: "127.0.0.1", port: UInt16(port.trimmed) ?? 0, tls: tls), says: text)
        }
    }

    private func expect(_ endpoint: EtcdEndpoint, says text: String, sourceLocation: SourceLocation = #_sourceLocation)
    {
        let error = #expect(throws: EtcdError.self, sourceLocation: sourceLocation) {
            try client.status(of: endpoint, limit: .seconds(5))
        }
        #expect(error?.summary.contains(text) == true, "\(error?.summary ?? "")", sourceLocation: sourceLocation)
        #expect(throws: EtcdError.self, sourceLocation: sourceLocation) {
            try client.streamSnapshot(from: endpoint, stallLimit: .seconds(5), progress: { _, _ in }, sink: { _ in })
        }
    }

    @Test("with authentication on serves the certificate of root, and nobody else", arguments: EtcdVersion.allCases)
    func authentication(version: EtcdVersion) throws {
        let etcd = try RunningEtcd(
            in: directory / "etcd",
            tools: version.tools(),
            certificates: (certificates(), "server-ip")
        )
        try etcd.etcdctl("user add root:secret")
        try etcd.etcdctl("user grant-role root root")
        try etcd.etcdctl("auth enable")
        #expect(try save(etcd.endpoint(), to: directory / "snapshot") > 32)

        let plain = try RunningEtcd(in: directory / "plain", tools: version.tools())
        try plain.etcdctl("user add root:secret")
        try plain.etcdctl("user grant-role root root")
        try plain.etcdctl("auth enable")
        let error = #expect(throws: EtcdError.self) { try save(plain.endpoint(), to: directory / "snapshot") }
        #expect(error?.summary.contains("user name is empty") == true, "\(error?.summary ?? "")")
        #expect(error?.hint?.contains("--etcd-cert") == true)
    }

    @Test(
        "that is stopped in the middle of a snapshot leaves an error, not a short snapshot",
        arguments: EtcdVersion.allCases
    )
    func stopped(version: EtcdVersion) throws {
        let etcd = try RunningEtcd(in: directory / "etcd", tools: version.tools())
        try fill(etcd, mebibytes: 40)
        var isEnded = false
        let error = #expect(throws: EtcdError.self) {
            try client.streamSnapshot(
                from: etcd.endpoint(),
                stallLimit: .seconds(10),
                progress: { _, _ in },
                sink: { _ in
                    if !isEnded { etcd.end() }
                    isEnded = true
                }
            )
        }
        #expect(error?.summary.contains("ended early: ") == true, "\(error?.summary ?? "")")
    }
}
