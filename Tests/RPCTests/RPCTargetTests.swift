import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import RPC

@Suite("The target of a call") struct RPCTargetTests {
    @Test("speaks over a Unix socket, and says when there is none")
    func unixSocket() throws {
        let directory = try TemporaryDirectory()
        let path = directory / "socket"
        let cancellation = Cancellation()
        let client = RPCClient(.unix(path), cancellation: cancellation)
        let missing = #expect(throws: RPCError.self) { try client.unary("/t/u", []) }
        #expect(missing?.fault == .socketMissing)
        #expect(missing?.summary == "cannot connect to 'unix://\(path)': the socket does not exist")
        do {
            let server = try ScriptedServer(at: path) { peer in
                _ = try peer.readRequest()
                try peer.send(.grpcHeaders(), .data(HTTP2Peer.message([3])), .trailers(status: 0))
                peer.wait()
            }
            #expect(try client.unary("/t/u", []) == [3])
            _ = server
        }
        let deaf = RPCClient(.unix(path), cancellation: cancellation)
        #expect(throws: RPCError(.unix(path), .connectFailed(errno: ECONNREFUSED))) { try deaf.unary("/t/u", []) }
        let long = FilePath("/tmp/" + String(repeating: "x", count: 108))
        let far = RPCClient(.unix(long), cancellation: cancellation)
        #expect(throws: RPCError(.unix(long), .socketPathTooLong)) { try far.unary("/t/u", []) }
    }

    @Test("says why it cannot connect")
    func connecting() throws {
        let port = try ScriptedServer { _ in }.port
        let cancellation = Cancellation()
        for host in ["127.0.0.1", "localhost"] {
            let target = RPCTarget.tcp(host: host, port: port, tls: nil)
            let error = #expect(throws: RPCError.self) {
                try RPCClient(target, cancellation: cancellation).unary("/t/u", [])
            }
            #expect(error?.fault == .connectFailed(errno: ECONNREFUSED))
            #expect(error?.summary == "cannot connect to 'http://\(host):\(port)': Connection refused")
        }
        let nowhere = RPCTarget.tcp(host: "no such name", port: 1, tls: nil)
        let error = #expect(throws: RPCError.self) {
            try RPCClient(nowhere, cancellation: cancellation).unary("/t/u", [])
        }
        guard case .noAddress = error?.fault else {
            Issue.record("\(error as Any)")
            return
        }
    }

    @Test("is written as a URL")
    func description() {
        let files = RPCTarget.TLSFiles(authority: "/ca.crt", identity: nil)
        #expect("\(RPCTarget.tcp(host: "127.0.0.1", port: 2379, tls: files))" == "https://127.0.0.1:2379")
        #expect("\(RPCTarget.tcp(host: "::1", port: 80, tls: nil))" == "http://[::1]:80")
        #expect("\(RPCTarget.unix("/run/crio/crio.sock"))" == "unix:///run/crio/crio.sock")
    }
}
