import CTLS
import Glibc
import Synchronization
public import SystemPackage

/// A server that plays a script to each client: real bytes over a real socket, good or bad.
///
/// One connection at a time, on a thread of its own that ends with the server.
public final class ScriptedServer {
    /// The loopback port; 0 for a Unix socket.
    public let port: UInt16

    private let shared: Shared
    private var thread = pthread_t()

    /// How the server proves who it is, and whom it lets in.
    public struct TLS: Sendable {
        /// Who is let in.
        public enum Clients: Sendable {
            /// Everybody, and nobody is asked who they are.
            case nobodyAsked
            /// Everybody, whatever they show when they are asked.
            case anybody
            /// Who shows a certificate of this authority.
            case signed(FilePath)
            /// Nobody: the connection is reset without a word when the client's certificate is looked at.
            case reset
        }

        let certificate: FilePath
        let key: FilePath
        let clients: Clients
        let isOld: Bool

        /// PEM files, and who is let in.
        /// - Parameter isOld: speaks TLS 1.2 at most.
        public init(certificate: FilePath, key: FilePath, clients: Clients = .nobodyAsked, isOld: Bool = false) {
            self.certificate = certificate
            self.key = key
            self.clients = clients
            self.isOld = isOld
        }
    }

    /// Listens on a free loopback port, or at `path`, and runs `script` for every client.
    public init(
        at path: FilePath? = nil,
        tls: TLS? = nil,
        script: @escaping @Sendable (HTTP2Peer) throws -> Void
    ) throws {
        let listener = socket(path == nil ? AF_INET : AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw Errno(rawValue: errno) }
        if let path {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.string.utf8) }
            try Self.bind(listener, address)
            port = 0
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            try Self.bind(listener, address)
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(listener, $0, &length) }
            }
            port = UInt16(bigEndian: address.sin_port)
        }
        guard listen(listener, 16) == 0 else { throw Errno(rawValue: errno) }
        shared = Shared(listener: listener, tls: try tls.map { try TLSServerContext($0) }, script: script)
        let failure = pthread_create(
            &thread,
            nil,
            { argument in
                Unmanaged<Shared>.fromOpaque(argument!).takeRetainedValue().serve()
                return nil
            },
            Unmanaged.passRetained(shared).toOpaque()
        )
        guard failure == 0 else { throw Errno(rawValue: failure) }
    }

    deinit {
        shared.end()
        pthread_join(thread, nil)
    }

    /// How many clients have connected so far.
    public var connections: Int { shared.count.load(ordering: .acquiring) }

    private static func bind<Address: BitwiseCopyable>(_ listener: Int32, _ address: Address) throws {
        let result = withUnsafeBytes(of: address) { bytes in
            Glibc.bind(listener, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        guard result == 0 else { throw Errno(rawValue: errno) }
    }

    private final class Shared: Sendable {
        let listener: Int32
        let tls: TLSServerContext?
        let script: @Sendable (HTTP2Peer) throws -> Void
        let count = Atomic(0)
        let client = Mutex<Int32>(-1)
        let isEnding = Atomic(false)

        init(
            listener: Int32,
            tls: TLSServerContext?,
            script: @escaping @Sendable (HTTP2Peer) throws -> Void
        ) {
            self.listener = listener
            self.tls = tls
            self.script = script
        }

        func serve() {
            // OpenSSL writes with write(2), which would end the tests when a client has gone.
            var set = sigset_t()
            sigemptyset(&set)
            sigaddset(&set, SIGPIPE)
            pthread_sigmask(SIG_BLOCK, &set, nil)
            while !isEnding.load(ordering: .acquiring) {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { continue }
                client.withLock { $0 = descriptor }
                count.add(1, ordering: .acquiringAndReleasing)
                // ignored: a client that hangs up in the middle is what half of the scripts are about
                let session = tls?.accept(descriptor)
                try? script(HTTP2Peer(descriptor: descriptor, tls: session, isLetIn: tls == nil || session != nil))
                client.withLock { current in
                    current = -1
                    _ = close(descriptor)
                }
            }
            _ = close(listener)
        }

        func end() {
            isEnding.store(true, ordering: .releasing)
            // Both wake up the calls that the thread may wait in.
            _ = shutdown(listener, Int32(SHUT_RDWR))
            client.withLock { if $0 >= 0 { _ = shutdown($0, Int32(SHUT_RDWR)) } }
        }
    }
}

/// A client as a scripted server sees it: frames in, frames out, nothing held back and nothing checked.
public struct HTTP2Peer: Sendable {
    let descriptor: Int32
    let tls: TLSServerSession?
    private let decoder = HeaderDecoder()

    init(descriptor: Int32, tls: TLSServerSession?, isLetIn: Bool) {
        self.descriptor = descriptor
        self.tls = tls
        self.isLetIn = isLetIn
    }

    /// Whether the handshake of TLS went well; always without TLS.
    ///
    /// Nothing can be said to a client otherwise.
    public let isLetIn: Bool

    /// A frame.
    public struct Frame: Sendable {
        /// 0 DATA, 1 HEADERS, 3 RST_STREAM, 4 SETTINGS, 7 GOAWAY, 8 WINDOW_UPDATE.
        public var type: UInt8
        /// 1 END_STREAM or ACK, 4 END_HEADERS.
        public var flags: UInt8
        /// The stream; 0 is the connection.
        public var stream: UInt32
        /// What it holds.
        public var payload: [UInt8]

        /// A frame made of its parts.
        public init(type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, payload: [UInt8] = []) {
            self.type = type
            self.flags = flags
            self.stream = stream
            self.payload = payload
        }

        /// As it goes over the wire.
        public var bytes: [UInt8] {
            let length = UInt32(payload.count)
            return [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), type, flags]
                + HTTP2Peer.bigEndian(stream) + payload
        }

        /// HEADERS, the fields written out in full.
        public static func headers(_ fields: [(String, String)], stream: UInt32 = 1, isLast: Bool = false) -> Frame {
            let block = fields.flatMap { name, value -> [UInt8] in [0] + text(name) + text(value) }
            return Frame(type: 1, flags: isLast ? 5 : 4, stream: stream, payload: block)
        }

        /// HEADERS as a gRPC server sends them first.
        public static func grpcHeaders(stream: UInt32 = 1) -> Frame {
            headers([(":status", "200"), ("content-type", "application/grpc")], stream: stream)
        }

        /// HEADERS as a gRPC server sends them last.
        public static func trailers(status: Int, message: String? = nil, stream: UInt32 = 1) -> Frame {
            headers(
                [("grpc-status", "\(status)")] + (message.map { [("grpc-message", $0)] } ?? []),
                stream: stream,
                isLast: true
            )
        }

        /// DATA.
        public static func data(_ bytes: [UInt8], stream: UInt32 = 1, isLast: Bool = false) -> Frame {
            Frame(type: 0, flags: isLast ? 1 : 0, stream: stream, payload: bytes)
        }

        /// SETTINGS without any, and the acknowledgement of the client's.
        public static let settings = [Frame(type: 4), Frame(type: 4, flags: 1)]

        /// RST_STREAM.
        public static func reset(code: UInt32, stream: UInt32 = 1) -> Frame {
            Frame(type: 3, stream: stream, payload: HTTP2Peer.bigEndian(code))
        }

        /// GOAWAY.
        public static func goaway(lastStream: UInt32, code: UInt32, text: String = "") -> Frame {
            Frame(type: 7, payload: HTTP2Peer.bigEndian(lastStream) + HTTP2Peer.bigEndian(code) + text.utf8)
        }

        private static func text(_ text: String) -> [UInt8] {
            let bytes = Array(text.utf8)
            guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
            var rest = bytes.count - 127
            var length: [UInt8] = [127]
            while rest >= 128 {
                length.append(UInt8(rest % 128 + 128))
                rest /= 128
            }
            return length + [UInt8(rest)] + bytes
        }
    }

    /// A gRPC message with its prefix of five bytes.
    public static func message(_ bytes: [UInt8]) -> [UInt8] {
        [0] + bigEndian(UInt32(bytes.count)) + bytes
    }

    /// Sends bytes as they are.
    public func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { bytes in
                tls?.write(bytes) ?? Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Errno(rawValue: errno) }
            rest = rest.dropFirst(count)
        }
    }

    /// Sends frames, all at once.
    public func send(_ frames: Frame...) throws {
        try send(frames.flatMap(\.bytes))
    }

    /// Sends bytes as DATA, in frames as large as any client takes (16 KiB).
    public func sendData(_ bytes: [UInt8], stream: UInt32 = 1) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            try send(.data(Array(rest.prefix(16_384)), stream: stream))
            rest = rest.dropFirst(16_384)
        }
    }

    /// Reads the client's preface and its frames up to the end of the next request; sends SETTINGS before the first.
    /// - Returns: the request's stream and body.
    /// - Throws: ``RefusedContentType``, which hangs up on the client unless the script catches it.
    public func readRequest(isFirst: Bool = true) throws -> (stream: UInt32, body: [UInt8]) {
        let (stream, _, body) = try readRequestWithFields(isFirst: isFirst)
        return (stream, body)
    }

    /// Reads the next request with its header fields; sends SETTINGS before the first.
    /// - Throws: ``RefusedContentType``, which hangs up on the client unless the script catches it.
    public func readRequestWithFields(
        isFirst: Bool
    ) throws -> (stream: UInt32, fields: [(name: String, value: String)], body: [UInt8]) {
        if isFirst {
            _ = try read(24)
            try send(Frame.settings.flatMap(\.bytes))
        }
        var fields: [(name: String, value: String)] = []
        var body = [UInt8]()
        while true {
            let frame = try readFrame()
            if frame.type == 1 {
                fields += decoder.fields(in: frame.payload)
                try RefusedContentType.check(fields)
            }
            if frame.type == 0 { body += frame.payload }
            if frame.type <= 1, frame.flags & 1 != 0 { return (frame.stream, fields, body) }
        }
    }

    /// Reads one frame.
    public func readFrame() throws -> Frame {
        let head = try read(9)
        let payload = try read(Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2]))
        return Frame(
            type: head[3],
            flags: head[4],
            stream: head[5...].reduce(0) { $0 << 8 | UInt32($1) },
            payload: payload
        )
    }

    /// Has the connection end with a reset when the script is over: what the client sent and nobody read is lost, and
    /// what it has not read yet may be.
    public func resetAtEnd() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    /// Says that nothing more comes, and reads until the client has hung up.
    public func hangUp() {
        _ = shutdown(descriptor, Int32(SHUT_WR))
        wait()
    }

    /// Waits until the client has sent something that nobody reads.
    public func waitForUnread() {
        var byte: UInt8 = 0
        _ = recv(descriptor, &byte, 1, Int32(MSG_PEEK))
    }

    /// Reads, and says nothing, until the client has hung up.
    public func wait() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while recv(descriptor, &buffer, buffer.count, 0) > 0 {}
    }

    /// Reads so many bytes.
    public func read(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes { bytes in
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
                return tls?.read(rest) ?? recv(descriptor, rest.baseAddress, rest.count, 0)
            }
            guard got > 0 else { throw Errno(rawValue: got == 0 ? EPIPE : errno) }
            done += got
        }
        return bytes
    }

    static func bigEndian(_ number: UInt32) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }
}

/// A gRPC call whose `content-type` is another than exactly `application/grpc`.
///
/// CRI-O's multiplexer (cmux) compares the whole value and hangs up; every server here does, so that no test passes with
/// a client that real CRI-O does not understand.
struct RefusedContentType: Error {
    let value: String?

    static func check(_ fields: [(name: String, value: String)]) throws(RefusedContentType) {
        func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        let type = value("content-type")
        // gRPC clients say that they take trailers; plain requests do not.
        guard value("te") == "trailers" || type?.hasPrefix("application/grpc") == true else { return }
        guard type == "application/grpc" else { throw RefusedContentType(value: type) }
    }
}
