import Glibc
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import RPC

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

    @Test("names gRPC as its content type exactly so, as CRI-O hangs up on every other one")
    func contentType() throws {
        let bench = try Bench { peer in
            let (stream, fields, _) = try peer.readRequestWithFields(isFirst: true)
            let type = fields.first { $0.name == "content-type" }?.value ?? ""
            try peer.send(
                .grpcHeaders(stream: stream),
                .data(HTTP2Peer.message(Array(type.utf8)), stream: stream),
                .trailers(status: 0, stream: stream)
            )
            _ = try peer.readRequest(isFirst: false)
        }
        #expect(try bench.messages() == [Array("application/grpc".utf8)])
        // What the tests' servers do with another one.
        let error = #expect(throws: RPCError.self) {
            try bench.client.request(
                "POST",
                "/t/a",
                headers: [("te", "trailers"), ("content-type", "application/grpc+proto")]
            )
        }
        guard case .cut = error?.fault else {
            Issue.record("another content type is taken: \(error as Any)")
            return
        }
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
        try bench.client.serverStreaming("/t/s", [], limits: RPCLimits(stall: .seconds(2))) { _ in
            if count == 0 { usleep(2_200_000) }
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

    @Test("sends a stream of messages, holds one at a time, and takes the answers meanwhile")
    func bidirectional() throws {
        let bench = try Bench { peer in
            let (stream, body) = try peer.readRequest()
            try peer.send(.grpcHeaders(stream: stream))
            var rest = body[...]
            while rest.count >= 5 {
                let length = rest.dropFirst().prefix(4).reduce(0) { $0 << 8 | Int($1) }
                try peer.send(.data(HTTP2Peer.message([UInt8(length % 251)]), stream: stream))
                rest = rest.dropFirst(5 + length)
            }
            try peer.send(.trailers(status: 0, stream: stream))
            peer.wait()
        }
        // Less than the window that the server gives by itself: it reads everything before it answers.
        var lengths = [0, 1, 16_384, 20_000, 5][...]
        var answers: [[UInt8]] = []
        try bench.client.bidirectional("/t/b", next: { lengths.popFirst().map { [UInt8](repeating: 7, count: $0) } }) {
            answers.append(Array($0))
        }
        #expect(answers == [0, 1, 16_384, 20_000, 5].map { [UInt8($0 % 251)] })
    }

    @Test("stops sending when the server has ended the call, and when a message cannot be made")
    func bidirectionalEnds() throws {
        let bench = try Bench { peer in
            _ = try peer.read(24)
            try peer.send(HTTP2Peer.Frame.settings.flatMap(\.bytes))
            while try peer.readFrame().type != 0 {}
            try peer.send(
                .headers(
                    [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "6")],
                    isLast: true
                )
            )
            peer.wait()
        }
        var count = 0
        let error = #expect(throws: RPCError.self) {
            try bench.client.bidirectional(
                "/t/b",
                next: {
                    count += 1
                    return [UInt8](repeating: 7, count: 1 << 20)
                },
                consumer: { _ in }
            )
        }
        #expect(error?.fault == .status(GRPCStatus(code: GRPCStatus.alreadyExists, encodedMessage: [])))
        #expect(count < 3)
        #expect(throws: Errno.ioError) {
            try bench.client.bidirectional("/t/b", next: { throw Errno.ioError }, consumer: { _ in })
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

    @Test("tells the server the limit in the protocol's units")
    func timeoutText() {
        #expect(RPCClient.timeoutText(.milliseconds(1500)) == "1500m")
        #expect(RPCClient.timeoutText(.zero) == "1m")
        #expect(RPCClient.timeoutText(.seconds(100_000)) == "100000S")
    }
}
