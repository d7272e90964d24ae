import CTLS
import Glibc
import SystemPackage

/// The TLS side of a ``ScriptedServer``: HTTP/2 by ALPN, and nothing checked but what a test is about.
final class TLSServerContext: Sendable {
    // Safe: set up once, then only given to SSL_new on the server's own thread.
    private nonisolated(unsafe) let raw: OpaquePointer

    struct Failure: Error { let operation: String }

    init(_ tls: ScriptedServer.TLS) throws {
        guard let raw = SSL_CTX_new(TLS_server_method()) else { throw Failure(operation: "SSL_CTX_new") }
        self.raw = raw
        guard SSL_CTX_use_certificate_file(raw, tls.certificate.string, SSL_FILETYPE_PEM) == 1,
            SSL_CTX_use_PrivateKey_file(raw, tls.key.string, SSL_FILETYPE_PEM) == 1
        else { throw Failure(operation: "use \(tls.certificate)") }
        SSL_CTX_set_alpn_select_cb(
            raw,
            { _, chosen, length, offered, offeredLength, _ in
                // "h2" with its length in front is what every client here offers first.
                chosen?.pointee = offered.map { $0 + 1 }
                length?.pointee = 2
                return offeredLength >= 3 ? 0 : 3
            },
            nil
        )
        if tls.isOld { _ = CTLS_set_max_version(raw, CTLS_TLS1_2_VERSION) }
        // No session ticket: it would be the server's first bytes, and go out after the handshake.
        SSL_CTX_set_num_tickets(raw, 0)
        switch tls.clients {
        case .nobodyAsked: break
        case .anybody: SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, { _, _ in 1 })
        case .reset:
            SSL_CTX_set_verify(
                raw,
                SSL_VERIFY_PEER,
                { _, store in
                    let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx())
                    // A TCP socket that is connected to no address any more has sent a reset.
                    var nobody = sockaddr()
                    nobody.sa_family = sa_family_t(AF_UNSPEC)
                    let size = socklen_t(MemoryLayout<sockaddr>.size)
                    _ = connect(SSL_get_fd(OpaquePointer(ssl)), &nobody, size)
                    return 0
                }
            )
        case .signed(let authority):
            guard SSL_CTX_load_verify_file(raw, authority.string) == 1 else {
                throw Failure(operation: "load \(authority)")
            }
            SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
    }

    deinit { SSL_CTX_free(raw) }

    /// Shakes hands; `nil` when that fails, after which the script reads nothing.
    func accept(_ descriptor: Int32) -> TLSServerSession? {
        guard let ssl = SSL_new(raw) else { return nil }
        let session = TLSServerSession(ssl)
        SSL_set_fd(ssl, descriptor)
        return SSL_accept(ssl) == 1 ? session : nil
    }
}

/// One client's TLS.
final class TLSServerSession: Sendable {
    // Safe: used by the server's own thread only.
    private nonisolated(unsafe) let ssl: OpaquePointer

    init(_ ssl: OpaquePointer) { self.ssl = ssl }

    deinit {
        SSL_free(ssl)
        ERR_clear_error()
    }

    func read(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        var count = 0
        return SSL_read_ex(ssl, buffer.baseAddress, buffer.count, &count) == 1 ? count : 0
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        var count = 0
        return SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count) == 1 ? count : -1
    }
}
