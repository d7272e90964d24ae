internal import Files

/// A POSIX access control list in the two forms that matter here: the kernel's extended attribute, and the text that
/// tar archives carry (`user::rw-,user:1000:r--,group::r--,mask::rw-,other::r--`), with numeric ids.
///
/// Kernel form: a little-endian 32-bit version (2), then eight bytes an entry: tag and permissions in 16 bits each,
/// the id in 32. Source: Linux `include/uapi/linux/posix_acl_xattr.h`, `posix_acl.h`.
struct AccessControlList: Hashable {
    struct Entry: Hashable {
        var tag: Tag
        /// Read 4, write 2, execute 1.
        var permissions: UInt16
        /// The user or group; ``AccessControlList/noID`` for the other tags.
        var id: UInt32
    }

    enum Tag: UInt16 {
        case owner = 0x01
        case user = 0x02
        case owningGroup = 0x04
        case group = 0x08
        case mask = 0x10
        case other = 0x20
    }

    static let noID = UInt32.max
    static let accessName = Array("system.posix_acl_access".utf8)
    static let defaultName = Array("system.posix_acl_default".utf8)

    private static let version: UInt32 = 2

    var entries: [Entry]

    init(entries: [Entry]) {
        self.entries = entries
    }

    /// Reads the value of the extended attribute.
    /// - Returns: `nil` when it is not what the kernel itself gives: another version, an unknown tag, not in order.
    init?(attribute value: [UInt8]) {
        guard value.count >= 4, (value.count - 4) % 8 == 0, Self.number(value[0..<4]) == Self.version else {
            return nil
        }
        entries = []
        for start in stride(from: 4, to: value.count, by: 8) {
            let permissions = UInt16(Self.number(value[(start + 2)..<(start + 4)]))
            let id = Self.number(value[(start + 4)..<(start + 8)])
            guard let tag = Tag(rawValue: UInt16(Self.number(value[start..<(start + 2)]))), permissions <= 7,
                (tag == .user || tag == .group) == (id != Self.noID)
            else { return nil }
            entries.append(Entry(tag: tag, permissions: permissions, id: id))
        }
        guard self == sorted() else { return nil }
    }

    /// The value of the extended attribute.
    var attribute: [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(4 + 8 * entries.count)
        func append(_ number: UInt32, bytes count: Int) {
            for shift in 0..<count { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * UInt32(shift)))) }
        }
        append(Self.version, bytes: 4)
        for entry in entries {
            append(UInt32(entry.tag.rawValue), bytes: 2)
            append(UInt32(entry.permissions), bytes: 2)
            append(entry.id, bytes: 4)
        }
        return bytes
    }

    /// Whether libarchive can read the text: it cuts larger ids down.
    var fitsLibarchive: Bool { entries.allSatisfy { $0.id == Self.noID || $0.id <= Int32.max } }

    /// The text for a tar archive.
    var text: [UInt8] {
        var text = ""
        for entry in entries {
            if !text.isEmpty { text += "," }
            switch entry.tag {
            case .owner: text += "user::"
            case .user: text += "user:\(entry.id):"
            case .owningGroup: text += "group::"
            case .group: text += "group:\(entry.id):"
            case .mask: text += "mask::"
            case .other: text += "other::"
            }
            text += entry.permissions & 4 != 0 ? "r" : "-"
            text += entry.permissions & 2 != 0 ? "w" : "-"
            text += entry.permissions & 1 != 0 ? "x" : "-"
        }
        return Array(text.utf8)
    }

    /// In the order that the kernel demands: by tag, users and groups by id.
    func sorted() -> AccessControlList {
        AccessControlList(entries: entries.sorted { ($0.tag.rawValue, $0.id) < ($1.tag.rawValue, $1.id) })
    }

    /// What `stat` shows as the group's permissions of a file with this list: those of the mask.
    var groupPermissions: UInt16? {
        (entries.first { $0.tag == .mask } ?? entries.first { $0.tag == .owningGroup })?.permissions
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
