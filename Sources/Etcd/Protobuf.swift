/// The few protobuf messages inside an etcd database and its log, which are written byte for byte as etcd does.
///
/// swift-protobuf leaves out fields that are zero; etcd's raft messages are proto2 and have them.
enum Protobuf {
    /// The varint fields of a message, other fields passed over; `nil` when it is malformed.
    static func numbers(in bytes: UnsafeRawBufferPointer) -> [UInt64: UInt64]? {
        var fields = [UInt64: UInt64]()
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
            guard let tag = varint(), tag >> 3 != 0 else { return nil }
            switch tag & 7 {
            case 0:
                guard let number = varint() else { return nil }
                fields[tag >> 3] = number
            case 1: at += 8
            case 2:
                guard let length = varint(), length <= UInt64(bytes.count - at) else { return nil }
                at += Int(length)
            case 5: at += 4
            default: return nil
            }
        }
        return at == bytes.count ? fields : nil
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
