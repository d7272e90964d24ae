import Glibc
import Reporting
import SystemPackage

/// A connected byte stream that never blocks: a socket, plain or with TLS around it.
///
/// Waiting is apart from reading and writing (``wait(for:until:)``), so that every wait ends with the first of: the
/// socket, the cancellation, the clock.
final class Wire {
    /// What came of one attempt to read or write.
    enum Outcome {
        /// So many bytes went through, at least one.
        case bytes(Int)
        /// Nothing goes before the socket has these `poll(2)` events. TLS may have to read in order to write.
        case blocked(Int16)
        /// The other side is done; reads only.
        case end
    }

    private let target: RPCTarget
    private let descriptor: Int32
    private let cancellation: Cancellation
    private var tls: TLSSession?

    /// Connects, and shakes hands where the target has TLS.
    /// - Throws: ``RPCError``, or `Stopped` when the run was cancelled.
    init(to target: RPCTarget, clock: CallClock, cancellation: Cancellation) throws {
        let (until, timeout) = clock.connecting
        self.target = target
        self.cancellation = cancellation
        // The files are looked at before the network: their faults are ours and cost nothing to find.
        var settings: TLSContext?
        if case .tcp(_, _, .some(let files)) = target { settings = try TLSContext(files: files, target: target) }
        descriptor = try Self.connect(to: target, until: until, timeout: timeout, cancellation: cancellation)
        guard let settings, case .tcp(let host, _, let files) = target else { return }
        let name = files?.serverName ?? host
        let session = try TLSSession(context: settings, descriptor: descriptor, host: name, target: target)
        while let events = try session.handshake() {
            guard try wait(for: events, until: until) else { throw RPCError(target, timeout) }
        }
        tls = session
    }

    deinit {
        if let tls { tls.sayGoodbye() }
        _ = close(descriptor)
    }

    /// Reads what is there, at most `buffer.count` bytes.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Outcome {
        if let tls { return try tls.read(into: buffer) }
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            if errno == EAGAIN { return .blocked(Int16(POLLIN)) }
            if errno != EINTR { throw RPCError(target, .connectionLost(errno: errno)) }
        }
    }

    /// Writes what goes.
    func write(_ bytes: UnsafeRawBufferPointer) throws -> Outcome {
        if let tls { return try tls.write(bytes) }
        while true {
            let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno == EAGAIN { return .blocked(Int16(POLLOUT)) }
            if errno != EINTR { throw RPCError(target, .connectionLost(errno: errno)) }
        }
    }

    /// Waits until the socket has one of `events`.
    /// - Returns: whether it has; `false` when the moment `until` came first.
    /// - Throws: `Stopped`.
    func wait(for events: Int16, until: ContinuousClock.Instant) throws(Stopped) -> Bool {
        try Self.wait(descriptor, for: events, until: until, cancellation: cancellation)
    }

    private static func wait(
        _ descriptor: Int32,
        for events: Int16,
        until: ContinuousClock.Instant,
        cancellation: Cancellation
    ) throws(Stopped) -> Bool {
        while true {
            try cancellation.check()
            let left = until - .now
            guard left > .zero else { return false }
            var set = [
                pollfd(fd: descriptor, events: events, revents: 0),
                pollfd(fd: cancellation.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            // One millisecond more than is left, so that the rounded wait is not over before the moment has come.
            let milliseconds = Int32(min(left.seconds * 1000 + 1, 1e9))
            let ready = poll(&set, 2, milliseconds)
            try cancellation.check()
            // An error of the socket (POLLERR, POLLHUP) is for the next read or write to report.
            if ready > 0, set[0].revents != 0 { return true }
        }
    }

    // MARK: Connecting

    private static func connect(
        to target: RPCTarget,
        until: ContinuousClock.Instant,
        timeout: RPCError.Fault,
        cancellation: Cancellation
    ) throws -> Int32 {
        var failure = RPCError.Fault.noAddress(reason: "nothing was found")
        for address in try SocketAddress.all(of: target) {
            let descriptor = socket(
                address.family,
                Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
                0
            )
            guard descriptor >= 0 else { throw RPCError(target, .connectFailed(errno: errno)) }
            var keep = false
            defer { if !keep { _ = close(descriptor) } }
            var code: Int32 = 0
            if address.withSockAddr({ Glibc.connect(descriptor, $0, $1) }) != 0 { code = errno }
            // A Unix socket with a full queue says EAGAIN and cannot be waited for: as good as refused.
            if code == EINPROGRESS || code == EINTR {
                guard
                    try wait(descriptor, for: Int16(POLLOUT), until: until, cancellation: cancellation)
                else { throw RPCError(target, timeout) }
                var length = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
            }
            guard code != 0 else {
                keep = true
                return descriptor
            }
            if case .unix = target, code == ENOENT {
                failure = .socketMissing
            } else {
                failure = .connectFailed(errno: code)
            }
        }
        throw RPCError(target, failure)
    }
}
