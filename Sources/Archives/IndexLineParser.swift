internal import Files

/// Reads one line of an index; strict: only the spelling that ``IndexFormat`` writes is taken.
struct IndexLineParser {
    /// What is wrong with a line.
    struct Fault: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private let line: UnsafeBufferPointer<UInt8>
    private var position = 0

    /// Takes a line without its newline.
    init(_ line: UnsafeBufferPointer<UInt8>) {
        self.line = line
    }

    mutating func record() throws(Fault) -> FileRecord {
        let path = try path()
        try expect(" type=")
        let kind = try kind()
        try expect(" mode=0")
        var mode: UInt32 = 0
        for _ in 0..<4 { mode = mode << 3 | UInt32(try octalDigit()) }
        try expect(" uid=")
        let uid = try number32()
        try expect(" gid=")
        let gid = try number32()
        var size: Int64 = 0
        if kind == .regular {
            try expect(" size=")
            guard let exact = Int64(exactly: try number()) else { throw Fault("a size is too large") }
            size = exact
        }
        try expect(" time=")
        var record = FileRecord(
            path: path,
            kind: kind,
            mode: mode,
            uid: uid,
            gid: gid,
            size: size,
            modified: try time()
        )
        if kind == .symbolicLink {
            try expect(" link=")
            record.linkTarget = try unescaped()
            if record.linkTarget?.isEmpty ?? true { throw Fault("a link target is empty") }
        }
        if skip(" hardlink=") {
            let first = try self.path()
            guard kind != .directory, first < path, !first.isRoot else { throw Fault("a hard link points forward") }
            record.hardLink = first
        }
        if kind == .characterDevice || kind == .blockDevice {
            try expect(" device=linux,")
            let major = try number32()
            try expect(",")
            record.device = DeviceNumber(major: major, minor: try number32())
        }
        if kind == .regular, record.hardLink == nil {
            if skip(" sha256data=") {
                let digest = try digest()
                try expect(" databytes=")
                guard let dataBytes = Int64(exactly: try number()), dataBytes <= size else {
                    throw Fault("it has more data than it is long")
                }
                record.digest = .sparse(digest, dataBytes: dataBytes)
            } else {
                try expect(" sha256digest=")
                record.digest = .whole(try digest())
            }
        }
        if skip(" inode=") {
            let inode = try number()
            try expect(" ctime=")
            record.hint = ChangeHint(inode: inode, changeTime: try time())
        }
        while position < line.count { try attribute(into: &record) }
        return record
    }

    /// The number of files that the last line states; `nil` when this is not the last line.
    mutating func end() throws(Fault) -> UInt64? {
        guard skip("# end ") else { return nil }
        let count = try number()
        guard position == line.count else { throw Fault("the last line is malformed") }
        return count
    }

    // MARK: Values

    private mutating func path() throws(Fault) -> TreePath {
        try expect(".")
        guard skip("/") else { return .root }
        let bytes = try unescaped()
        guard bytes.count <= TreePath.longest, Self.isPath(bytes) else { throw Fault("a path is malformed") }
        return TreePath(unchecked: bytes)
    }

    /// Whether no component is empty, `.` or `..`; the escapes let no NUL through.
    private static func isPath(_ bytes: [UInt8]) -> Bool {
        var length = 0
        var dots = 0
        for byte in bytes {
            if byte == UInt8(ascii: "/") {
                if length == dots, length <= 2 { return false }
                length = 0
                dots = 0
            } else {
                length += 1
                if byte == UInt8(ascii: ".") { dots += 1 }
            }
        }
        return length != dots || length > 2
    }

    private mutating func kind() throws(Fault) -> FileKind {
        // The common ones first.
        if skip("file") { return .regular }
        if skip("dir") { return .directory }
        if skip("link") { return .symbolicLink }
        if skip("char") { return .characterDevice }
        if skip("block") { return .blockDevice }
        if skip("fifo") { return .fifo }
        throw Fault("a type is unknown")
    }

    private mutating func attribute(into record: inout FileRecord) throws(Fault) {
        guard skip(" xattr.") else { throw Fault("a keyword is unknown or not in its place") }
        let name = try unescaped()
        try expect("=")
        let value = try base64()
        if name.isEmpty { throw Fault("an attribute has no name") }
        if let last = record.attributes.last, !last.name.lexicographicallyPrecedes(name) {
            throw Fault("attributes are not in order")
        }
        record.attributes.append(ExtendedAttribute(name: name, value: value))
    }

    private mutating func digest() throws(Fault) -> SHA256Digest {
        guard line.count - position >= 64 else { throw Fault("a digest is incomplete") }
        let bytes = try [UInt8](unsafeUninitializedCapacityOrThrow: 32) { (index) throws(Fault) in
            let high = Self.hexValue(line[position + 2 * index])
            let low = Self.hexValue(line[position + 2 * index + 1])
            guard high | low < 16 else { throw Fault("a digest is malformed") }
            return high << 4 | low
        }
        position += 64
        guard let digest = SHA256Digest(bytes: bytes) else { throw Fault("a digest is malformed") }
        return digest
    }

    private static func hexValue(_ digit: UInt8) -> UInt8 {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: 0xFF
        }
    }

    private mutating func time() throws(Fault) -> FileTime {
        let isNegative = skip("-")
        let magnitude = try number()
        guard let value = Int64(exactly: magnitude), !isNegative || value > 0 else {
            throw Fault("a time is malformed")
        }
        try expect(".")
        var nanoseconds: Int32 = 0
        guard line.count - position >= 9 else { throw Fault("a time is incomplete") }
        for _ in 0..<9 { nanoseconds = nanoseconds * 10 + Int32(try decimalDigit()) }
        return FileTime(seconds: isNegative ? -value : value, nanoseconds: nanoseconds)
    }

    private mutating func base64() throws(Fault) -> [UInt8] {
        var bytes = [UInt8]()
        while position < line.count, line[position] != UInt8(ascii: " ") {
            guard line.count - position >= 4 else { throw Fault("base64 is incomplete") }
            var group: UInt32 = 0
            var digits = 0
            while digits < 4, let value = IndexFormat.base64Value(line[position + digits]) {
                group = group << 6 | value
                digits += 1
            }
            for padding in digits..<4 where line[position + padding] != UInt8(ascii: "=") {
                throw Fault("base64 is malformed")
            }
            guard digits >= 2 else { throw Fault("base64 is malformed") }
            group <<= UInt32(6 * (4 - digits))
            // Bits that no byte takes must be zero: one value has one spelling.
            guard group & (digits == 2 ? 0xFFFF : digits == 3 ? 0xFF : 0) == 0 else {
                throw Fault("base64 is malformed")
            }
            for shift: UInt32 in [16, 8, 0].prefix(digits - 1) { bytes.append(UInt8(group >> shift & 0xFF)) }
            position += 4
            if digits < 4 { break }
        }
        return bytes
    }

    private mutating func unescaped() throws(Fault) -> [UInt8] {
        var end = position
        while end < line.count, IndexFormat.isPlain(line[end]) { end += 1 }
        var bytes = Array(line[position..<end])
        position = end
        while position < line.count {
            let byte = line[position]
            if IndexFormat.isPlain(byte) {
                bytes.append(byte)
                position += 1
            } else if byte == UInt8(ascii: "\\") {
                position += 1
                let first = try octalDigit()
                guard first < 4 else { throw Fault("a name is malformed") }
                let value = first << 6 | (try octalDigit()) << 3 | (try octalDigit())
                if IndexFormat.isPlain(value) || value == 0 { throw Fault("a name is malformed") }
                bytes.append(value)
            } else {
                break
            }
        }
        return bytes
    }

    // MARK: Digits and words

    private mutating func number() throws(Fault) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        while position < line.count, case let digit = line[position] &- UInt8(ascii: "0"), digit < 10 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            if overflow || carry { throw Fault("a number is too large") }
            value = sum
            position += 1
        }
        guard position > start, line[start] != UInt8(ascii: "0") || position == start + 1 else {
            throw Fault("a number is malformed")
        }
        return value
    }

    private mutating func number32() throws(Fault) -> UInt32 {
        guard let value = UInt32(exactly: try number()) else { throw Fault("a number is too large") }
        return value
    }

    private mutating func octalDigit() throws(Fault) -> UInt8 {
        guard position < line.count, case let digit = line[position] &- UInt8(ascii: "0"), digit < 8 else {
            throw Fault("an octal number is malformed")
        }
        position += 1
        return digit
    }

    private mutating func decimalDigit() throws(Fault) -> UInt8 {
        guard position < line.count, case let digit = line[position] &- UInt8(ascii: "0"), digit < 10 else {
            throw Fault("a number is malformed")
        }
        position += 1
        return digit
    }

    private mutating func skip(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard line.count - position >= count else { return false }
        let start = word.utf8Start
        for i in 0..<count where line[position + i] != start[i] { return false }
        position += count
        return true
    }

    private mutating func expect(_ word: StaticString) throws(Fault) {
        guard skip(word) else { throw Fault("'\(word)' is missing or not in its place") }
    }
}

extension [UInt8] {
    /// An array of `count` bytes, each from `element`, which may throw.
    fileprivate init(
        unsafeUninitializedCapacityOrThrow count: Int,
        _ element: (Int) throws(IndexLineParser.Fault) -> UInt8
    ) throws(IndexLineParser.Fault) {
        self = []
        reserveCapacity(count)
        for index in 0..<count { append(try element(index)) }
    }
}
