import CHTTP2
import Glibc
import Reporting

/// One connection as an HTTP/2 client, one request at a time, driven by the thread that calls.
///
/// The memory in use does not depend on what the server sends: what arrives goes through one buffer of 64 KiB to the
/// consumer, and the server gets new window only for what the consumer has taken.
final class HTTP2Connection {
    /// A request.
    struct Request {
        var method: String
        var path: String
        /// Besides the pseudo-headers; names in lower case.
        var headers: [(name: String, value: String)] = []
        /// The body, or its first piece.
        var body: [UInt8] = []
        /// Gives the next piece of the body, asked for when the one before is on its way; `nil` at the end.
        var more: (() throws -> [UInt8]?)?
    }

    /// What the consumer of an answer is told, in this order: headers, pieces of the body, headers again (trailers).
    ///
    /// What a call throws ends the exchange.
    protocol Consumer: AnyObject {
        func header(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>)
        /// - Returns: whether they are part of the answer; `false` for an interim one (1xx), which is no progress.
        func headersEnded() throws -> Bool
        func body(_ piece: UnsafeRawBufferPointer) throws
    }

    /// How much a server may send ahead of the consumer: enough to keep the line busy.
    static let windowBytes: Int32 = 4 << 20

    private let target: RPCTarget
    private let cancellation: Cancellation
    private let wire: Wire
    private var session: OpaquePointer?
    private let buffer: UnsafeMutableRawBufferPointer
    private var outgoing: [UInt8] = []
    private var outgoingSent = 0

    private var exchange: Exchange?
    private var failure: (any Error)?
    /// What nghttp2 says about the last thing it did not like; not always the end.
    private var complaint: String?
    /// The rule that the server broke, which ends the connection.
    private var breach: String?
    /// What the server said in a GOAWAY.
    private var farewell: String?

    /// The request that is under way.
    private struct Exchange {
        let stream: Int32
        let consumer: any Consumer
        var body: ArraySlice<UInt8>
        let more: (() throws -> [UInt8]?)?
        /// The whole request is with nghttp2.
        var isSent = false
        var clock: CallClock
        /// The server has set END_STREAM.
        var isWhole = false
        var closeCode: UInt32?
    }

    /// Whether another request can be sent.
    private(set) var isUsable = true

    /// Connects to `target`; the HTTP/2 settings travel with the first request.
    init(to target: RPCTarget, clock: CallClock, cancellation: Cancellation) throws {
        self.target = target
        self.cancellation = cancellation
        wire = try Wire(to: target, clock: clock, cancellation: cancellation)
        // Last, so that a connection that fails has nothing to free: a throw before this skips the deinit.
        buffer = .allocate(byteCount: 64 << 10, alignment: 16)
        try open()
    }

    deinit {
        nghttp2_session_del(session)
        buffer.deallocate()
    }

    /// Sends `request` and hands the answer to `consumer`; returns when the answer is whole.
    ///
    /// After a throw the connection is not usable any more.
    func exchange(_ request: Request, clock: CallClock, consumer: any Consumer) throws {
        precondition(isUsable && exchange == nil, "one request at a time")
        isUsable = false
        let stream = try submit(request)
        exchange = Exchange(
            stream: stream,
            consumer: consumer,
            body: request.body[...],
            more: request.more,
            clock: clock
        )
        defer { exchange = nil }
        while true {
            try cancellation.check()
            if let overrun = exchange?.clock.overrun { throw RPCError(target, overrun) }
            let outgoingBlocked = try send()
            if let breach { throw RPCError(target, .violation(complaint ?? breach)) }
            if let code = exchange?.closeCode {
                // A reset without an error is an end all the same, and not that of a whole answer.
                guard code == 0, exchange?.isWhole == true else {
                    throw RPCError(target, .cut(reason: farewell ?? Self.text(ofCode: code)))
                }
                isUsable = farewell == nil && nghttp2_session_want_read(session) != 0
                return
            }
            // The answer is whole before the request is: the server wants no more of it. The rest is not sent, and the
            // next request takes another connection.
            if let exchange, exchange.isWhole, !exchange.isSent, exchange.more != nil { return }
            try receive(alsoWaitFor: outgoingBlocked)
        }
    }

    // MARK: Bytes

    /// Writes what is due.
    /// - Returns: the events that the rest waits for; 0 when everything is out.
    private func send() throws -> Int16 {
        // What could not be written is lost; only reading can still tell why.
        while failure == nil {
            if outgoingSent == outgoing.count {
                outgoing.removeAll(keepingCapacity: true)
                outgoingSent = 0
                while outgoing.count < buffer.count {
                    var bytes: UnsafePointer<UInt8>?
                    let count = nghttp2_session_mem_send(session, &bytes)
                    guard count >= 0 else { throw failure ?? violation(Int32(count)) }
                    guard count > 0 else { break }
                    outgoing.append(contentsOf: UnsafeBufferPointer(start: bytes, count: count))
                }
                guard !outgoing.isEmpty else { return 0 }
            }
            let outcome: Wire.Outcome
            do {
                outcome = try outgoing.withUnsafeBytes {
                    try wire.write(UnsafeRawBufferPointer(rebasing: $0[outgoingSent...]))
                }
            } catch let error as RPCError {
                // A server that hangs up may have said why before: its words lie unread, and the reading finds them.
                guard case .connectionLost = error.fault else { throw error }
                failure = error
                return 0
            }
            switch outcome {
            case .bytes(let count): outgoingSent += count
            case .blocked(let events): return events
            case .end: return 0
            }
        }
        return 0
    }

    /// Reads once, waiting for it when nothing is there.
    private func receive(alsoWaitFor outgoingEvents: Int16) throws {
        let outcome: Wire.Outcome
        do { outcome = try wire.read(into: buffer) } catch let error as RPCError {
            if case .connectionLost = error.fault, let failure { throw failure }
            throw error
        }
        switch outcome {
        case .bytes(let count):
            let taken = nghttp2_session_mem_recv(session, buffer.baseAddress, count)
            if let failure, taken < 0 { throw failure }
            guard taken >= 0 else { throw violation(Int32(taken)) }
        case .blocked(let events):
            guard let next = exchange?.clock.next else { return }
            _ = try wire.wait(for: events | outgoingEvents, until: next)
        case .end:
            throw failure ?? RPCError(target, .cut(reason: farewell))
        }
    }

    private func violation(_ code: Int32) -> RPCError {
        RPCError(target, .violation(complaint ?? breach ?? String(cString: nghttp2_strerror(code))))
    }

    // MARK: nghttp2

    private func open() throws {
        var callbacks: OpaquePointer?
        var options: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0, nghttp2_option_new(&options) == 0 else {
            fatalError("nghttp2: no memory")
        }
        defer {
            nghttp2_session_callbacks_del(callbacks)
            nghttp2_option_del(options)
        }
        // Window is given back by us, when the consumer has had its turn.
        nghttp2_option_set_no_auto_window_update(options, 1)
        setCallbacks(callbacks)
        var settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: UInt32(Self.windowBytes)
            ),
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
        ]
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        for code in [
            nghttp2_session_client_new2(&session, callbacks, Unmanaged.passUnretained(self).toOpaque(), options),
            nghttp2_submit_settings(session, flags, &settings, settings.count),
            nghttp2_session_set_local_window_size(session, flags, 0, Self.windowBytes),
        ] where code != 0 {
            throw violation(code)
        }
    }

    private func submit(_ request: Request) throws -> Int32 {
        let headers =
            [
                (":method", request.method), (":scheme", target.scheme), (":authority", target.authority),
                (":path", request.path),
            ] + request.headers
        var bytes = headers.flatMap { Array($0.0.utf8) + Array($0.1.utf8) }
        let hasBody = !request.body.isEmpty || request.more != nil
        let stream = bytes.withUnsafeMutableBufferPointer { all -> Int32 in
            var position = all.baseAddress
            let fields = headers.map { name, value in
                let field = nghttp2_nv(
                    name: position,
                    value: position.map { $0 + name.utf8.count },
                    namelen: name.utf8.count,
                    valuelen: value.utf8.count,
                    flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)
                )
                position = position.map { $0 + name.utf8.count + value.utf8.count }
                return field
            }
            var provider = nghttp2_data_provider()
            provider.read_callback = { _, _, buffer, room, flags, _, user in
                HTTP2Connection.of(user).fill(buffer, room, flags)
            }
            return withUnsafePointer(to: provider) { provider in
                nghttp2_submit_request(session, nil, fields, fields.count, hasBody ? provider : nil, nil)
            }
        }
        guard stream >= 0 else { throw violation(stream) }
        return stream
    }

    private func fill(_ buffer: UnsafeMutablePointer<UInt8>?, _ room: Int, _ flags: UnsafeMutablePointer<UInt32>?)
        -> Int
    {
        guard let exchange, let buffer else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
        var body = exchange.body
        var isLast = exchange.more == nil
        while body.isEmpty, let more = exchange.more, !isLast {
            do {
                if let piece = try more() { body = piece[...] } else { isLast = true }
            } catch {
                failure = error
                return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
            }
        }
        let part = body.prefix(room)
        _ = UnsafeMutableBufferPointer(start: buffer, count: room).update(fromContentsOf: part)
        self.exchange?.body = body.dropFirst(part.count)
        if isLast, part.count == body.count {
            self.exchange?.isSent = true
            flags?.pointee |= UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue)
        }
        return part.count
    }

    private func setCallbacks(_ callbacks: OpaquePointer?) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _,
            frame,
            name,
            nameLength,
            value,
            valueLength,
            _,
            user in
            let me = HTTP2Connection.of(user)
            guard let exchange = me.exchange, frame?.pointee.hd.stream_id == exchange.stream else { return 0 }
            exchange.consumer.header(
                UnsafeBufferPointer(start: name, count: nameLength),
                UnsafeBufferPointer(start: value, count: valueLength)
            )
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, bytes, count, user in
            HTTP2Connection.of(user).received(UnsafeRawBufferPointer(start: bytes, count: count), stream: stream)
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            guard let frame else { return 0 }
            return HTTP2Connection.of(user).received(frame)
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, code, user in
            let me = HTTP2Connection.of(user)
            if me.exchange?.stream == stream { me.exchange?.closeCode = code }
            return 0
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, _, code, user in
            HTTP2Connection.of(user).breach = String(cString: nghttp2_strerror(code))
            return 0
        }
        // We send neither by ourselves: nghttp2 does, when the server breaks a rule.
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            let me = HTTP2Connection.of(user)
            guard let frame, me.breach == nil else { return 0 }
            switch UInt32(frame.pointee.hd.type) {
            case NGHTTP2_GOAWAY.rawValue: me.breach = HTTP2Connection.text(ofCode: frame.pointee.goaway.error_code)
            case NGHTTP2_RST_STREAM.rawValue where frame.pointee.hd.stream_id == me.exchange?.stream:
                me.breach = HTTP2Connection.text(ofCode: frame.pointee.rst_stream.error_code)
            default: break
            }
            return 0
        }
        nghttp2_session_callbacks_set_error_callback2(callbacks) { _, _, text, length, user in
            guard let text else { return 0 }
            HTTP2Connection.of(user).complaint = GRPCStatus.printable(
                UnsafeRawBufferPointer(start: text, count: length)
            )
            return 0
        }
    }

    private static func of(_ user: UnsafeMutableRawPointer?) -> HTTP2Connection {
        Unmanaged<HTTP2Connection>.fromOpaque(user!).takeUnretainedValue()
    }

    private func received(_ piece: UnsafeRawBufferPointer, stream: Int32) -> Int32 {
        if let exchange, exchange.stream == stream {
            do { try exchange.consumer.body(piece) } catch {
                failure = error
                return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
            }
            self.exchange?.clock.progressed()
        }
        return nghttp2_session_consume(session, stream, piece.count)
    }

    private func received(_ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        let header = frame.pointee.hd
        if header.stream_id == exchange?.stream, UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0,
            [NGHTTP2_DATA.rawValue, NGHTTP2_HEADERS.rawValue].contains(UInt32(header.type))
        {
            exchange?.isWhole = true
        }
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue where header.stream_id == exchange?.stream:
            do {
                if try exchange?.consumer.headersEnded() == true { exchange?.clock.progressed() }
            } catch {
                failure = error
                return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
            }
        case NGHTTP2_GOAWAY.rawValue:
            let goaway = frame.pointee.goaway
            let words = UnsafeRawBufferPointer(start: goaway.opaque_data, count: goaway.opaque_data_len)
            let text = GRPCStatus.printable(words.prefix(200))
            farewell = "GOAWAY \(Self.text(ofCode: goaway.error_code))\(text.isEmpty ? "" : " (\(text))")"
        default: break
        }
        return 0
    }

    private static func text(ofCode code: UInt32) -> String {
        String(cString: nghttp2_http2_strerror(code))
    }
}
