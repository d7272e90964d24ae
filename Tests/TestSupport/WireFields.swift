/// Protocol buffer messages by field numbers, for stand-ins of servers: no message types, no generated code.
public enum WireFields {
    /// A field with bytes: a text, a message.
    public static func field(_ number: Int, _ bytes: some Collection<UInt8>) -> [UInt8] {
        varint(UInt64(number << 3 | 2)) + varint(UInt64(bytes.count)) + bytes
    }

    /// A field with a text.
    public static func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

    /// A field with a number.
    public static func field(_ number: Int, _ value: UInt64) -> [UInt8] { varint(UInt64(number << 3)) + varint(value) }

    /// The texts of a field in a message that has only texts, messages and numbers; empty for bytes that are no message.
    public static func texts(_ number: Int, in message: some Collection<UInt8>) -> [[UInt8]] {
        var rest = Array(message)[...]
        var found: [[UInt8]] = []
        while let key = takeVarint(&rest) {
            switch key & 7 {
            case 0: guard takeVarint(&rest) != nil else { return found }
            case 2:
                guard let length = takeVarint(&rest), length <= UInt64(rest.count) else { return found }
                if key >> 3 == UInt64(number) { found.append(Array(rest.prefix(Int(length)))) }
                rest = rest.dropFirst(Int(length))
            default: return found
            }
        }
        return found
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var value = value
        var bytes: [UInt8] = []
        while value >= 0x80 {
            bytes.append(UInt8(value & 0x7F) | 0x80)
            value >>= 7
        }
        return bytes + [UInt8(value)]
    }

    private static func takeVarint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }
}
