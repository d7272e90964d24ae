import Glibc
import Reporting
import TestSupport
import Testing

@testable import RPC

@Suite("A server that goes wrong") struct RPCErrorTests {
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
            .violation("a compressed message, although compression was not offered")
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

    @Test("is not kept waiting by interim answers without end, and takes the real one behind some of them")
    func interim() throws {
        let interim = HTTP2Peer.Frame.headers([(":status", "103"), ("grpc-status", "7")])
        let endless = try Bench { peer in
            _ = try peer.readRequest()
            while true {
                try peer.send(interim)
                usleep(5_000)
            }
        }
        #expect(endless.fault(limits: RPCLimits(stall: .milliseconds(200))) == .stalled(.milliseconds(200)))
        #expect(throws: RPCError(endless.target, .stalled(.milliseconds(200)))) {
            try endless.client.request("GET", "/", limits: RPCLimits(stall: .milliseconds(200)))
        }
        let some = try Bench { peer in
            _ = try peer.readRequest()
            try peer.send(interim, interim, .grpcHeaders(), .data(HTTP2Peer.message([1])), .trailers(status: 0))
            peer.wait()
        }
        #expect(try some.messages() == [[1]])
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
}
