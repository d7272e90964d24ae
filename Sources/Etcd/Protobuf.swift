/// The few protobuf messages inside an etcd database and its log, which are read as strictly as etcd's own decoder reads
/// them and written byte for byte as etcd does.
///
/// swift-protobuf leaves out fields that are zero; etcd's raft messages are proto2 and have them.
enum Protobuf {
    /// What the value of a known field is.
    enum Kind {
        case number, bytes
    }

    /// A known field that a message has.
    enum Value {
        case number(UInt64)
        case bytes(UnsafeRawBufferPointer)
    }

    /// The known fields of a message in its order, unknown ones passed over; `nil` when etcd could not decode it.
    ///
    /// A known field of the wrong kind, a length past the end and a number of more than 64 bits are errors.
    static func fields(
        in bytes: UnsafeRawBufferPointer,
        _ schema: [UInt64: Kind]
    ) -> [(field: UInt64, value: Value)]? {
        var fields = [(field: UInt64, value: Value)]()
        var at = 0
        func varint() -> UInt64? {
            var number: UInt64 = 0
            var shift: UInt64 = 0
            while at < bytes.count, shift < 64 {
                let byte = bytes[at]
                at += 1
                if shift == 63, byte > 1 { return nil }
                number |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return number }
                shift += 7
            }
            return nil
        }
        while at < bytes.count {
            guard let tag = varint(), tag >> 3 != 0, tag >> 3 < 1 << 29 else { return nil }
            let kind = schema[tag >> 3]
            switch tag & 7 {
            case 0:
                guard kind != .bytes, let number = varint() else { return nil }
                if kind != nil { fields.append((tag >> 3, .number(number))) }
            case 2:
                guard kind != .number, let length = varint(), length <= UInt64(bytes.count - at) else { return nil }
                if kind != nil {
                    fields.append(
                        (tag >> 3, .bytes(UnsafeRawBufferPointer(rebasing: bytes[at..<(at + Int(length))])))
                    )
                }
                at += Int(length)
            case 1, 5:
                let length = tag & 7 == 1 ? 8 : 4
                guard kind == nil, length <= bytes.count - at else { return nil }
                at += length
            default: return nil
            }
        }
        return fields
    }

    /// A varint field.
    static func number(_ field: UInt64, _ number: UInt64) -> [UInt8] {
        varint(field << 3) + varint(number)
    }

    /// A field of bytes.
    static func bytes(_ field: UInt64, _ bytes: [UInt8]) -> [UInt8] {
        varint(field << 3 | 2) + varint(UInt64(bytes.count)) + bytes
    }

    private static func varint(_ number: UInt64) -> [UInt8] {
        var bytes = [UInt8]()
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
        return bytes
    }
}
