internal import CTLS
internal import Glibc

/// What of an X.509 certificate decides whether it can still be used.
public struct Certificate: Sendable, Hashable {
    /// The common name of its subject, `system:node:sno1`; empty when it has none.
    public var commonName: String
    /// The first moment of its validity, in seconds since 1970-01-01 UTC.
    public var notBefore: Int64
    /// The last moment of its validity, in seconds since 1970-01-01 UTC.
    public var notAfter: Int64

    /// The certificates of a PEM file, in its order; other blocks such as a private key are passed over.
    ///
    /// - Returns: none for bytes without a certificate that can be read.
    public static func all(inPEM bytes: [UInt8]) -> [Certificate] {
        var found: [Certificate] = []
        bytes.withUnsafeBytes { buffer in
            guard let memory = BIO_new_mem_buf(buffer.baseAddress, Int32(clamping: buffer.count)) else { return }
            defer { BIO_free(memory) }
            while let certificate = PEM_read_bio_X509(memory, nil, nil, nil) {
                defer { X509_free(certificate) }
                guard let begin = seconds(X509_get0_notBefore(certificate)),
                    let end = seconds(X509_get0_notAfter(certificate))
                else { continue }
                found.append(Certificate(commonName: name(of: certificate), notBefore: begin, notAfter: end))
            }
            // the end of the file is an error to OpenSSL, which the next user of this thread must not find
            ERR_clear_error()
        }
        return found
    }

    /// Whether the first certificate of a PEM file and the first private key of another one belong together; a key with
    /// a passphrase does not, as nobody is there to type it.
    public static func isPair(_ certificate: [UInt8], key: [UInt8]) -> Bool {
        defer { ERR_clear_error() }
        return certificate.withUnsafeBytes { buffer in
            guard let memory = BIO_new_mem_buf(buffer.baseAddress, Int32(clamping: buffer.count)) else { return false }
            defer { BIO_free(memory) }
            guard let own = PEM_read_bio_X509(memory, nil, nil, nil) else { return false }
            defer { X509_free(own) }
            return key.withUnsafeBytes { keyBuffer in
                guard let keyMemory = BIO_new_mem_buf(keyBuffer.baseAddress, Int32(clamping: keyBuffer.count)) else {
                    return false
                }
                defer { BIO_free(keyMemory) }
                guard let secret = PEM_read_bio_PrivateKey(keyMemory, nil, { _, _, _, _ in 0 }, nil) else {
                    return false
                }
                defer { EVP_PKEY_free(secret) }
                return X509_check_private_key(own, secret) == 1
            }
        }
    }

    /// The dates as OpenSSL prints them, in UTC: `2027-01-31 12:00:00 UTC`.
    public static func text(of seconds: Int64) -> String {
        var moment = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&moment, &parts) != nil else { return "an unreadable date" }
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) UTC"
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts))
    }

    private static func name(of certificate: OpaquePointer) -> String {
        guard let subject = X509_get_subject_name(certificate) else { return "" }
        var buffer = [CChar](repeating: 0, count: 256)
        let count = X509_NAME_get_text_by_NID(subject, NID_commonName, &buffer, Int32(buffer.count))
        guard count > 0 else { return "" }
        return String(decoding: buffer.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
