import CLinux
import Glibc
import NodeInterface
import Reporting
import SystemPackage

/// Leaves the container of a backup job for the host that it runs on.
///
/// TALM's job starts `launchBackup` in a privileged container with directories of the host below `/host`, the host's
/// `/proc` among them (its `backup-templates.go`). Through `/host/proc/1/ns` the process enters the host's mount,
/// network and host name namespaces: then `/` is the node's whole root, etcd is at `127.0.0.1`, and nothing has to be
/// prepared below `/host`. No `hostPID` or `hostNetwork` is needed for that.
///
/// The numbers of processes stay the container's: the kernel gives those of the host to new processes only. So this
/// process puts a `/proc` with its own numbers over the host's, in mounts that nobody else sees: every second libdispatch
/// opens `/proc/N/stat` of each of its threads, and ends the program where it is not there (its `workqueue.c`,
/// `_dispatch_workq_count_runnable_workers`).
enum HostEntry {
    /// Where a job sees the host.
    private static let host = "/host"

    /// The container's own file for the last message, which has no name any more on the host: a way to it that stays.
    ///
    /// Written once, before the first thread starts.
    nonisolated(unsafe) private(set) static var terminationLog = WellKnownPaths.terminationLog

    /// Enters the host when the arguments are those of a job in a container; does nothing elsewhere, and where
    /// `--root` says what the node is.
    ///
    /// Where the kernel refuses the namespaces, `/host` becomes the root: less of the host is there then.
    /// - Precondition: This process has one thread.
    /// - Throws: ``NoWayIn`` when neither is allowed.
    static func enterIfAsked(_ arguments: [String]) throws(NoWayIn) {
        guard arguments.contains(UpgradeRecovery.Verb.launchBackupWord),
            !arguments.contains(where: { $0 == "--root" || $0.hasPrefix("--root=") }),
            access("\(host)/proc/1", F_OK) == 0, !isOnHost
        else { return }
        // Left open on purpose until the process ends.
        let log = open(WellKnownPaths.terminationLog.string, O_WRONLY | O_CLOEXEC)
        if log >= 0 { terminationLog = FilePath("/proc/self/fd/\(log)") }
        if let refusal = enterNamespaces() {
            guard CLinux_own_proc("\(host)/proc") == 0, chroot(host) == 0, chdir("/") == 0 else {
                throw NoWayIn(error: refusal)
            }
            Streams.printError(
                "upgrade-recovery: warning: the host's namespaces cannot be entered (\(refusal)); "
                    + "only what is mounted below \(host) is backed up"
            )
        } else if CLinux_own_proc("/proc") != 0 {
            throw NoWayIn(error: Errno(rawValue: errno))
        }
    }

    /// Whether this process sees the same mounts as the host's first one.
    private static var isOnHost: Bool {
        var own = stat()
        var first = stat()
        return stat("/proc/self/ns/mnt", &own) == 0 && stat("\(host)/proc/1/ns/mnt", &first) == 0
            && own.st_ino == first.st_ino && own.st_dev == first.st_dev
    }

    /// - Returns: What the kernel said against it.
    private static func enterNamespaces() -> Errno? {
        // The mounts come last: the others could not be opened from there.
        let kinds = [
            ("net", CLinux_CLONE_NEWNET), ("uts", CLinux_CLONE_NEWUTS), ("mnt", CLinux_CLONE_NEWNS),
        ]
        var opened: [(descriptor: Int32, kind: Int32)] = []
        defer { for (descriptor, _) in opened { close(descriptor) } }
        for (name, kind) in kinds {
            let descriptor = open("\(host)/proc/1/ns/\(name)", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return Errno(rawValue: errno) }
            opened.append((descriptor, kind))
        }
        for (descriptor, kind) in opened where CLinux_setns(descriptor, kind) != 0 { return Errno(rawValue: errno) }
        return nil
    }

    /// The container is not allowed to be the host.
    struct NoWayIn: OperatorError {
        /// What the kernel said about the namespaces.
        let error: Errno

        var summary: String { "cannot enter the host at \(host): \(error)" }
        var hint: String? {
            "run the container privileged as user 0, with the host's /proc at \(host)/proc"
        }
        var exitStatus: ExitStatus { .noPermission }
    }
}
