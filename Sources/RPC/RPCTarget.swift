internal import Glibc
public import SystemPackage

/// Where a server listens, and how both sides prove who they are.
public enum RPCTarget: Sendable, Hashable {
    /// TCP.
    ///
    /// `host` is a numeric address (an IPv6 address without brackets) or a host name. Numeric addresses and
    /// `localhost` are not looked up anywhere; every other name goes through the C library, which in a statically
    /// linked program works only where the same glibc is installed. Without `tls` everything is readable on the wire.
    case tcp(host: String, port: UInt16, tls: TLSFiles?)

    /// A Unix socket, plain: the file's mode is what protects it.
    case unix(FilePath)

    /// What TLS needs: whom to trust, and who we are.
    public struct TLSFiles: Sendable, Hashable {
        /// Certificates of the authorities that may have signed the server's certificate.
        public var authority: PEM
        /// Our certificate with its chain behind it, and our private key (PKCS#8, PKCS#1 or SEC1, not encrypted);
        /// `nil` shows the server none.
        public var identity: Identity?
        /// The name or address that the server's certificate has to be for; `nil` for the host that is called.
        public var serverName: String?

        /// Trust `authority`, and show `identity` when the server asks who we are.
        public init(authority: PEM, identity: Identity?, serverName: String? = nil) {
            self.authority = authority
            self.identity = identity
            self.serverName = serverName
        }

        /// The same with a file; its path is opened as it is.
        public init(authority: FilePath, identity: Identity?) {
            self.init(authority: PEM(authority), identity: identity)
        }

        /// The two things that prove who we are.
        public struct Identity: Sendable, Hashable {
            /// Our certificate, its chain behind it.
            public var certificate: PEM
            /// Our private key; nothing of what is in it ever reaches a message.
            public var key: PEM

            /// A certificate and its key.
            public init(certificate: PEM, key: PEM) {
                self.certificate = certificate
                self.key = key
            }

            /// Two files; their paths are opened as they are.
            public init(certificate: FilePath, key: FilePath) {
                self.init(certificate: PEM(certificate), key: PEM(key))
            }
        }
    }
}

extension RPCTarget: CustomStringConvertible {
    /// As a URL: `https://127.0.0.1:2379`, `http://[::1]:80`, `unix:///run/containerd/containerd.sock`.
    public var description: String {
        switch self {
        case .tcp(_, _, let tls): "\(tls == nil ? "http" : "https")://\(authority)"
        case .unix(let path): "unix://\(path)"
        }
    }

    /// The value of `:authority`; a Unix socket has no name of its own, and `localhost` is what servers expect there.
    var authority: String {
        switch self {
        case .tcp(let host, let port, _): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        case .unix: "localhost"
        }
    }

    /// `http` or `https`.
    var scheme: String {
        if case .tcp(_, _, .some) = self { "https" } else { "http" }
    }
}

extension RPCTarget {
    /// Whether the kernel refuses connections to a Unix socket: a server that is gone has left its file.
    public static func refusesConnections(at path: FilePath) -> Bool {
        // ignored: a path that no socket can have is for the call to report
        guard let address = try? SocketAddress.all(of: .unix(path)).first else { return false }
        let flags = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(address.family, flags, 0)
        guard descriptor >= 0 else { return false }
        defer { _ = close(descriptor) }
        return address.withSockAddr { connect(descriptor, $0, $1) } != 0 && errno == ECONNREFUSED
    }
}

/// How long a call may take, and how much may come back.
public struct RPCLimits: Sendable, Hashable {
    /// The whole call, connecting included; `nil` for as long as it makes progress.
    ///
    /// The server is told (`grpc-timeout`).
    public var total: Duration?
    /// How long a connection may take until both sides have proved who they are.
    public var connect: Duration
    /// How long nothing of the answer may arrive while we wait for it.
    ///
    /// Time that the consumer takes does not count.
    public var stall: Duration
    /// The largest message, in bytes; for a plain request the largest body.
    public var messageBytes: Int

    /// Limits; what is left out has a value that suits a server on the same machine.
    public init(
        total: Duration? = nil,
        connect: Duration = .seconds(10),
        stall: Duration = .seconds(30),
        messageBytes: Int = 4 << 20
    ) {
        self.total = total
        self.connect = connect
        self.stall = stall
        self.messageBytes = messageBytes
    }
}
