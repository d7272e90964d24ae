import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import RPC

@Suite("TLS", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct TLSTests {
    private static let certificates = Result {
        let directory = try TemporaryDirectory()
        var repository = FilePath(#filePath)
        for _ in 0..<3 { repository.removeLastComponent() }
        try Shell.output("\(repository.appending("scripts/testbed/certificates")) \(directory / "pki") ecdsa")
        return directory
    }

    private func file(_ name: String) throws -> FilePath { try Self.certificates.get() / "pki/\(name)" }

    private func server(
        _ clients: ScriptedServer.TLS.Clients,
        named name: String = "server-ip",
        isOld: Bool = false,
        script: @escaping @Sendable (HTTP2Peer) throws -> Void
    ) throws -> ScriptedServer {
        try ScriptedServer(
            tls: .init(certificate: file("\(name).crt"), key: file("\(name).key"), clients: clients, isOld: isOld),
            script: script
        )
    }

    private func target(
        _ server: ScriptedServer,
        client: String? = nil,
        inMemory: Bool = false,
        serverName: String? = nil
    ) throws -> RPCTarget {
        func pem(_ name: String) throws -> PEM {
            let path = try file(name)
            return inMemory ? PEM(Array(try Shell.output("cat \(path)").utf8), from: "/etc/some.conf") : PEM(path)
        }
        let identity = try client.map {
            RPCTarget.TLSFiles.Identity(certificate: try pem("\($0).crt"), key: try pem("\($0).key"))
        }
        let tls = RPCTarget.TLSFiles(authority: try pem("ca.crt"), identity: identity, serverName: serverName)
        return .tcp(host: "127.0.0.1", port: server.port, tls: tls)
    }

    private func fault(_ target: RPCTarget, _ location: SourceLocation = #_sourceLocation) -> RPCError? {
        let client = RPCClient(target, cancellation: Cancellation())
        return #expect(throws: RPCError.self, sourceLocation: location) { try client.request("GET", "/") }
    }

    @Test("takes certificates and keys from files and from memory", arguments: [false, true])
    func sources(inMemory: Bool) throws {
        let server = try server(.signed(file("ca.crt"))) { peer in
            let (stream, _) = try peer.readRequest()
            try peer.send(.headers([(":status", "200")], stream: stream), .data([7], stream: stream, isLast: true))
            peer.wait()
        }
        let client = RPCClient(try target(server, client: "client", inMemory: inMemory), cancellation: Cancellation())
        #expect(try client.request("GET", "/").body == [7])
    }

    @Test("checks the server's certificate for another name than the called one when it is told to")
    func serverName() throws {
        let server = try server(.nobodyAsked, named: "server-dns") { peer in
            let (stream, _) = try peer.readRequest()
            try peer.send(.headers([(":status", "204")], stream: stream, isLast: true))
            peer.wait()
        }
        // The server has time for one client only: this one has to be gone before the next.
        do {
            let client = RPCClient(try target(server, serverName: "etcd.example"), cancellation: Cancellation())
            #expect(try client.request("GET", "/").status == 204)
        }
        #expect(
            fault(try target(server, serverName: "other.example"))?.fault
                == .serverNotTrusted(.nameMismatch(names: ["localhost", "etcd.example"]))
        )
    }

    @Test("never shows what is in memory")
    func secrecy() throws {
        let key = PEM(Array("SECRET".utf8), from: "/etc/admin.conf")
        var text = "\(key) \(String(reflecting: key)) "
        dump(RPCTarget.TLSFiles(authority: key, identity: .init(certificate: key, key: key)), to: &text)
        dump(key, to: &text)
        #expect(!text.contains("SECRET") && !text.contains("83") && text.contains("/etc/admin.conf"), "\(text)")
        let server = try server(.nobodyAsked) { _ in }
        let error = fault(.tcp(host: "127.0.0.1", port: server.port, tls: .init(authority: key, identity: nil)))
        #expect(error?.summary.hasPrefix("cannot use '/etc/admin.conf' for 'https://127.0.0.1:") == true)
    }

    @Test(
        "names our certificate when the server closes the connection without a word before its first answer",
        arguments: [
            ("client-expired", ": it expired on 2021-01-01 00:00:00 UTC"),
            ("client-future", ": it is not valid before 2039-01-01 00:00:00 UTC"),
            ("client-foreign", ": it probably refused it"),
        ],
        [true, false]
    )
    func silentRefusal(client: (name: String, flaw: String), isReset: Bool) throws {
        let server = try server(.anybody) { peer in
            // The request lies unread, which makes even an orderly end a reset.
            if isReset {
                peer.waitForUnread()
                peer.resetAtEnd()
            }
        }
        for _ in 0..<20 {
            let target = try target(server, client: client.name)
            let certificate = try file("\(client.name).crt")
            #expect(
                fault(target)?.summary
                    == "'\(target)' closed the connection after seeing our certificate '\(certificate)'\(client.flaw)"
            )
        }
    }

    @Test("names our certificate when the server resets the connection at its sight", arguments: [true, false])
    func resetAtSight(isOld: Bool) throws {
        let server = try server(.reset, isOld: isOld) { _ in }
        for _ in 0..<20 {
            let target = try target(server, client: "client-expired")
            #expect(
                fault(target)?.fault
                    == .certificateRefused(
                        alert: nil,
                        ours: try file("client-expired.crt"),
                        flaw: .expired("2021-01-01 00:00:00 UTC")
                    )
            )
        }
    }

    @Test("says what the server said about our certificate though a reset follows")
    func refusalThenReset() throws {
        let server = try server(.signed(file("ca.crt"))) { peer in
            if peer.isLetIn { return }
            peer.waitForUnread()
            peer.resetAtEnd()
        }
        for _ in 0..<20 {
            let target = try target(server, client: "client-foreign")
            let certificate = try file("client-foreign.crt")
            #expect(
                fault(target)?.summary == "'\(target)' refused our certificate '\(certificate)' (unknown CA)"
            )
        }
    }

    @Test("does not blame our certificate once the server has answered, or when it did not ask for one")
    func otherEnds() throws {
        let answering = try server(.anybody) { peer in
            _ = try peer.readRequest()
            peer.resetAtEnd()
        }
        let target = try target(answering, client: "client")
        for _ in 0..<20 {
            let fault = fault(target)?.fault
            #expect(fault == .connectionLost(errno: ECONNRESET) || fault == .cut(reason: nil))
        }
        let notAsking = try server(.nobodyAsked) { peer in
            peer.waitForUnread()
            peer.resetAtEnd()
        }
        let other = fault(try self.target(notAsking, client: "client"))?.fault
        #expect(other == .connectionLost(errno: ECONNRESET) || other == .cut(reason: nil))
    }
}
