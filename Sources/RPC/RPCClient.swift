internal import Glibc
public import Reporting

/// Calls one server, one call after the other, over HTTP/2; blocks the calling thread until the answer is there.
///
/// It connects with the first call and again when the server has closed the connection in between; a call that fails
/// is not repeated. Not for use from several threads.
public final class RPCClient {
    /// The server.
    public let target: RPCTarget

    private let cancellation: Cancellation
    private var connection: HTTP2Connection?

    /// A client; nothing is connected yet.
    public init(_ target: RPCTarget, cancellation: Cancellation) {
        self.target = target
        self.cancellation = cancellation
    }

    /// Calls a gRPC method that answers with one message.
    /// - Parameter path: `/package.Service/Method`.
    /// - Parameter metadata: further request headers; names in lower case.
    /// - Throws: ``RPCError``; `Stopped` when the run was cancelled.
    public func unary(
        _ path: String,
        _ request: [UInt8],
        metadata: [(name: String, value: String)] = [],
        limits: RPCLimits = RPCLimits()
    ) throws -> [UInt8] {
        var answer: [UInt8]?
        try serverStreaming(path, request, metadata: metadata, limits: limits) { [target] message in
            guard answer == nil else { throw RPCError(target, .violation("more than one message in a unary answer")) }
            answer = Array(message)
        }
        guard let answer else { throw RPCError(target, .violation("no message in a unary answer")) }
        return answer
    }

    /// Calls a gRPC method that answers with a stream of messages; returns when it has ended with the status OK.
    ///
    /// The server is not read from while `consumer` runs, and what it may have sent ahead is bounded.
    /// - Parameter path: `/package.Service/Method`.
    /// - Parameter metadata: further request headers; names in lower case.
    /// - Parameter consumer: gets every message in order, its bytes valid for the call only. What it throws ends the
    ///   call and is thrown on.
    /// - Throws: ``RPCError``; `Stopped` when the run was cancelled.
    public func serverStreaming(
        _ path: String,
        _ request: [UInt8],
        metadata: [(name: String, value: String)] = [],
        limits: RPCLimits = RPCLimits(),
        consumer: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try call(path, Self.framed(request), more: nil, metadata, limits, consumer)
    }

    /// Calls a gRPC method that takes a stream of messages and answers with one; returns when the answers have ended
    /// with the status OK.
    ///
    /// A server that ends the call before it has taken every message gets no more of them.
    /// - Parameter path: `/package.Service/Method`.
    /// - Parameter metadata: further request headers; names in lower case.
    /// - Parameter next: gives the next message, asked for when the one before is on its way, so that memory holds one
    ///   at a time; `nil` at the end. What it throws ends the call and is thrown on.
    /// - Parameter consumer: as in ``serverStreaming(_:_:metadata:limits:consumer:)``.
    /// - Throws: ``RPCError``; `Stopped` when the run was cancelled.
    public func bidirectional(
        _ path: String,
        metadata: [(name: String, value: String)] = [],
        limits: RPCLimits = RPCLimits(),
        next: @escaping () throws -> [UInt8]?,
        consumer: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try call(path, [], more: { try next().map { Self.framed($0) } }, metadata, limits, consumer)
    }

    /// A message with the prefix of five bytes that gRPC has in front of each: not compressed, and its length.
    private static func framed(_ message: [UInt8]) -> [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(5 + message.count)
        bytes.append(0)
        withUnsafeBytes(of: UInt32(message.count).bigEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: message)
        return bytes
    }

    private func call(
        _ path: String,
        _ body: [UInt8],
        more: (() throws -> [UInt8]?)?,
        _ metadata: [(name: String, value: String)],
        _ limits: RPCLimits,
        _ consumer: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let clock = CallClock(limits: limits)
        // Without "+proto": CRI-O hangs up on every other type, as its multiplexer compares the whole value.
        var headers = [
            (name: "te", value: "trailers"), (name: "content-type", value: "application/grpc"),
            (name: "user-agent", value: "node-recovery"),
        ]
        try connect(clock)
        if let remaining = clock.remaining {
            headers.append((name: "grpc-timeout", value: Self.timeoutText(remaining)))
        }
        let answer = GRPCAnswer(target: target, limits: limits, consumer: consumer)
        try exchange(
            HTTP2Connection.Request(
                method: "POST",
                path: path,
                headers: headers + metadata,
                body: body,
                more: more
            ),
            clock: clock,
            consumer: answer
        )
        try answer.finish()
    }

    /// Sends a plain HTTP/2 request, such as the Kubernetes API takes.
    ///
    /// An HTTP status other than 200 is not an error here.
    /// - Throws: ``RPCError``; `Stopped` when the run was cancelled.
    public func request(
        _ method: String,
        _ path: String,
        headers: [(name: String, value: String)] = [],
        body: [UInt8] = [],
        limits: RPCLimits = RPCLimits()
    ) throws -> HTTPResponse {
        let clock = CallClock(limits: limits)
        try connect(clock)
        let answer = PlainAnswer(target: target, limits: limits)
        try exchange(
            HTTP2Connection.Request(method: method, path: path, headers: headers, body: body),
            clock: clock,
            consumer: answer
        )
        return answer.response
    }

    private func connect(_ clock: CallClock) throws {
        try cancellation.check()
        if connection?.isUsable != true {
            connection = nil
            connection = try HTTP2Connection(to: target, clock: clock, cancellation: cancellation)
        }
    }

    private func exchange(
        _ request: HTTP2Connection.Request,
        clock: CallClock,
        consumer: any HTTP2Connection.Consumer
    ) throws {
        guard let connection else { return }
        var clock = clock
        clock.progressed()
        do { try connection.exchange(request, clock: clock, consumer: consumer) } catch {
            self.connection = nil
            throw error
        }
        if !connection.isUsable { self.connection = nil }
    }

    /// At most eight digits and a unit, as the protocol wants.
    static func timeoutText(_ duration: Duration) -> String {
        let milliseconds = Int64(max(duration.seconds * 1000, 1).rounded(.up))
        return milliseconds <= 99_999_999 ? "\(milliseconds)m" : "\(min(milliseconds / 1000, 99_999_999))S"
    }
}

/// The answer to a plain request.
public struct HTTPResponse: Sendable, Hashable {
    /// The HTTP status, 200 for success.
    public var status: Int
    /// The value of `content-type`.
    public var contentType: String
    /// The body.
    public var body: [UInt8]
}
