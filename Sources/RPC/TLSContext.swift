import CTLS
import Glibc
import SystemPackage

/// What one side brings to TLS: whom it trusts and who it is, read from the files once.
final class TLSContext {
    /// `SSL_CTX *`, owned.
    let raw: OpaquePointer
    let files: RPCTarget.TLSFiles

    /// Reads the files.
    init(files: RPCTarget.TLSFiles, target: RPCTarget) throws(RPCError) {
        guard let raw = SSL_CTX_new(TLS_client_method()) else {
            throw RPCError(target, .tlsFailed(reason: TLSReason.take().text))
        }
        self.raw = raw
        self.files = files
        _ = CTLS_set_min_version(raw, CTLS_TLS1_2_VERSION)
        _ = CTLS_set_mode(raw, CTLS_MODE_PARTIAL_WRITE)
        // Fewer system calls: a read takes what the socket has, not one record's header and then its body.
        CTLS_set_read_ahead(raw)
        SSL_CTX_set_default_read_buffer_len(raw, 64 << 10)
        // Every certificate of the file is trusted by itself, an intermediate authority's too, as etcd's own tools do.
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), UInt(X509_V_FLAG_PARTIAL_CHAIN))

        try loadAuthorities(files.authority, target)
        guard let identity = files.identity else { return }
        try loadCertificates(identity.certificate, target)
        try loadKey(identity.key, of: identity.certificate, target)
    }

    deinit {
        SSL_CTX_free(raw)
    }

    /// What is wrong with our own certificate as far as we can tell: its time.
    var ownFlaw: RPCError.CertificateFlaw? {
        guard let own = SSL_CTX_get0_certificate(raw) else { return nil }
        if let end = X509_get0_notAfter(own), X509_cmp_current_time(end) < 0 {
            return .expired(CertificateText.date(end))
        }
        if let start = X509_get0_notBefore(own), X509_cmp_current_time(start) > 0 {
            return .notYetValid(CertificateText.date(start))
        }
        return nil
    }

    // MARK: - PEM

    private func loadAuthorities(_ pem: PEM, _ target: RPCTarget) throws(RPCError) {
        let store = SSL_CTX_get_cert_store(raw)
        try Self.certificates(pem, target) { certificate, _ in X509_STORE_add_cert(store, certificate) }
    }

    /// The first certificate is ours, the others are those that lead to its authority.
    private func loadCertificates(_ pem: PEM, _ target: RPCTarget) throws(RPCError) {
        let raw = raw
        try Self.certificates(pem, target) { certificate, index in
            index == 0 ? SSL_CTX_use_certificate(raw, certificate) : Int32(CTLS_add_chain_certificate(raw, certificate))
        }
    }

    private func loadKey(_ pem: PEM, of certificate: PEM, _ target: RPCTarget) throws(RPCError) {
        let memory = try Self.memory(of: pem, target)
        defer { BIO_free(memory) }
        // OpenSSL's own question for a passphrase would go to the terminal and wait there.
        var isEncrypted = false
        let key = PEM_read_bio_PrivateKey(
            memory,
            nil,
            { _, _, _, flag in
                flag?.assumingMemoryBound(to: Bool.self).pointee = true
                return -1
            },
            &isEncrypted
        )
        guard let key else {
            let reason = TLSReason.take().text
            throw RPCError(target, isEncrypted ? .keyEncrypted(pem.path) : .fileUnusable(pem.path, reason: reason))
        }
        defer { EVP_PKEY_free(key) }
        guard SSL_CTX_use_PrivateKey(raw, key) != 1 else { return }
        let reason = TLSReason.take()
        // A key of another kind or another pair than the certificate's.
        throw RPCError(
            target,
            reason.isKeyMismatch
                ? .keyMismatch(certificate: certificate.path, key: pem.path)
                : .fileUnusable(pem.path, reason: reason.text)
        )
    }

    /// Hands out every certificate of a text with its number from 0 on; none at all is an error.
    private static func certificates(
        _ pem: PEM,
        _ target: RPCTarget,
        _ take: (OpaquePointer, Int) -> Int32
    ) throws(RPCError) {
        let memory = try memory(of: pem, target)
        defer { BIO_free(memory) }
        var count = 0
        while let certificate = PEM_read_bio_X509_AUX(memory, nil, nil, nil) {
            defer { X509_free(certificate) }
            guard take(certificate, count) == 1 else {
                throw RPCError(target, .fileUnusable(pem.path, reason: TLSReason.take().text))
            }
            count += 1
        }
        let end = TLSReason.take()
        guard count > 0, end.isNoStartLine else { throw RPCError(target, .fileUnusable(pem.path, reason: end.text)) }
    }

    private static func memory(of pem: PEM, _ target: RPCTarget) throws(RPCError) -> OpaquePointer {
        let bytes = try pem.read(for: target)
        ERR_clear_error()
        guard let memory = BIO_new(BIO_s_mem()) else {
            throw RPCError(target, .tlsFailed(reason: TLSReason.take().text))
        }
        // a text of nothing has no address, and nothing to write
        _ = BIO_write(memory, bytes, Int32(bytes.count))
        return memory
    }
}

/// An entry of OpenSSL's error queue.
struct TLSReason {
    let code: UInt

    /// The oldest entry, which is the cause; empties the queue.
    static func take() -> TLSReason {
        defer { ERR_clear_error() }
        return peek()
    }

    static func peek() -> TLSReason {
        TLSReason(code: ERR_peek_error())
    }

    /// OpenSSL's words: `wrong version number`.
    var text: String {
        guard code != 0 else { return "no reason given" }
        return ERR_reason_error_string(code).map { String(cString: $0) } ?? "OpenSSL error \(code)"
    }

    var isKeyMismatch: Bool {
        ERR_GET_LIB(code) == ERR_LIB_X509
            && [X509_R_KEY_VALUES_MISMATCH, X509_R_KEY_TYPE_MISMATCH].contains(ERR_GET_REASON(code))
    }

    /// Whether there was simply no further PEM block.
    var isNoStartLine: Bool {
        ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE
    }

    var isUnexpectedEnd: Bool {
        ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING
    }

    /// The number of the alert (RFC 8446, section 6) that the other side sent; `nil` for our own errors.
    var alert: Int32? {
        guard ERR_GET_LIB(code) == ERR_LIB_SSL else { return nil }
        let reason = ERR_GET_REASON(code)
        return (SSL_AD_REASON_OFFSET...SSL_AD_REASON_OFFSET + 255).contains(reason)
            ? reason - SSL_AD_REASON_OFFSET : nil
    }
}
