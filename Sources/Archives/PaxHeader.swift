internal import Files

/// Builds the header blocks of one tar entry: a pax extended header where it is needed, then the ustar header.
///
/// Everything that ustar cannot say goes into pax records, in the spellings that GNU tar and libarchive share:
/// `SCHILY.xattr.NAME`, `SCHILY.acl.access`, `GNU.sparse.*` 1.0. A name that is not ASCII is marked with
/// `hdrcharset=BINARY`, without which libarchive tries to convert it; other names are not, as GNU tar prints a
/// warning for each. Users and groups are numbers only; access and change times are left out, so that the same tree
/// gives the same bytes.
/// Source: POSIX `pax`, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Storing Sparse Files".
struct PaxHeader: ~Copyable {
    static let blockSize = 512
    /// The most bytes that libarchive reads of an extended header.
    static let largestExtendedHeader = 1 << 20

    private(set) var bytes: [UInt8] = []
    private var records: [UInt8] = []
    /// Whether the extended header can be read again.
    var isReadable: Bool { records.count <= Self.largestExtendedHeader }

    /// Forgets the last entry, keeps the memory.
    private mutating func reset() {
        bytes.removeAll(keepingCapacity: true)
        records.removeAll(keepingCapacity: true)
    }

    /// Makes ``bytes`` the header of a file.
    /// - Parameters:
    ///   - storedSize: Bytes that follow the header: the content, or the sparse map and the data.
    ///   - isSparse: Whether they start with a sparse map; the record's size is then the real one.
    mutating func build(_ record: borrowing FileRecord, type: UInt8, storedSize: Int64, isSparse: Bool) {
        reset()
        var name = record.path.bytes
        if record.path.isRoot { name = [UInt8(ascii: ".")] }
        if record.kind == .directory { name.append(UInt8(ascii: "/")) }
        let link = record.hardLink?.bytes ?? record.linkTarget ?? []

        if !Self.isASCII(name) || !Self.isASCII(link) { add("hdrcharset", Array("BINARY".utf8)) }
        if isSparse {
            add("GNU.sparse.major", number: 1)
            add("GNU.sparse.minor", number: 0)
            add("GNU.sparse.name", name)
            add("GNU.sparse.realsize", number: record.size)
            name = Array("GNUSparseFile.0/".utf8) + name
        } else if name.count > 100 || !Self.isASCII(name) {
            add("path", name)
        }
        if link.count > 100 || !Self.isASCII(link) { add("linkpath", link) }
        if storedSize > Self.largest(digits: 11) { add("size", number: storedSize) }
        if record.uid > Self.largest(digits: 7) { add("uid", number: Int64(record.uid)) }
        if record.gid > Self.largest(digits: 7) { add("gid", number: Int64(record.gid)) }
        let device = record.device ?? DeviceNumber(major: 0, minor: 0)
        if device.major > Self.largest(digits: 7) { add("SCHILY.devmajor", number: Int64(device.major)) }
        if device.minor > Self.largest(digits: 7) { add("SCHILY.devminor", number: Int64(device.minor)) }
        addTime(record.modified)
        // All names of a file share its attributes: they come with the first one.
        if record.hardLink == nil { addAttributes(record.attributes) }

        if !records.isEmpty {
            appendBlock(
                name: Array("PaxHeaders/".utf8) + record.path.name,
                mode: 0o644,
                size: Int64(records.count),
                type: UInt8(ascii: "x")
            )
            bytes += records
            Self.pad(&bytes)
        }
        appendBlock(
            name: name,
            mode: record.mode & 0o7777,
            uid: record.uid,
            gid: record.gid,
            size: storedSize,
            modified: record.modified.seconds,
            type: type,
            link: link,
            device: record.device
        )
    }

    /// The sparse map as it precedes the data: decimal numbers, one a line, padded to a block.
    static func sparseMap(_ extents: [DataExtent], size: Int64) -> [UInt8] {
        var extents = extents
        // A hole at the end shows only as an empty stretch behind it.
        if extents.last.map({ $0.offset + $0.length < size }) ?? true {
            extents.append(DataExtent(offset: size, length: 0))
        }
        var map = Array("\(extents.count)\n".utf8)
        for extent in extents { map += "\(extent.offset)\n\(extent.length)\n".utf8 }
        pad(&map)
        return map
    }

    private static func pad(_ bytes: inout [UInt8]) {
        let over = bytes.count % blockSize
        if over != 0 { bytes.append(contentsOf: repeatElement(0, count: blockSize - over)) }
    }

    private static func isASCII(_ bytes: [UInt8]) -> Bool {
        bytes.allSatisfy { $0 < 0x80 }
    }

    private static func largest(digits: Int64) -> Int64 {
        1 << (3 * digits) - 1
    }

    // MARK: pax records

    /// Adds a record `LENGTH KEY=VALUE\n`, where the length counts itself.
    private mutating func add(_ key: String, _ value: [UInt8]) { add(Array(key.utf8), value) }

    private mutating func add(_ key: [UInt8], _ value: [UInt8]) {
        let rest = key.count + value.count + 3
        var length = rest + Self.digits(rest)
        if Self.digits(length) != Self.digits(rest) { length = rest + Self.digits(length) }
        appendDecimal(Int64(length), to: &records)
        records.append(UInt8(ascii: " "))
        records.append(contentsOf: key)
        records.append(UInt8(ascii: "="))
        records.append(contentsOf: value)
        records.append(UInt8(ascii: "\n"))
    }

    private mutating func add(_ key: String, number: Int64) {
        var digits = [UInt8]()
        appendDecimal(number, to: &digits)
        add(key, digits)
    }

    /// Adds the modification time where ustar's whole seconds since 1970 do not do.
    ///
    /// A time before 1970 with a fraction is one decimal number, as POSIX has it and GNU tar reads it: half a second
    /// before 1970 is `-0.5`. libarchive takes the sign for the seconds alone, see ``FileTime/asReadByLibarchive``.
    private mutating func addTime(_ time: FileTime) {
        guard time.nanoseconds != 0 || time.seconds < 0 || time.seconds > Self.largest(digits: 11) else { return }
        var text = [UInt8]()
        var seconds = time.seconds
        var nanoseconds = time.nanoseconds
        if seconds < 0, nanoseconds > 0 {
            seconds += 1
            nanoseconds = 1_000_000_000 - nanoseconds
            if seconds == 0 { text.append(UInt8(ascii: "-")) }
        }
        appendDecimal(seconds, to: &text)
        if nanoseconds != 0 {
            text.append(UInt8(ascii: "."))
            appendNanoseconds(nanoseconds, to: &text)
        }
        add("mtime", text)
    }

    private mutating func addAttributes(_ attributes: [ExtendedAttribute]) {
        for attribute in attributes {
            let key: String
            switch attribute.name {
            case AccessControlList.accessName: key = "SCHILY.acl.access"
            case AccessControlList.defaultName: key = "SCHILY.acl.default"
            default: key = ""
            }
            let list = key.isEmpty ? nil : AccessControlList(attribute: attribute.value)
            if let list { add(key, list.text) }
            // A list with a larger id goes in twice: as text for GNU tar, as it is for us.
            if list?.fitsLibarchive != true {
                add(Array("SCHILY.xattr.".utf8) + AttributeName.encode(attribute.name), attribute.value)
            }
        }
    }

    private static func digits(_ number: Int) -> Int {
        var rest = number
        var digits = 1
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        return digits
    }

    // MARK: The ustar block

    private mutating func appendBlock(
        name: [UInt8],
        mode: UInt32,
        uid: UInt32 = 0,
        gid: UInt32 = 0,
        size: Int64,
        modified: Int64 = 0,
        type: UInt8,
        link: [UInt8] = [],
        device: DeviceNumber? = nil
    ) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: Self.blockSize))
        bytes.withUnsafeMutableBytes { all in
            let block = UnsafeMutableRawBufferPointer(rebasing: all[start...])
            func text(_ bytes: some Collection<UInt8>, at offset: Int, limit: Int) {
                var position = offset
                for byte in bytes.prefix(limit) {
                    block[position] = byte
                    position += 1
                }
            }
            func octal(_ number: Int64, at offset: Int, digits: Int) {
                var rest = max(0, min(number, Self.largest(digits: Int64(digits))))
                for position in stride(from: offset + digits - 1, through: offset, by: -1) {
                    block[position] = UInt8(ascii: "0") + UInt8(rest & 7)
                    rest >>= 3
                }
            }
            text(name, at: 0, limit: 100)
            octal(Int64(mode), at: 100, digits: 7)
            octal(Int64(uid), at: 108, digits: 7)
            octal(Int64(gid), at: 116, digits: 7)
            octal(size, at: 124, digits: 11)
            octal(modified, at: 136, digits: 11)
            text("        ".utf8, at: 148, limit: 8)
            block[156] = type
            text(link, at: 157, limit: 100)
            text("ustar\0".utf8, at: 257, limit: 6)
            text("00".utf8, at: 263, limit: 2)
            octal(Int64(device?.major ?? 0), at: 329, digits: 7)
            octal(Int64(device?.minor ?? 0), at: 337, digits: 7)
            let checksum = block.reduce(0) { $0 + Int64($1) }
            octal(checksum, at: 148, digits: 6)
            block[154] = 0
        }
    }
}

extension FileTime {
    /// What libarchive makes of this time in an archive: before 1970 it adds a fraction that POSIX has it take away.
    ///
    /// Archives that libarchive wrote itself, and those of this program's first versions, have the number that
    /// libarchive reads rightly.
    var asReadByLibarchive: FileTime {
        guard seconds < 0, nanoseconds > 0 else { return self }
        return FileTime(seconds: seconds + 1, nanoseconds: 1_000_000_000 - nanoseconds)
    }
}
