import CHTTP2

/// Reads the header fields that a client sends over one connection, which it compresses.
final class HeaderDecoder: Sendable {
    // Safe: used by the server's own thread only.
    private nonisolated(unsafe) var inflater: OpaquePointer?

    /// A decoder for a new connection.
    init() {
        precondition(nghttp2_hd_inflate_new(&inflater) == 0, "nghttp2: no memory")
    }

    deinit { nghttp2_hd_inflate_del(inflater) }

    /// The fields of a block, in order.
    func fields(in block: [UInt8]) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        block.withUnsafeBufferPointer { bytes in
            var rest = bytes[...]
            while true {
                var field = nghttp2_nv()
                var flags: Int32 = 0
                let part = UnsafeBufferPointer(rebasing: rest)
                let count = nghttp2_hd_inflate_hd2(inflater, &field, &flags, part.baseAddress, part.count, 1)
                guard count >= 0 else { return }
                rest = rest.dropFirst(count)
                if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
                    let name = UnsafeBufferPointer(start: field.name, count: field.namelen)
                    let value = UnsafeBufferPointer(start: field.value, count: field.valuelen)
                    fields.append((String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
                }
                if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
                    nghttp2_hd_inflate_end_headers(inflater)
                    return
                }
                if count == 0, rest.isEmpty { return }
            }
        }
        return fields
    }
}
