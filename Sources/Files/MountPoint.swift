import CLinux
import Glibc
public import SystemPackage

/// Tells where file systems begin.
public enum MountPoint {
    /// Whether something is mounted at `path`; a symbolic link at its end is followed.
    public static func exists(at path: FilePath) throws(FilesError) -> Bool {
        let directory = try Directory(path: path)
        let stat = try FileStat(of: directory.descriptor, path: path.operatorText)
        if let isMountRoot = stat.isMountRoot { return isMountRoot }
        var parent = CLinux_stat()
        guard CLinux_statx(directory.raw, "..", &parent) == 0 else { throw .last("look above", path.operatorText) }
        // the root of all is its own parent
        return parent.device != stat.identity.device || parent.inode == stat.identity.inode
    }
}

extension FileStat {
    /// Whether something is mounted on this file, which was looked up in a directory on `device`.
    ///
    /// The device decides only when the kernel does not, and for directories alone: overlayfs gives other files
    /// device numbers of their own.
    func isMountPoint(inDirectoryOn device: UInt64?) -> Bool {
        isMountRoot ?? (kind == .directory && identity.device != device)
    }
}
