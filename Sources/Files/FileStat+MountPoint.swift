extension FileStat {
    /// Whether something is mounted on this file, which was looked up in a directory on `device`.
    ///
    /// The device decides only when the kernel does not, and for directories alone: overlayfs gives other files
    /// device numbers of their own.
    func isMountPoint(inDirectoryOn device: UInt64?) -> Bool {
        isMountRoot ?? (kind == .directory && identity.device != device)
    }
}
