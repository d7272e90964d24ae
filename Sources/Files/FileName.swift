/// File names as text for people.
public enum FileName {
    /// The name as text where it is printable UTF-8, with each other byte as `\ooo` (octal) and a backslash as `\\`.
    ///
    /// Not printable are control and format characters (an escape sequence, a change of the writing direction) and
    /// the separators of lines: a name must not be able to draw on a terminal or to look like another one.
    public static func text(of bytes: some Collection<UInt8>) -> String {
        var text = ""
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            var iterator = rest.makeIterator()
            var decoder = UTF8()
            if case .scalarValue(let scalar) = decoder.decode(&iterator) {
                let width = UTF8.width(scalar)
                if scalar == "\\" {
                    text += "\\\\"
                } else if isPrintable(scalar) {
                    text.unicodeScalars.append(scalar)
                } else {
                    rest.prefix(width).forEach { text += octal($0) }
                }
                rest = rest.dropFirst(width)
            } else {
                text += octal(rest.removeFirst())
            }
        }
        return text
    }

    /// The bytes that ``text(of:)`` made a text of.
    /// - Returns: `nil` when a backslash is followed by neither a backslash nor three octal digits.
    public static func bytes(of text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            if rest.first == UInt8(ascii: "\\") {
                bytes.append(rest.removeFirst())
            } else {
                guard rest.count >= 3, let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
                else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(3)
            }
        }
        return bytes
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return (0x20..<0x7F).contains(scalar.value) }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: return false
        default: return true
        }
    }

    private static func octal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 8)
        return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
    }
}
