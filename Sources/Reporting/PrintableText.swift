extension StringProtocol {
    /// The text without what could move a terminal's cursor, change its colours or turn its order around: control
    /// characters as `\ooo` in octal, marks of the writing direction and other line ends as `\u{…}`.
    ///
    /// To be used for every name that comes from a file, a peer or a pod where it is put into a text of several lines;
    /// log lines, table cells and errors are made so by whoever prints them.
    public var printable: String { escaped { $0.octalOrHexadecimal } }

    /// The same for a text of several lines: the ends of its lines stay.
    public var printableLines: String { escaped { $0 == "\n" ? "\n" : $0.octalOrHexadecimal } }

    /// The same for JSON, as JSON escapes them (`\u009B`): what a reader of it gets does not change.
    public var printableJSON: String {
        escaped { scalar in
            guard scalar != "\n" else { return "\n" }  // between values: inside of one it is escaped
            let digits = String(scalar.value, radix: 16, uppercase: true)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }

    private func escaped(_ escape: (Unicode.Scalar) -> String) -> String {
        guard unicodeScalars.contains(where: \.isUnprintable) else { return String(self) }
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if scalar.isUnprintable {
                result.append(contentsOf: escape(scalar).unicodeScalars)
            } else {
                result.append(scalar)
            }
        }
        return String(result)
    }
}

extension Unicode.Scalar {
    /// Whether it changes how a terminal shows what follows it, or ends a line.
    fileprivate var isUnprintable: Bool {
        switch value {
        case 0..<0x20, 0x7F..<0xA0: true  // the control characters of ASCII and of ISO 8859
        case 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true  // directions, line and paragraph separators
        default: false
        }
    }

    fileprivate var octalOrHexadecimal: String {
        guard value < 0x100 else { return "\\u{\(String(value, radix: 16, uppercase: true))}" }
        let octal = String(value, radix: 8)
        return "\\" + String(repeating: "0", count: 3 - octal.count) + octal
    }
}
