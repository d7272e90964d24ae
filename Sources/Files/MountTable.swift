import Glibc
import SystemPackage

/// The mount points of this thread's mount namespace, as `/proc/thread-self/mountinfo` lists them.
///
/// A walk looks here before it touches a name: a look at a mount whose server is gone may never return.
struct MountTable {
    /// What is mounted at one place.
    struct Mount: Hashable {
        /// The file system's type: `tmpfs`, `ext4`, `fuse.sshfs`.
        var type: String
        /// What it comes from, `/dev/sdb1` or `server:/export`; for some types just a word.
        var source: String
    }

    /// A directory of one mount: the same path may be hidden in another mount.
    private struct Directory: Hashable {
        var mountID: UInt64
        var path: [UInt8]
    }

    private var mounts: [Directory: [[UInt8]: Mount]] = [:]

    /// Reads the table of the calling thread.
    init() throws(FilesError) {
        let path = "/proc/thread-self/mountinfo"
        let descriptor = openFile(at: AT_FDCWD, path, O_RDONLY)
        guard descriptor >= 0 else { throw .last("open", path) }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        self.init(text: try file.descriptor.readAll(limitBytes: 64 << 20, path: path))
    }

    /// Takes lines as the kernel writes them; a line that it would not write is passed over.
    ///
    /// `36 35 98:0 /subvol /mnt/data rw,noatime master:1 - ext4 /dev/sdb1 rw`: the mount's number, its parent's, the
    /// device, the root in it, the mount point, its options, optional fields up to a lone `-`, type, source, options.
    /// Blank, tab, newline and backslash in a name are octal escapes. Source: proc_pid_mountinfo(5).
    init(text: [UInt8]) {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count >= 9, let parent = UInt64(String(decoding: fields[1], as: UTF8.self)),
                let dash = fields[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }), fields.count > dash + 2,
                let point = TreePath(validating: Self.unescaped(fields[4])), let directory = point.parent
            else { continue }
            mounts[Directory(mountID: parent, path: directory.bytes), default: [:]][Array(point.name)] = Mount(
                type: FileName.text(of: Self.unescaped(fields[dash + 1])),
                source: FileName.text(of: Self.unescaped(fields[dash + 2]))
            )
        }
    }

    /// What is mounted on names in a directory, by name; empty for nearly every directory.
    ///
    /// - Parameter directory: its absolute path in this mount namespace, without the leading slash.
    /// - Parameter mountID: the mount that the directory itself belongs to.
    func mounts(in directory: TreePath, of mountID: UInt64) -> [[UInt8]: Mount] {
        mounts[Directory(mountID: mountID, path: directory.bytes)] ?? [:]
    }

    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var bytes = [UInt8]()
        var rest = field
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}
