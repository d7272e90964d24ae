/// The names of extended attributes in pax keywords, where `=` ends the keyword.
///
/// GNU tar writes `%3D` for it and `%25` for `%`. Source: GNU tar `xheader.c`, `xattr_encode_keyword`.
enum AttributeName {
    static func encode(_ name: [UInt8]) -> [UInt8] {
        var text = [UInt8]()
        for byte in name {
            switch byte {
            case UInt8(ascii: "="): text += "%3D".utf8
            case UInt8(ascii: "%"): text += "%25".utf8
            default: text.append(byte)
            }
        }
        return text
    }

    static func decode(_ name: some Collection<UInt8>) -> [UInt8] {
        var bytes = [UInt8]()
        var rest = name[...]
        while let first = rest.first {
            if rest.starts(with: "%3D".utf8) {
                bytes.append(UInt8(ascii: "="))
                rest = rest.dropFirst(3)
            } else if rest.starts(with: "%25".utf8) {
                bytes.append(UInt8(ascii: "%"))
                rest = rest.dropFirst(3)
            } else {
                bytes.append(first)
                rest = rest.dropFirst()
            }
        }
        return bytes
    }
}
