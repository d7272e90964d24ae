internal import Glibc
public import Reporting
public import SystemPackage

/// A call that did not succeed: which server, and what went wrong.
public struct RPCError: OperatorError, Equatable {
    /// The server.
    public let target: RPCTarget
    /// What went wrong.
    public let fault: Fault

    /// What can go wrong with a call, from the first file that is opened to the status at its end.
    public enum Fault: Sendable, Hashable {
        /// The name has no address; the resolver's own words.
        case noAddress(reason: String)
        /// No connection, by the system's error: refused, unreachable …
        case connectFailed(errno: Int32)
        /// No connection (TLS included) within the limit.
        case connectTimedOut(Duration)
        /// There is no socket file.
        case socketMissing
        /// The path does not fit into a socket address (107 bytes).
        case socketPathTooLong

        /// A PEM file cannot be read.
        case fileUnreadable(FilePath, errno: Int32)
        /// A PEM file holds no usable certificates or key; OpenSSL's reason, nothing of the content.
        case fileUnusable(FilePath, reason: String)
        /// The private key is encrypted, and nobody is there to type a passphrase.
        case keyEncrypted(FilePath)
        /// The private key does not belong to the certificate.
        case keyMismatch(certificate: FilePath, key: FilePath)

        /// We do not trust the server's certificate.
        case serverNotTrusted(Distrust)
        /// The server does not accept our certificate, or wants one and got none.
        ///
        /// `alert` is the name of what it said; `nil` when it hung up without a word before it answered anything, and
        /// the certificate is the likely reason. `ours` is what we showed, `nil` for none; `flaw` what is wrong with
        /// its time.
        case certificateRefused(alert: String?, ours: FilePath?, flaw: CertificateFlaw?)
        /// The server does not speak HTTP/2.
        case http2Refused
        /// TLS failed in another way; OpenSSL's reason.
        case tlsFailed(reason: String)

        /// No byte of the answer arrived for so long.
        case stalled(Duration)
        /// The call was not done within its limit.
        case deadline(Duration)
        /// The server ended the stream or the connection before the answer was whole; its reason when it gave one.
        case cut(reason: String?)
        /// The connection broke.
        case connectionLost(errno: Int32)
        /// The call came to its end with a status other than OK.
        case status(GRPCStatus)
        /// The answer is not gRPC: an HTTP status instead.
        case httpStatus(Int)
        /// A message or a body larger than the limit.
        case messageTooLarge(bytes: Int, limit: Int)
        /// The server broke the rules of HTTP/2 or gRPC.
        case violation(String)
    }

    /// What is wrong with our own certificate.
    public enum CertificateFlaw: Sendable, Hashable {
        /// It is no longer valid since this moment.
        case expired(String)
        /// It is not valid before this moment.
        case notYetValid(String)

        var text: String {
            switch self {
            case .expired(let date): "it expired on \(date)"
            case .notYetValid(let date): "it is not valid before \(date)"
            }
        }
    }

    /// Why a server's certificate is not trusted.
    public enum Distrust: Sendable, Hashable {
        /// No authority that we trust has signed it; `issuer` as the certificate names it.
        case unknownAuthority(issuer: String, authority: FilePath)
        /// It, or one above it, is no longer valid.
        case expired(subject: String, since: String)
        /// It, or one above it, is not valid yet.
        case notYetValid(subject: String, until: String)
        /// It is for other names or addresses than the one that was called; `names` is all that it is for.
        case nameMismatch(names: [String])
        /// Another reason, in OpenSSL's words.
        case other(reason: String)
    }

    /// Whether no server is behind a Unix socket: there is no socket file, or one that a server which is gone left.
    ///
    /// A server that was killed, or that ends in its start, leaves its socket file, and the kernel refuses every
    /// connection to it.
    public var isServerMissing: Bool {
        switch (target, fault) {
        case (.unix, .socketMissing), (.unix, .connectFailed(ECONNREFUSED)): true
        default: false
        }
    }

    /// A fault of a call to `target`.
    public init(_ target: RPCTarget, _ fault: Fault) {
        self.target = target
        self.fault = fault
    }

    /// The server, and what is wrong.
    public var summary: String {
        switch fault {
        case .noAddress(let reason): "'\(target)' has no address: \(reason)"
        case .connectFailed(let errno): "cannot connect to '\(target)': \(Self.text(errno))"
        case .connectTimedOut(let limit): "cannot connect to '\(target)' within \(limit.operatorText)"
        case .socketMissing: "cannot connect to '\(target)': the socket does not exist"
        case .socketPathTooLong: "cannot connect to '\(target)': the path is longer than a socket's may be (107 bytes)"
        case .fileUnreadable(let path, let errno): "cannot read '\(path)' for '\(target)': \(Self.text(errno))"
        case .fileUnusable(let path, let reason): "cannot use '\(path)' for '\(target)': \(reason)"
        case .keyEncrypted(let path): "cannot use '\(path)' for '\(target)': the private key is encrypted"
        case .keyMismatch(let certificate, let key):
            "cannot use '\(key)' for '\(target)': it is not the key of '\(certificate)'"
        case .serverNotTrusted(let distrust): "the certificate of '\(target)' is not trusted: \(distrust.text)"
        case .certificateRefused(.some(let alert), .some(let ours), let flaw):
            "'\(target)' refused our certificate '\(ours)' (\(alert))" + (flaw.map { ": \($0.text)" } ?? "")
        case .certificateRefused(nil, .some(let ours), let flaw):
            "'\(target)' closed the connection after seeing our certificate '\(ours)': "
                + (flaw?.text ?? "it probably refused it")
        case .certificateRefused(let alert, nil, _):
            "'\(target)' wants a client certificate, and none was shown (\(alert ?? "it closed the connection"))"
        case .http2Refused: "'\(target)' does not speak HTTP/2 (no ALPN 'h2')"
        case .tlsFailed(let reason): "TLS with '\(target)' failed: \(reason)"
        case .stalled(let limit): "'\(target)' went silent: no byte of the answer for \(limit.operatorText)"
        case .deadline(let limit): "'\(target)' did not finish the call within \(limit.operatorText)"
        case .cut(.some(let reason)): "'\(target)' ended the call before the answer was whole: \(reason)"
        case .cut(nil): "'\(target)' closed the connection before the answer was whole"
        case .connectionLost(let errno): "the connection to '\(target)' broke: \(Self.text(errno))"
        case .status(let status) where status.message.isEmpty: "'\(target)' refused the call: \(status.name)"
        case .status(let status): "'\(target)' refused the call: \(status.name): \(status.message)"
        case .httpStatus(let code): "'\(target)' answered with HTTP status \(code) instead of gRPC"
        case .messageTooLarge(let bytes, let limit):
            "'\(target)' sent \(ByteCount(Int64(bytes))) in one message; at most \(ByteCount(Int64(limit))) are taken"
        case .violation(let what): "'\(target)' broke the protocol: \(what)"
        }
    }

    /// What to look at, as far as the fault tells.
    public var hint: String? {
        switch fault {
        case .connectFailed, .socketMissing: "check whether the server is running: ss -ltnx"
        case .fileUnusable(let path, _): "check what is in it: head -n 1 '\(path)'"
        case .keyEncrypted(let path): "store the key without a passphrase: openssl pkey -in '\(path)' -out NEW"
        case .keyMismatch(let certificate, _):
            "compare the public keys: openssl x509 -in '\(certificate)' -noout -pubkey"
        case .serverNotTrusted(.unknownAuthority(_, let authority)):
            "check which authority the file holds: openssl x509 -in '\(authority)' -noout -subject -dates"
        case .serverNotTrusted(.expired), .serverNotTrusted(.notYetValid):
            "compare with the node's clock ('date -u'); renew the server's certificate if the clock is right"
        case .serverNotTrusted(.nameMismatch(let names)):
            names.isEmpty ? nil : "call the server by a name that its certificate has: \(names.joined(separator: ", "))"
        case .certificateRefused(_, .some(let ours), _):
            "check who signed it and until when it is valid: openssl x509 -in '\(ours)' -noout -issuer -dates -purpose"
        default: nil
        }
    }

    /// 69 for a server that does not serve us; 66, 77, 78 for our own files.
    public var exitStatus: ExitStatus {
        switch fault {
        case .fileUnreadable(_, let errno): errno == EACCES || errno == EPERM ? .noPermission : .noInput
        case .fileUnusable, .keyEncrypted, .keyMismatch, .socketPathTooLong: .config
        default: .unavailable
        }
    }

    private static func text(_ errno: Int32) -> String {
        Errno(rawValue: errno).description
    }
}

extension RPCError.Distrust {
    fileprivate var text: String {
        switch self {
        case .unknownAuthority(let issuer, let authority): "signed by '\(issuer)', which is not in '\(authority)'"
        case .expired(let subject, let since): "the certificate of '\(subject)' expired on \(since)"
        case .notYetValid(let subject, let until): "the certificate of '\(subject)' is not valid before \(until)"
        case .nameMismatch(let names) where names.isEmpty: "it names neither hosts nor addresses"
        case .nameMismatch(let names): "it is for \(names.joined(separator: ", ")) only"
        case .other(let reason): reason
        }
    }
}
