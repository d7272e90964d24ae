/// The header fields of an answer that we look at; all others pass by.
private struct AnswerHeaders {
    var status: Int?
    var contentType: [UInt8] = []
    var grpcStatus: Int?
    var grpcMessage: [UInt8] = []

    mutating func take(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        let field = String(decoding: name, as: UTF8.self)
        switch field {
        case ":status": status = Int(String(decoding: value, as: UTF8.self))
        case "content-type": contentType = Array(value.prefix(200))
        // What is not a number is not a good status either; -1 is none of gRPC's.
        case "grpc-status": grpcStatus = Int(String(decoding: value, as: UTF8.self)) ?? -1
        case "grpc-message": grpcMessage = Array(value.prefix(4000))
        default: break
        }
    }

    /// Whether what has arrived is an interim answer (1xx), which is forgotten: the real one follows.
    mutating func takeInterim() -> Bool {
        guard let status, (100...199).contains(status) else { return false }
        self = AnswerHeaders()
        return true
    }
}

/// A gRPC answer: an HTTP status, messages, and the call's status in the trailers (or at once, in the headers).
final class GRPCAnswer: HTTP2Connection.Consumer {
    private let target: RPCTarget
    private let limits: RPCLimits
    private let consumer: (UnsafeRawBufferPointer) throws -> Void
    private var headers = AnswerHeaders()
    private var deframer: MessageDeframer
    private var isChecked = false

    init(target: RPCTarget, limits: RPCLimits, consumer: @escaping (UnsafeRawBufferPointer) throws -> Void) {
        self.target = target
        self.limits = limits
        self.consumer = consumer
        deframer = MessageDeframer(limit: limits.messageBytes)
    }

    func header(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        headers.take(name, value)
    }

    func headersEnded() throws -> Bool {
        if headers.takeInterim() { return false }
        guard !isChecked, let status = headers.status else { return true }
        isChecked = true
        // A proxy or another kind of server; one that knows gRPC gives its own status as well.
        if headers.grpcStatus == nil, status != 200 { throw RPCError(target, .httpStatus(status)) }
        guard headers.contentType.starts(with: "application/grpc".utf8) else {
            let type = GRPCStatus.printable(headers.contentType)
            throw RPCError(target, .violation("an answer of the type '\(type)' instead of gRPC"))
        }
        return true
    }

    func body(_ piece: UnsafeRawBufferPointer) throws {
        do { try deframer.feed(piece, deliver: consumer) } catch MessageDeframer.Fault.compressed {
            throw RPCError(target, .violation("a compressed message, although compression was not offered"))
        } catch MessageDeframer.Fault.tooLarge(let bytes) {
            throw RPCError(target, .messageTooLarge(bytes: bytes, limit: limits.messageBytes))
        }
    }

    /// Looks at the end, once the stream is over.
    func finish() throws(RPCError) {
        guard let code = headers.grpcStatus else { throw RPCError(target, .cut(reason: "no gRPC status at the end")) }
        guard code == 0 else {
            if code == GRPCStatus.deadlineExceeded, let total = limits.total {
                throw RPCError(target, .deadline(total))
            }
            throw RPCError(target, .status(GRPCStatus(code: code, encodedMessage: headers.grpcMessage)))
        }
        guard deframer.isBetweenMessages else { throw RPCError(target, .cut(reason: "inside a message")) }
    }
}

/// A plain answer, its body in memory.
final class PlainAnswer: HTTP2Connection.Consumer {
    private let target: RPCTarget
    private let limits: RPCLimits
    private var headers = AnswerHeaders()
    private var content: [UInt8] = []

    init(target: RPCTarget, limits: RPCLimits) {
        self.target = target
        self.limits = limits
    }

    var response: HTTPResponse {
        HTTPResponse(
            status: headers.status ?? 0,
            contentType: GRPCStatus.printable(headers.contentType),
            body: content
        )
    }

    func header(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        headers.take(name, value)
    }

    func headersEnded() -> Bool { !headers.takeInterim() }

    func body(_ piece: UnsafeRawBufferPointer) throws {
        let bytes = content.count + piece.count
        guard bytes <= limits.messageBytes else {
            throw RPCError(target, .messageTooLarge(bytes: bytes, limit: limits.messageBytes))
        }
        content.append(contentsOf: piece)
    }
}
