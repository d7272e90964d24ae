internal import Files
internal import SystemPackage

/// What the machine runs, as far as it identifies the booted deployment.
struct RunningSystem {
    /// Device and inode of `/`.
    let identity: FileIdentity
    /// The kernel's command line.
    let commandLine: String

    /// This machine; `nil` when it was not booted from an ostree deployment.
    static func current() -> RunningSystem? {
        // ignored: a machine whose / cannot be read runs no deployment that anybody could name
        guard let root = try? RootDirectory(path: "/"), (try? root.exists("run/ostree-booted")) == true,
            let stat = try? root.stat("")
        else { return nil }
        // ignored: without the command line, device and inode of / have to do
        let line = (try? root.readFile("proc/cmdline", limitBytes: Sysroot.fileLimit)) ?? []
        return RunningSystem(identity: stat.identity, commandLine: String(decoding: line, as: UTF8.self))
    }
}
