extension Duration {
    /// As an operator reads it: `0.4 s`, `38 s`, `4 min 5 s`, `2 h 3 min`.
    public var operatorText: String {
        let seconds = Double(components.seconds) + Double(components.attoseconds) / 1e18
        guard seconds >= 10 else {
            return "\(Int((seconds * 10).rounded()) / 10).\(Int((seconds * 10).rounded()) % 10) s"
        }
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return whole % 60 == 0 ? "\(whole / 60) min" : "\(whole / 60) min \(whole % 60) s" }
        return whole / 60 % 60 == 0 ? "\(whole / 3600) h" : "\(whole / 3600) h \(whole / 60 % 60) min"
    }

    /// The same without tenths, for what is counted while a person looks on: `3 s`, `4 min 5 s`.
    public var wholeSecondsText: String {
        let whole = max(Duration.zero, self).components.seconds
        return whole < 60 ? "\(whole) s" : Duration.seconds(whole).operatorText
    }

    /// Reads what a person types for a duration: a number with `s`, `m`, `min`, `h` or `d`, or seconds without a unit.
    ///
    /// `90`, `90s`, `8m`, `8min`, `1.5h`, `7d` are accepted; `nil` for everything else, and for what is not above zero.
    public init?(operatorText text: String) {
        let digits = text.prefix { $0.isNumber || $0 == "." }
        guard let number = Double(String(digits)), number > 0, number < 1e9 else { return nil }
        switch text.dropFirst(digits.count).trimmingSpaces() {
        case "", "s": self = .milliseconds(Int64(number * 1000))
        case "m", "min": self = .milliseconds(Int64(number * 60_000))
        case "h": self = .milliseconds(Int64(number * 3_600_000))
        case "d": self = .milliseconds(Int64(number * 86_400_000))
        default: return nil
        }
    }

    /// The duration in seconds, for JSON keys that end in `_seconds`.
    public var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> Substring {
        drop { $0 == " " }
    }
}
