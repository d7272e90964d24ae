import Glibc
import Reporting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import RPC

/// A client of a scripted server.
private struct Bench {
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

@Suite("The RPC client") struct RPCClientTests {
    @Test(
        "sends its request whole and gets the messages in order, wherever the frames are cut",
        arguments: [1, 2, 5, 6, 1000]
    )
    func streaming(frameBytes: Int) throws {
        let bench = try Bench { peer in
            let request = try peer.readRequest()
            guard request.body == HTTP2Peer.message([7, 8]) else { return }
            try peer.send(.grpcHeaders())
            let body =
                HTTP2Peer.message([1, 2, 3]) + HTTP2Peer.message([])
                + HTTP2Peer.message(Array(repeating: 4, count: 300))
            var rest = body[...]
            while !rest.isEmpty {
                try peer.send(.data(Array(rest.prefix(frameBytes))))
                rest = rest.dropFirst(frameBytes)
            }
            try peer.send(.trailers(status: 0))
            peer.wait()
        }
        #expect(try bench.messages() == [[1, 2, 3], [], Array(repeating: 4, count: 300)])
    }

    @Test("keeps its connection from call to call, and makes a new one after a farewell")
    func reuse() throws {
        let bench = try Bench { peer in
            for number in 0..<2 {
                let (stream, _) = try peer.readRequest(isFirst: number == 0)
                try peer.send(.grpcHeaders(stream: stream), .data(HTTP2Peer.message([UInt8(number)]), stream: stream))
                if number == 1 { try peer.send(.goaway(lastStream: stream, code: 0)) }
                try peer.send(.trailers(status: 0, stream: stream))
            }
            peer.wait()
        }
        #expect(try bench.client.unary("/t/a", []) == [0])
        #expect(try bench.client.unary("/t/b", []) == [1])
        #expect(bench.server.connections == 1)
        #expect(try bench.client.unary("/t/c", []) == [0])
        #expect(bench.server.connections == 2)
    }

    @Test("connects again when the server has closed the connection between two calls")
    func reconnect() throws {
        let bench = try Bench { peer in
            let (stream, _) = try peer.readRequest()
            try peer.send(.grpcHeaders(stream: stream), .data(HTTP2Peer.message([1])), .trailers(status: 0))
            peer.hangUp()
        }
        #expect(try bench.client.unary("/t/a", []) == [1])
        // The closing may be noticed with this call only, which then fails; nothing is called twice in secret.
        _ = try? bench.client.unary("/t/a", [])
        #expect(try bench.client.unary("/t/a", []) == [1])
    }

    @Test("takes a status that comes without an answer, its text decoded")
    func trailersOnly() throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(
                .headers(
                    [
                        (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "7"),
                        ("grpc-message", "auth: permission%20denied"),
                    ],
                    isLast: true
                )
            )
            peer.wait()
        }
        let fault = bench.fault()
        #expect(fault == .status(GRPCStatus(code: 7, encodedMessage: Array("auth: permission denied".utf8))))
        let error = RPCError(bench.target, try #require(fault))
        #expect(error.summary == "'\(bench.target)' refused the call: PERMISSION_DENIED: auth: permission denied")
        #expect(error.exitStatus == .unavailable)
    }

    @Test("hands out the messages before a bad status, and then the status")
    func statusAtTheEnd() throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders(), .data(HTTP2Peer.message([1])), .trailers(status: 14, message: "going down"))
            peer.wait()
        }
        var count = 0
        let error = #expect(throws: RPCError.self) {
            try bench.client.serverStreaming("/t/s", []) { _ in count += 1 }
        }
        #expect(count == 1)
        #expect(error?.fault == .status(GRPCStatus(code: 14, encodedMessage: Array("going down".utf8))))
    }

    @Test("says what an answer is that is not gRPC")
    func notGRPC() throws {
        let busy = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(
                .headers([(":status", "503"), ("content-type", "text/html")]),
                .data([60, 62], isLast: true)
            )
            peer.wait()
        }
        #expect(busy.fault() == .httpStatus(503))
        let page = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(
                .headers([(":status", "200"), ("content-type", "text/html")]),
                .data([60, 62], isLast: true)
            )
            peer.wait()
        }
        #expect(page.fault() == .violation("an answer of the type 'text/html' instead of gRPC"))
        let http1 = try Bench { peer in
            try peer.send(Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".utf8))
            peer.hangUp()
        }
        guard case .violation = http1.fault() else {
            Issue.record("taken for HTTP/2")
            return
        }
    }

    /// The ways in which a server can stop in the middle, and what the client makes of them.
    static let cuts: [(name: String, frames: [HTTP2Peer.Frame], fault: RPCError.Fault)] = [
        ("nothing at all", [], .cut(reason: nil)),
        ("headers only", [.grpcHeaders()], .cut(reason: nil)),
        ("inside a message", [.grpcHeaders(), .data([0, 0, 0, 0, 9, 1])], .cut(reason: nil)),
        ("a reset", [.grpcHeaders(), .reset(code: 8)], .cut(reason: "CANCEL")),
        ("a reset without an error", [.grpcHeaders(), .reset(code: 0)], .cut(reason: "NO_ERROR")),
        (
            "a farewell", [.grpcHeaders(), .goaway(lastStream: 1, code: 11, text: "too_many_pings")],
            .cut(reason: "GOAWAY ENHANCE_YOUR_CALM (too_many_pings)")
        ),
        ("a farewell that refuses the call", [.goaway(lastStream: 0, code: 0)], .cut(reason: "GOAWAY NO_ERROR")),
        (
            "an end without a status", [.grpcHeaders(), .data([], isLast: true)],
            .cut(reason: "no gRPC status at the end")
        ),
        (
            "a good status inside a message", [.grpcHeaders(), .data([0, 0, 0, 0, 9, 1]), .trailers(status: 0)],
            .cut(reason: "inside a message")
        ),
        (
            "a compressed message", [.grpcHeaders(), .data([1, 0, 0, 0, 1, 1])],
            .violation("a compressed message, which nobody asked for")
        ),
        (
            "a message above the limit", [.grpcHeaders(), .data([0, 0, 0x50, 0, 0])],
            .messageTooLarge(bytes: 0x50_0000, limit: 4 << 20)
        ),
        (
            "a status that is no number",
            [.headers([(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "x")], isLast: true)],
            .status(GRPCStatus(code: -1, encodedMessage: []))
        ),
    ]

    @Test("tells every kind of early end from a whole answer", arguments: cuts.indices)
    func earlyEnds(index: Int) throws {
        let cut = Self.cuts[index]
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(cut.frames.flatMap(\.bytes))
            peer.hangUp()
        }
        #expect(bench.fault() == cut.fault, "\(cut.name)")
    }

    @Test("wants exactly one message from a unary call", arguments: [0, 2])
    func unaryCount(count: Int) throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(
                .grpcHeaders(),
                .data((0..<count).flatMap { _ in HTTP2Peer.message([1]) }),
                .trailers(status: 0)
            )
            peer.wait()
        }
        let error = #expect(throws: RPCError.self) { try bench.client.unary("/t/u", []) }
        guard case .violation = error?.fault else {
            Issue.record("\(error as Any)")
            return
        }
    }

    @Test("gives up a server that goes silent, before the answer and in its middle", arguments: [false, true])
    func stall(inTheMiddle: Bool) throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            if inTheMiddle { try peer.send(.grpcHeaders(), .data([0, 0, 0])) }
            peer.wait()
        }
        #expect(bench.fault(limits: RPCLimits(stall: .milliseconds(200))) == .stalled(.milliseconds(200)))
    }

    @Test("is not kept waiting by frames that are not part of the answer")
    func stallInSpiteOfPings() throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            while true {
                try peer.send(HTTP2Peer.Frame(type: 6, payload: [UInt8](repeating: 0, count: 8)))
                usleep(20_000)
            }
        }
        #expect(bench.fault(limits: RPCLimits(stall: .milliseconds(200))) == .stalled(.milliseconds(200)))
    }

    @Test("holds a call to its whole limit, however busy the server is with it")
    func deadline() throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders())
            while true {
                try peer.send(.data(HTTP2Peer.message([1])))
                usleep(1000)
            }
        }
        let limits = RPCLimits(total: .milliseconds(300))
        #expect(bench.fault(limits: limits) == .deadline(.milliseconds(300)))
    }

    @Test("does not count the consumer's time as the server's silence")
    func slowConsumer() throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders())
            for number in 0..<3 { try peer.send(.data(HTTP2Peer.message([UInt8(number)]))) }
            try peer.send(.trailers(status: 0))
            peer.wait()
        }
        var count = 0
        try bench.client.serverStreaming("/t/s", [], limits: RPCLimits(stall: .milliseconds(300))) { _ in
            usleep(400_000)
            count += 1
        }
        #expect(count == 3)
    }

    @Test("stops when it is cancelled while it waits")
    func cancelled() throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            peer.wait()
        }
        let cancellation = bench.cancellation
        var thread = pthread_t()
        pthread_create(
            &thread,
            nil,
            { argument in
                usleep(100_000)
                Unmanaged<Cancellation>.fromOpaque(argument!).takeUnretainedValue().cancel(.signal(SIGTERM))
                return nil
            },
            Unmanaged.passUnretained(cancellation).toOpaque()
        )
        #expect(throws: Stopped(reason: .signal(SIGTERM))) { try bench.messages() }
        pthread_join(thread, nil)
        #expect(throws: Stopped(reason: .signal(SIGTERM))) { try bench.messages() }
    }

    @Test("throws on what the consumer throws, and can be used again")
    func consumerThrows() throws {
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders(), .data(HTTP2Peer.message([1]) + HTTP2Peer.message([2])), .trailers(status: 0))
            peer.wait()
        }
        var count = 0
        #expect(throws: Errno.noSpace) {
            try bench.client.serverStreaming("/t/s", []) { _ in
                count += 1
                throw Errno.noSpace
            }
        }
        #expect(count == 1)
        #expect(try bench.messages() == [[1], [2]])
    }

    @Test("lets the server send no more than a window ahead of the consumer, and all of it in the end")
    func window() throws {
        let total = 24 << 20
        let progress = Progress()
        let bench = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders())
            var connection = Int(HTTP2Connection.windowBytes)
            var stream = Int(HTTP2Connection.windowBytes)
            let frame = HTTP2Peer.Frame.data(HTTP2Peer.message(Array(repeating: 5, count: 16_379)))
            while progress.sent < total {
                while min(connection, stream) < 16_384 {
                    let update = try peer.readFrame()
                    guard update.type == 8 else { continue }
                    let bytes = update.payload.reduce(0) { $0 << 8 | Int($1) }
                    if update.stream == 0 { connection += bytes } else { stream += bytes }
                }
                try peer.send(frame)
                connection -= 16_384
                stream -= 16_384
                progress.sent += 16_384
            }
            try peer.send(.trailers(status: 0))
            peer.wait()
        }
        var received = 0
        try bench.client.serverStreaming("/t/s", [], limits: RPCLimits(stall: .seconds(10))) { message in
            if received == 0 {
                // Until the server is stuck: in the window, or already in the socket, which holds less.
                var before = -1
                while progress.sent != before {
                    before = progress.sent
                    usleep(200_000)
                }
                #expect(progress.sent <= Int(HTTP2Connection.windowBytes))
            }
            received += message.count + 5
        }
        #expect(received == total)
    }

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

    @Test("makes plain requests too")
    func plain() throws {
        let bench = try Bench { peer in
            let (stream, body) = try peer.readRequest()
            try peer.send(
                .headers([(":status", "404"), ("content-type", "application/json")], stream: stream),
                .data(body, stream: stream, isLast: true)
            )
            peer.wait()
        }
        let response = try bench.client.request("PUT", "/api", headers: [("accept", "application/json")], body: [1, 2])
        #expect(response.status == 404)
        #expect(response.contentType == "application/json")
        #expect(response.body == [1, 2])
    }

    @Test("survives 10 000 damaged answers")
    func mutations() throws {
        let answer =
            HTTP2Peer.Frame.settings.flatMap(\.bytes)
            + [
                .grpcHeaders(), .data(HTTP2Peer.message([1, 2, 3]) + HTTP2Peer.message([4])),
                HTTP2Peer.Frame(type: 6, payload: [UInt8](repeating: 0, count: 8)), .data(HTTP2Peer.message([])),
                .trailers(status: 0, message: "fine%20so%20far"),
            ].flatMap { (frame: HTTP2Peer.Frame) in frame.bytes }
        let seeds = Progress()
        let bench = try Bench { peer in
            var generator = SeededGenerator(seed: UInt64(seeds.sent))
            try peer.send(Self.damaged(answer, &generator))
            peer.hangUp()
        }
        var outcomes: [String: Int] = [:]
        for seed in 0..<10_000 {
            seeds.sent = seed
            let client = RPCClient(bench.target, cancellation: bench.cancellation)
            do {
                try client.serverStreaming("/t/s", [1], limits: RPCLimits(total: .seconds(5), stall: .seconds(5))) {
                    _ in
                }
                outcomes["done", default: 0] += 1
            } catch let error as RPCError {
                switch error.fault {
                case .stalled, .deadline: Issue.record("seed \(seed) hangs: \(error.summary)")
                default: outcomes["refused", default: 0] += 1
                }
            }
        }
        // Both must be there, or the damage is too great or too small to prove anything.
        #expect(outcomes["done", default: 0] > 100)
        #expect(outcomes["refused", default: 0] > 1000)
    }

    private static func damaged(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
            let place = bytes.indices.randomElement(using: &generator)!
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes[place] = .random(in: 0...255, using: &generator)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(.random(in: 0...255, using: &generator), at: place)
            default:
                if Bool.random(using: &generator) { bytes.removeSubrange(place...) } else { bytes += bytes[place...] }
            }
        }
        return bytes
    }

    @Test("tells the server the limit in the protocol's units")
    func timeoutText() {
        #expect(RPCClient.timeoutText(.milliseconds(1500)) == "1500m")
        #expect(RPCClient.timeoutText(.zero) == "1m")
        #expect(RPCClient.timeoutText(.seconds(100_000)) == "100000S")
    }
}

/// A figure that the server's thread and the test share.
private final class Progress: Sendable {
    private let number = Atomic(0)

    var sent: Int {
        get { number.load(ordering: .acquiring) }
        set { number.store(newValue, ordering: .releasing) }
    }
}
