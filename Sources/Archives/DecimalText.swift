/// Appends a number in decimal digits.
func appendDecimal(_ number: Int64, to bytes: inout [UInt8]) {
    if number < 0 { bytes.append(UInt8(ascii: "-")) }
    appendDecimal(number.magnitude, to: &bytes)
}

/// Appends a number in decimal digits.
func appendDecimal(_ number: UInt64, to bytes: inout [UInt8]) {
    let start = bytes.count
    var rest = number
    repeat {
        bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
        rest /= 10
    } while rest != 0
    bytes[start...].reverse()
}

/// Appends exactly nine digits.
func appendNanoseconds(_ nanoseconds: Int32, to bytes: inout [UInt8]) {
    var divisor: Int32 = 100_000_000
    while divisor > 0 {
        bytes.append(UInt8(ascii: "0") + UInt8(nanoseconds / divisor % 10))
        divisor /= 10
    }
}
