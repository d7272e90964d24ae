import CLinux
import Glibc
public import SystemPackage

/// Which file it is, whatever its names are: two names with the same identity are hard links.
public struct FileIdentity: Hashable, Sendable {
    /// The device number of the file system (`st_dev`).
    public let device: UInt64
    /// The number of the file in it.
    public let inode: UInt64

    /// An identity.
    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// What one `statx(2)` tells about a file.
public struct FileStat: Hashable, Sendable {
    /// Which file it is.
    public let identity: FileIdentity
    /// What it is.
    public let kind: FileKind
    /// Permission bits with setuid, setgid and sticky.
    public let mode: UInt32
    /// Numeric owner.
    public let uid: UInt32
    /// Numeric group.
    public let gid: UInt32
    /// Bytes as the kernel counts them; for a directory that means nothing.
    public let size: Int64
    /// Bytes that it takes on the disk.
    public let allocatedBytes: Int64
    /// How many names it has.
    public let linkCount: UInt32
    /// When its content was changed last.
    public let modified: FileTime
    /// When its content or metadata was changed last; nobody can set it.
    public let changed: FileTime
    /// Major and minor number of a device; `nil` for other kinds.
    public let device: DeviceNumber?
    /// Whether nobody may change or remove it before `chattr -i -a`.
    public let isImmutable: Bool
    /// Whether something is mounted here; `nil` when the kernel does not say (before Linux 5.8).
    public let isMountRoot: Bool?
    /// The mount that it was reached through, as `/proc/self/mountinfo` numbers it; `nil` before Linux 5.8.
    let mountID: UInt64?

    init(_ raw: CLinux_stat) {
        identity = FileIdentity(device: raw.device, inode: raw.inode)
        kind =
            switch raw.mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFIFO: .fifo
            case S_IFCHR: .characterDevice
            case S_IFBLK: .blockDevice
            default: .socket  // nothing else has a name in a file system
            }
        mode = raw.mode & 0o7777
        uid = raw.uid
        gid = raw.gid
        size = Int64(clamping: raw.size)
        let (bytes, isTooLarge) = raw.blocks.multipliedReportingOverflow(by: 512)
        allocatedBytes = isTooLarge ? .max : Int64(clamping: bytes)
        linkCount = raw.nlink
        modified = FileTime(seconds: raw.mtime_sec, nanoseconds: Int32(clamping: raw.mtime_nsec))
        changed = FileTime(seconds: raw.ctime_sec, nanoseconds: Int32(clamping: raw.ctime_nsec))
        let isDevice = kind == .characterDevice || kind == .blockDevice
        device =
            isDevice
            ? DeviceNumber(major: UInt32(clamping: raw.rdev_major), minor: UInt32(clamping: raw.rdev_minor)) : nil
        isImmutable = raw.immutable != 0
        isMountRoot = raw.mount_root < 0 ? nil : raw.mount_root != 0
        mountID = raw.mount_id == 0 ? nil : raw.mount_id
    }

    /// Looks at an open file.
    /// - Parameter path: the file's name for the error.
    public init(of descriptor: FileDescriptor, path: @autoclosure () -> String) throws(FilesError) {
        var raw = CLinux_stat()
        guard CLinux_statx(descriptor.rawValue, "", &raw) == 0 else { throw .last("examine", path()) }
        self.init(raw)
    }

    /// Bytes of its content that take room: at most its length, less when it has holes.
    public var dataBytes: Int64 { kind == .regular ? min(size, allocatedBytes) : 0 }

    /// Whether it takes less room than it is long, so that looking for holes may pay.
    public var mayHaveHoles: Bool { kind == .regular && allocatedBytes < size }

    /// Whether neither content nor metadata has been touched between this look and `later`.
    public func isUnchanged(in later: FileStat) -> Bool {
        identity == later.identity && changed == later.changed && modified == later.modified && size == later.size
    }

    /// The record of a file that has this status; link target and attributes are left out.
    public func record(path: TreePath, hardLink: TreePath? = nil) -> FileRecord {
        FileRecord(
            path: path,
            kind: kind,
            mode: mode,
            uid: uid,
            gid: gid,
            size: kind == .regular ? size : 0,
            modified: modified,
            hardLink: hardLink,
            device: device,
            hint: ChangeHint(inode: identity.inode, changeTime: changed)
        )
    }
}
