internal import Glibc
internal import SystemPackage

/// What the machine runs, as far as it tells the booted deployment.
struct RunningSystem {
    /// `st_dev` of `/`.
    let device: dev_t
    /// `st_ino` of `/`.
    let inode: ino_t
    /// The kernel's command line.
    let commandLine: String

    /// This machine; `nil` when it was not booted from an ostree deployment.
    static func current() -> RunningSystem? {
        var info = stat()
        guard access("/run/ostree-booted", F_OK) == 0, stat("/", &info) == 0 else { return nil }
        // ignored: without the command line, device and inode of / have to do
        let line = (try? SmallFile.contents(of: "/proc/cmdline")) ?? []
        return RunningSystem(
            device: info.st_dev,
            inode: info.st_ino,
            commandLine: String(decoding: line, as: UTF8.self)
        )
    }
}
