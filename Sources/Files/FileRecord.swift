/// What kind of file an entry is.
public enum FileKind: String, Sendable, CaseIterable {
    case regular = "file"
    case directory = "dir"
    case symbolicLink = "link"
    case fifo = "fifo"
    case characterDevice = "char"
    case blockDevice = "block"
    case socket = "socket"
}

/// A moment as the file system keeps it.
public struct FileTime: Hashable, Sendable, Comparable {
    /// Seconds since 1970-01-01 00:00 UTC; may be negative.
    public var seconds: Int64
    /// 0 to 999 999 999.
    public var nanoseconds: Int32

    /// A moment in seconds and nanoseconds.
    public init(seconds: Int64, nanoseconds: Int32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The earlier moment is smaller.
    public static func < (left: FileTime, right: FileTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}

/// One extended attribute, by its full name: `user.comment`, `security.capability`, `system.posix_acl_access`.
public struct ExtendedAttribute: Hashable, Sendable {
    /// The full name with its class; UTF-8 in practice, bytes on disk.
    public var name: [UInt8]
    /// The value as the kernel gives it.
    ///
    /// POSIX ACLs are in the kernel's binary form, version 2.
    public var value: [UInt8]

    /// An attribute.
    public init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// A stretch of a sparse file that holds data; what lies between such stretches is a hole.
public struct DataExtent: Hashable, Sendable {
    /// Bytes from the start of the file.
    public var offset: Int64
    /// Length in bytes.
    public var length: Int64

    /// A stretch of `length` bytes at `offset`.
    public init(offset: Int64, length: Int64) {
        self.offset = offset
        self.length = length
    }
}

/// Tells that a file has not been touched since it was recorded, without reading it.
///
/// The kernel sets the change time at every write to content or metadata and nobody can set it back, so the same
/// inode with the same change time is the same file. An index leaves the hint out for a file that was touched less
/// than ``racyIntervalNanoseconds`` before it was read: a later write could have got the same change time.
public struct ChangeHint: Hashable, Sendable {
    /// The inode number.
    public var inode: UInt64
    /// `st_ctim`.
    public var changeTime: FileTime

    /// How long a file must have been left alone before it was read for its hint to count, in nanoseconds: the
    /// kernel's clock for file times ticks every 1 to 10 ms; 1 s leaves room for file systems with coarser times.
    public static let racyIntervalNanoseconds: Int64 = 1_000_000_000

    /// A hint.
    public init(inode: UInt64, changeTime: FileTime) {
        self.inode = inode
        self.changeTime = changeTime
    }
}

/// Everything about one file of a tree but its content.
public struct FileRecord: Hashable, Sendable {
    /// Where it lies in its tree.
    public var path: TreePath
    /// What it is.
    public var kind: FileKind
    /// Permission bits with setuid, setgid and sticky: `0o7777` at most.
    public var mode: UInt32
    /// Numeric owner.
    public var uid: UInt32
    /// Numeric group.
    public var gid: UInt32
    /// Bytes of content; 0 for everything but a regular file and a hard link to one.
    public var size: Int64
    /// Modification time.
    public var modified: FileTime
    /// Where a symbolic link points, byte for byte; `nil` for other kinds.
    public var linkTarget: [UInt8]?
    /// The first name, in walking order, of the same file; `nil` for that first name and for files with one name.
    public var hardLink: TreePath?
    /// Major and minor number of a device; `nil` for other kinds.
    public var device: DeviceNumber?
    /// All extended attributes, ACLs and labels among them, sorted by name.
    public var attributes: [ExtendedAttribute]
    /// What proves the content; `nil` until it is known and for other kinds.
    public var digest: ContentDigest?
    /// Tells "not touched since"; `nil` when it cannot be trusted.
    public var hint: ChangeHint?

    /// A record; what is left out is empty or unknown.
    public init(
        path: TreePath,
        kind: FileKind,
        mode: UInt32,
        uid: UInt32,
        gid: UInt32,
        size: Int64 = 0,
        modified: FileTime,
        linkTarget: [UInt8]? = nil,
        hardLink: TreePath? = nil,
        device: DeviceNumber? = nil,
        attributes: [ExtendedAttribute] = [],
        digest: ContentDigest? = nil,
        hint: ChangeHint? = nil
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.modified = modified
        self.linkTarget = linkTarget
        self.hardLink = hardLink
        self.device = device
        self.attributes = attributes
        self.digest = digest
        self.hint = hint
    }
}

/// The number of a device node.
public struct DeviceNumber: Hashable, Sendable {
    /// Which driver.
    public var major: UInt32
    /// Which device of it.
    public var minor: UInt32

    /// A device number.
    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }
}
