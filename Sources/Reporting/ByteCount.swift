/// A number of bytes, as an operator reads it: `1.4 GiB`.
public struct ByteCount: Sendable, Hashable, CustomStringConvertible {
    /// The number itself.
    public let bytes: Int64

    /// Wraps a number of bytes; a negative one prints with a minus sign.
    public init(_ bytes: Int64) {
        self.bytes = bytes
    }

    /// Binary units with one decimal from KiB on; whole bytes below (`512 B`).
    public var description: String {
        let magnitude = bytes.magnitude
        guard magnitude >= 1024 else { return "\(bytes) B" }
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var value = Double(magnitude) / 1024
        var unit = 0
        // 1023.95 would print as "1024.0".
        while value >= 1023.95, unit + 1 < units.count {
            value /= 1024
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        return "\(bytes < 0 ? "-" : "")\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
