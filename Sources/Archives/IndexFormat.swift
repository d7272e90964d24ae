internal import Files

/// The text of an index: mtree(5), one line a file in walking order, always in the same spelling.
///
///     #mtree
///     # node-recovery index 1
///     . type=dir mode=0755 uid=0 gid=0 time=1700000000.000000000
///     ./etc/hosts type=file mode=0644 uid=0 gid=0 size=12 time=1700000000.123456789 sha256digest=… inode=77 ctime=…
///     # end 2
///
/// After `type`, `mode`, `uid` and `gid` come, where they apply and in this order: `size`, `time`, `link`,
/// `hardlink`, `device`, `sha256digest`, or `sha256data` with `databytes` for a file with long holes (see
/// ``ContentDigest``), `inode` with `ctime`, and one `xattr.NAME` with a value in base64 for each
/// attribute, by name. `hardlink`, `sha256data`, `databytes`, `ctime` and `xattr.` are our own. A time is seconds, a point, nine digits of
/// nanoseconds that count upwards also from negative seconds. Bytes that are not printable ASCII, and those that mean
/// something to mtree, are written `\ooo`.
enum IndexFormat {
    static let header = Array("#mtree\n# node-recovery index 1\n".utf8)
    static let endPrefix = Array("# end ".utf8)

    /// The longest line that is read or written.
    static let largestLine = 2 << 20

    /// Appends a record's line.
    static func append(_ record: FileRecord, to line: inout [UInt8]) {
        appendPath(record.path, to: &line)
        append(" type=", record.kind.rawValue.utf8, to: &line)
        append(" mode=0", CollectionOfOne(UInt8(ascii: "0") + UInt8(record.mode >> 9 & 7)), to: &line)
        for shift: UInt32 in [6, 3, 0] { line.append(UInt8(ascii: "0") + UInt8(record.mode >> shift & 7)) }
        append(" uid=", UInt64(record.uid), to: &line)
        append(" gid=", UInt64(record.gid), to: &line)
        if record.kind == .regular { append(" size=", record.size.magnitude, to: &line) }
        append(" time=", record.modified, to: &line)
        if let target = record.linkTarget {
            append(" link=", EmptyCollection(), to: &line)
            appendEscaped(target, to: &line)
        }
        if let first = record.hardLink {
            append(" hardlink=", EmptyCollection(), to: &line)
            appendPath(first, to: &line)
        }
        if let device = record.device {
            append(" device=linux,", UInt64(device.major), to: &line)
            append(",", UInt64(device.minor), to: &line)
        }
        switch record.digest {
        case .whole(let digest)?:
            append(" sha256digest=", EmptyCollection(), to: &line)
            appendHex(digest, to: &line)
        case .sparse(let digest, let dataBytes)?:
            append(" sha256data=", EmptyCollection(), to: &line)
            appendHex(digest, to: &line)
            append(" databytes=", dataBytes.magnitude, to: &line)
        case nil: break
        }
        if let hint = record.hint {
            append(" inode=", hint.inode, to: &line)
            append(" ctime=", hint.changeTime, to: &line)
        }
        for attribute in record.attributes {
            append(" xattr.", EmptyCollection(), to: &line)
            appendEscaped(attribute.name, to: &line)
            line.append(UInt8(ascii: "="))
            appendBase64(attribute.value, to: &line)
        }
        line.append(UInt8(ascii: "\n"))
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)
    private static let base64Digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func appendHex(_ digest: SHA256Digest, to line: inout [UInt8]) {
        for byte in digest.bytes {
            line.append(hexDigits[Int(byte >> 4)])
            line.append(hexDigits[Int(byte & 15)])
        }
    }

    private static func append(_ key: StaticString, _ value: some Collection<UInt8>, to line: inout [UInt8]) {
        line.append(contentsOf: UnsafeBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount))
        line.append(contentsOf: value)
    }

    private static func append(_ key: StaticString, _ number: UInt64, to line: inout [UInt8]) {
        append(key, EmptyCollection(), to: &line)
        appendDecimal(number, to: &line)
    }

    private static func append(_ key: StaticString, _ time: FileTime, to line: inout [UInt8]) {
        append(key, EmptyCollection(), to: &line)
        appendDecimal(time.seconds, to: &line)
        line.append(UInt8(ascii: "."))
        appendNanoseconds(time.nanoseconds, to: &line)
    }

    private static func appendPath(_ path: TreePath, to line: inout [UInt8]) {
        line.append(UInt8(ascii: "."))
        guard !path.isRoot else { return }
        line.append(UInt8(ascii: "/"))
        appendEscaped(path.bytes, to: &line)
    }

    private static func appendEscaped(_ bytes: [UInt8], to line: inout [UInt8]) {
        for byte in bytes {
            if isPlain(byte) {
                line.append(byte)
            } else {
                line.append(UInt8(ascii: "\\"))
                for shift in [6, 3, 0] { line.append(UInt8(ascii: "0") + (byte >> UInt8(shift) & 7)) }
            }
        }
    }

    /// Whether a byte of a name stands for itself.
    static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\\"), UInt8(ascii: "#"), UInt8(ascii: "="), UInt8(ascii: "*"), UInt8(ascii: "?"),
            UInt8(ascii: "["):
            false
        default: byte > 0x20 && byte < 0x7F
        }
    }

    private static func appendBase64(_ bytes: [UInt8], to line: inout [UInt8]) {
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for i in 0..<3 { group = group << 8 | (i < count ? UInt32(bytes[start + i]) : 0) }
            for i in 0..<4 {
                let digit = base64Digits[Int(group >> UInt32(18 - 6 * i) & 63)]
                line.append(i <= count ? digit : UInt8(ascii: "="))
            }
        }
    }

    /// The value of a base64 digit.
    static func base64Value(_ digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
