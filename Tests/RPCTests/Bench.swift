import Reporting
import Synchronization
import TestSupport
import Testing

@testable import RPC

/// A client of a scripted server.
struct Bench {
    let server: ScriptedServer
    let client: RPCClient
    let cancellation = Cancellation()

    init(_ script: @escaping @Sendable (HTTP2Peer) throws -> Void) throws {
        server = try ScriptedServer(script: script)
        client = RPCClient(.tcp(host: "127.0.0.1", port: server.port, tls: nil), cancellation: cancellation)
    }

    var target: RPCTarget { client.target }

    func messages(limits: RPCLimits = RPCLimits(stall: .seconds(10))) throws -> [[UInt8]] {
        var messages: [[UInt8]] = []
        try client.serverStreaming("/test.Test/Stream", [7, 8], limits: limits) { messages.append(Array($0)) }
        return messages
    }

    func fault(limits: RPCLimits = RPCLimits(stall: .seconds(10)), sourceLocation: SourceLocation = #_sourceLocation)
        -> RPCError.Fault?
    {
        let error = #expect(throws: RPCError.self, sourceLocation: sourceLocation) { try messages(limits: limits) }
        return error?.fault
    }
}

/// A figure that the server's thread and the test share.
final class Progress: Sendable {
    private let number = Atomic(0)

    var sent: Int {
        get { number.load(ordering: .acquiring) }
        set { number.store(newValue, ordering: .releasing) }
    }
}
