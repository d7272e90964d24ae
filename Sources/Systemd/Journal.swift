public import Glibc

/// Whether journald reads what we write.
public enum Journal {
    /// Whether standard error goes to journald, so that structured entries are better than lines.
    ///
    /// systemd sets `JOURNAL_STREAM` to the device and inode of the stream that it made; a child whose standard error
    /// was redirected has the variable, but another file. Source: systemd.exec(5).
    /// - Parameter descriptor: another stream than standard error.
    public static func isConnected(_ descriptor: Int32 = STDERR_FILENO, environment: [String: String]) -> Bool {
        var info = stat()
        guard let stream = environment["JOURNAL_STREAM"], fstat(descriptor, &info) == 0 else { return false }
        return names(stream, device: UInt64(info.st_dev), inode: UInt64(info.st_ino))
    }

    /// Whether the variable's text, `DEVICE:INODE` in decimal, names a file.
    static func names(_ stream: String, device: UInt64, inode: UInt64) -> Bool {
        let parts = stream.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 && UInt64(parts[0]) == device && UInt64(parts[1]) == inode
    }
}
