import CTLS
import Glibc
import SystemPackage

/// TLS over one socket, as a client: at least 1.2, HTTP/2 by ALPN, the server's certificate checked against the
/// authorities and the called name.
final class TLSSession {
    private let target: RPCTarget
    private let ownCertificate: FilePath?
    private let ownFlaw: RPCError.CertificateFlaw?
    private let ssl: OpaquePointer
    private let method: OpaquePointer
    private let distrust: DistrustRecord
    /// Whether the server has asked who we are.
    private let wasAsked: UnsafeMutablePointer<Bool>
    /// Whether a byte of the server's has arrived that was not of TLS itself.
    private var hasAnswered = false

    /// Prepares the session; nothing is sent yet.
    ///
    /// `descriptor` stays the caller's and must outlive the session.
    init(context: TLSContext, descriptor: Int32, host: String, target: RPCTarget) throws(RPCError) {
        guard let ssl = SSL_new(context.raw), let method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket") else {
            throw RPCError(target, .tlsFailed(reason: TLSReason.take().text))
        }
        self.ssl = ssl
        self.method = method
        self.target = target
        ownCertificate = context.files.identity?.certificate.path
        ownFlaw = context.ownFlaw
        distrust = DistrustRecord(authority: context.files.authority.path)
        wasAsked = .allocate(capacity: 1)
        wasAsked.initialize(to: false)
        try useSocket(descriptor)

        _ = [UInt8]("\u{2}h2".utf8).withUnsafeBufferPointer {
            SSL_set_alpn_protos(ssl, $0.baseAddress, UInt32($0.count))
        }
        let checks = SSL_get0_param(ssl)
        // As Go does, and unlike OpenSSL by default: the subject's CN is not a host name, `a*.example` not a pattern.
        X509_VERIFY_PARAM_set_hostflags(
            checks,
            UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
        )
        let isNumeric = SocketAddress.isNumeric(host)
        if !isNumeric { _ = CTLS_set_host_name(ssl, host) }
        let isSet =
            isNumeric ? X509_VERIFY_PARAM_set1_ip_asc(checks, host) : X509_VERIFY_PARAM_set1_host(checks, host, 0)
        // Without a name to check, every certificate of the authority would do.
        guard isSet == 1 else {
            throw RPCError(target, .tlsFailed(reason: "'\(host)' cannot be checked as a host name"))
        }
        SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(distrust).toOpaque())
        SSL_set_verify(ssl, SSL_VERIFY_PEER, DistrustRecord.callback)
        SSL_set_cert_cb(
            ssl,
            { _, request in
                request?.assumingMemoryBound(to: Bool.self).pointee = true
                return 1
            },
            wasAsked
        )
    }

    deinit {
        SSL_free(ssl)
        BIO_meth_free(method)
        wasAsked.deallocate()
    }

    /// Goes on with the handshake.
    /// - Returns: the `poll(2)` events that it waits for; `nil` when it is done.
    func handshake() throws(RPCError) -> Int16? {
        ERR_clear_error()
        let result = SSL_connect(ssl)
        if result != 1 {
            let outcome: Wire.Outcome
            do { outcome = try self.outcome(of: result, bytes: 0) } catch {
                // With TLS 1.2 the server looks at our certificate before the handshake is over.
                if error.fault == .connectionLost(errno: ECONNRESET), let hangUp { throw RPCError(target, hangUp) }
                throw error
            }
            if case .blocked(let events) = outcome { return events }
            throw RPCError(target, hangUp ?? .tlsFailed(reason: "the server closed the connection in the handshake"))
        }
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        guard UnsafeBufferPointer(start: name, count: Int(length)).elementsEqual("h2".utf8) else {
            throw RPCError(target, .http2Refused)
        }
        return nil
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(RPCError) -> Wire.Outcome {
        var count = 0
        ERR_clear_error()
        let outcome: Wire.Outcome
        do {
            outcome = try self.outcome(of: SSL_read_ex(ssl, buffer.baseAddress, buffer.count, &count), bytes: count)
        } catch {
            if case .connectionLost = error.fault, let hangUp { throw RPCError(target, hangUp) }
            throw error
        }
        switch outcome {
        case .bytes: hasAnswered = true
        case .end: if let hangUp { throw RPCError(target, hangUp) }
        case .blocked: break
        }
        return outcome
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(RPCError) -> Wire.Outcome {
        var count = 0
        ERR_clear_error()
        return try outcome(of: SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count), bytes: count)
    }

    /// Tells the other side that nothing more comes; does not wait for an answer.
    func sayGoodbye() {
        // ignored: the connection is given up, and whether the other side has heard of it changes nothing
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    private func outcome(of result: Int32, bytes: Int) throws(RPCError) -> Wire.Outcome {
        if result > 0 { return .bytes(bytes) }
        let errno = errno
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .blocked(Int16(POLLIN))
        case SSL_ERROR_WANT_WRITE: return .blocked(Int16(POLLOUT))
        case SSL_ERROR_ZERO_RETURN: return .end
        case SSL_ERROR_SYSCALL:
            ERR_clear_error()
            guard errno != 0 else { return .end }
            throw RPCError(target, .connectionLost(errno: errno))
        default:
            let reason = TLSReason.take()
            // The end without a farewell: HTTP/2 knows by itself whether the answer was whole.
            if reason.isUnexpectedEnd { return .end }
            throw RPCError(target, fault(of: reason))
        }
    }

    /// The fault when the server ends the connection now: as long as it has not answered, our certificate is the
    /// likely reason; `nil` when it is not.
    ///
    /// With TLS 1.3 the handshake is over for us before the server has looked at our certificate, and its alert is
    /// lost when it hangs up with bytes of ours unread, as the network's reset overtakes it.
    private var hangUp: RPCError.Fault? {
        guard wasAsked.pointee, !hasAnswered, ownCertificate != nil else { return nil }
        return .certificateRefused(alert: nil, ours: ownCertificate, flaw: ownFlaw)
    }

    private func fault(of reason: TLSReason) -> RPCError.Fault {
        if let distrust = distrust.distrust { return .serverNotTrusted(distrust) }
        guard let alert = reason.alert else { return .tlsFailed(reason: reason.text) }
        let name = SSL_alert_desc_string_long(alert).map { String(cString: $0) } ?? "alert \(alert)"
        switch alert {
        case SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED,
            SSL_AD_CERTIFICATE_EXPIRED, SSL_AD_CERTIFICATE_UNKNOWN, SSL_AD_UNKNOWN_CA, SSL_AD_ACCESS_DENIED,
            SSL_AD_CERTIFICATE_REQUIRED:
            return .certificateRefused(alert: name, ours: ownCertificate, flaw: ownFlaw)
        case SSL_AD_NO_APPLICATION_PROTOCOL: return .http2Refused
        default: return .tlsFailed(reason: "the server sent the alert '\(name)'")
        }
    }

    /// Gives OpenSSL the socket through calls of our own: its socket BIO writes with `write(2)`, which ends the
    /// process by SIGPIPE when the server has gone.
    private func useSocket(_ descriptor: Int32) throws(RPCError) {
        BIO_meth_set_create(method) { bio in
            BIO_set_init(bio, 1)
            return 1
        }
        BIO_meth_set_read(method) { bio, buffer, length in
            let descriptor = Int32(Int(bitPattern: BIO_get_data(bio)))
            CTLS_BIO_clear_retry(bio)
            while true {
                let count = recv(descriptor, buffer, Int(length), 0)
                if count >= 0 {
                    if count == 0 { errno = 0 }
                    return Int32(count)
                }
                if errno == EAGAIN { CTLS_BIO_retry(bio, 1) }
                if errno != EINTR { return -1 }
            }
        }
        BIO_meth_set_write(method) { bio, bytes, length in
            let descriptor = Int32(Int(bitPattern: BIO_get_data(bio)))
            CTLS_BIO_clear_retry(bio)
            while true {
                let count = send(descriptor, bytes, Int(length), Int32(MSG_NOSIGNAL))
                if count >= 0 { return Int32(count) }
                if errno == EAGAIN { CTLS_BIO_retry(bio, 0) }
                if errno != EINTR { return -1 }
            }
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        guard let bio = BIO_new(method) else { throw RPCError(target, .tlsFailed(reason: TLSReason.take().text)) }
        BIO_set_data(bio, UnsafeMutableRawPointer(bitPattern: Int(descriptor)))
        SSL_set_bio(ssl, bio, bio)
    }
}

/// Keeps why a certificate was not trusted; the names and dates are at hand only inside OpenSSL's callback.
private final class DistrustRecord {
    var distrust: RPCError.Distrust?
    let authority: FilePath

    init(authority: FilePath) {
        self.authority = authority
    }

    static let callback: @convention(c) (Int32, OpaquePointer?) -> Int32 = { isGood, store in
        guard isGood != 1, let store,
            let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let record = SSL_get_ex_data(OpaquePointer(ssl), 0)
        else { return isGood }
        Unmanaged<DistrustRecord>.fromOpaque(record).takeUnretainedValue().note(store)
        return 0
    }

    private func note(_ store: OpaquePointer) {
        let code = X509_STORE_CTX_get_error(store)
        let other = String(cString: X509_verify_cert_error_string(Int(code)))
        guard let certificate = X509_STORE_CTX_get_current_cert(store) else {
            distrust = .other(reason: other)
            return
        }
        let subject = CertificateText.name(X509_get_subject_name(certificate))
        switch code {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_SIGNATURE_FAILURE:
            let issuer = CertificateText.name(X509_get_issuer_name(certificate))
            distrust = .unknownAuthority(issuer: issuer, authority: authority)
        case X509_V_ERR_CERT_HAS_EXPIRED:
            distrust = .expired(subject: subject, since: CertificateText.date(X509_get0_notAfter(certificate)))
        case X509_V_ERR_CERT_NOT_YET_VALID:
            distrust = .notYetValid(subject: subject, until: CertificateText.date(X509_get0_notBefore(certificate)))
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            distrust = .nameMismatch(names: CertificateText.alternativeNames(certificate))
        default:
            distrust = .other(reason: "the certificate of '\(subject)': \(other)")
        }
    }
}
