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

        try Self.load(files.authority, target) { SSL_CTX_load_verify_file(raw, $0) }
        guard let identity = files.identity else { return }
        try Self.load(identity.certificate, target) { SSL_CTX_use_certificate_chain_file(raw, $0) }
        // OpenSSL's own question for a passphrase would go to the terminal and wait there.
        var isEncrypted = false
        try withUnsafeMutablePointer(to: &isEncrypted) { flag throws(RPCError) in
            SSL_CTX_set_default_passwd_cb(raw) { _, _, _, flag in
                flag?.assumingMemoryBound(to: Bool.self).pointee = true
                return -1
            }
            SSL_CTX_set_default_passwd_cb_userdata(raw, flag)
            defer { SSL_CTX_set_default_passwd_cb_userdata(raw, nil) }
            try Self.load(identity.key, target) { path in
                let result = SSL_CTX_use_PrivateKey_file(raw, path, SSL_FILETYPE_PEM)
                // A key of another kind or another pair than the certificate's.
                if result != 1, TLSReason.peek().isKeyMismatch { return -2 }
                return flag.pointee ? -1 : result
            } refused: { result, reason in
                switch result {
                case -1: .keyEncrypted(identity.key)
                case -2: .keyMismatch(certificate: identity.certificate, key: identity.key)
                default: .fileUnusable(identity.key, reason: reason)
                }
            }
        }
    }

    deinit {
        SSL_CTX_free(raw)
    }

    /// The last day of our own certificate when it is over.
    var ownExpiry: String? {
        guard let own = SSL_CTX_get0_certificate(raw), let end = X509_get0_notAfter(own),
            X509_cmp_current_time(end) < 0
        else { return nil }
        return CertificateText.date(end)
    }

    private static func load(
        _ path: FilePath,
        _ target: RPCTarget,
        _ body: (UnsafePointer<CChar>) -> Int32,
        refused: ((Int32, String) -> RPCError.Fault)? = nil
    ) throws(RPCError) {
        // OpenSSL's error for a file that cannot be opened has no errno that one could rely on.
        do { try FileDescriptor.open(path, .readOnly).close() } catch let error as Errno {
            throw RPCError(target, .fileUnreadable(path, errno: error.rawValue))
        } catch {
            throw RPCError(target, .fileUnreadable(path, errno: EIO))
        }
        ERR_clear_error()
        let result = path.withPlatformString(body)
        guard result != 1 else { return }
        let reason = TLSReason.take().text
        throw RPCError(target, refused?(result, reason) ?? .fileUnusable(path, reason: reason))
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
