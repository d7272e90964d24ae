import CTLS
import Glibc

/// What of a certificate goes into messages.
enum CertificateText {
    /// The last parts of a name as OpenSSL prints it on one line: `CN = etcd-ca`.
    static func name(_ name: OpaquePointer?) -> String {
        guard let name, let memory = BIO_new(BIO_s_mem()) else { return "?" }
        defer { BIO_free(memory) }
        X509_NAME_print_ex(memory, name, 0, CTLS_NAME_ONELINE)
        var buffer = [UInt8](repeating: 0, count: 512)
        let count = BIO_read(memory, &buffer, Int32(buffer.count))
        return GRPCStatus.printable(buffer.prefix(Int(max(count, 0))))
    }

    /// A moment of a certificate: `2027-01-31 12:00:00 UTC`.
    static func date(_ time: UnsafePointer<ASN1_TIME>?) -> String {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return "an unreadable date" }
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return "\(day) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) UTC"
    }

    /// Every host name and address that a certificate is for, in its order; at most 20.
    static func alternativeNames(_ certificate: OpaquePointer) -> [String] {
        guard let names = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let list = OpaquePointer(names)
        defer { GENERAL_NAMES_free(list) }
        return (0..<min(CTLS_names_count(list), 20)).compactMap { index in
            guard let name = CTLS_names_at(list, index)?.pointee else { return nil }
            switch name.type {
            case GEN_DNS: return GRPCStatus.printable(bytes(name.d.dNSName))
            case GEN_IPADD: return address(bytes(name.d.iPAddress))
            default: return nil
            }
        }
    }

    private static func bytes(_ string: UnsafePointer<ASN1_STRING>?) -> [UInt8] {
        guard let string, let data = ASN1_STRING_get0_data(string) else { return [] }
        return Array(UnsafeBufferPointer(start: data, count: Int(max(ASN1_STRING_length(string), 0))))
    }

    private static func address(_ bytes: [UInt8]) -> String? {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
