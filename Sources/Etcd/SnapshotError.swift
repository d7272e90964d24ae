internal import Files
public import NodeInterface
public import Reporting
public import SystemPackage

/// A sound snapshot could not be restored.
public struct SnapshotError: OperatorError, Equatable {
    /// What stands in the way.
    public enum Cause: Sendable, Equatable {
        /// Options that contradict each other or that etcd would not take.
        case options(String)
        /// The snapshot's data are newer than the etcd that is to run on them.
        case olderServer(EtcdVersionFit)
        /// The snapshot is of a cluster of several members, by name, and is to become a cluster of one.
        case severalMembers([String])
        /// A revision beyond 2^63 - 1.
        case revisionOverflow(current: Int64, bump: UInt64)
        /// The place for the result is taken.
        case targetInUse(FilePath, String)
        /// There is not enough space.
        case noSpace(FilePath, needed: ByteCount, free: ByteCount)
        /// The system refused something about a file.
        case system(operation: String, FilePath, Errno)
        /// What was written is not what was to be written.
        case verification(String)
    }

    /// The snapshot, for messages.
    public let snapshot: String
    /// What stands in the way.
    public let cause: Cause

    /// An error about `snapshot`.
    public init(snapshot: String, _ cause: Cause) {
        self.snapshot = snapshot
        self.cause = cause
    }

    /// Names the snapshot or the place and the reason.
    public var summary: String {
        switch cause {
        case .options(let reason): reason
        case .olderServer(let fit):
            "the snapshot '\(snapshot)' holds data of etcd \(fit.dataVersion), which etcd \(fit.serverVersion) is too old "
                + "for" + (fit.refusal.map { ": it ends with '\($0)'" } ?? "")
        case .severalMembers(let names):
            "the snapshot '\(snapshot)' is of a cluster of \(names.count) members: \(names.joined(separator: ", "))"
        case .revisionOverflow(let current, let bump):
            "the revision \(current) of '\(snapshot)' cannot be raised by \(bump): it would not fit into 63 bits"
        case .targetInUse(let path, let reason): "could not restore '\(snapshot)' to '\(path)': \(reason)"
        case .noSpace(let path, let needed, let free):
            "could not restore '\(snapshot)' to '\(path)': it needs \(needed), and \(free) are free"
        case .system(let operation, let path, let errno): "could not \(operation) '\(path)': \(errno)"
        case .verification(let what): "what was restored from '\(snapshot)' is not what it should be: \(what)"
        }
    }

    /// What to do next.
    public var hint: String? {
        switch cause {
        case .system where isForWantOfSpace: "find the full file system: df -h; df -i"
        case .options, .revisionOverflow, .system: nil
        case .olderServer(let fit):
            fit.verdict == .unsupported
                ? "use an etcd of that version; or insist with --allow-older-server, which etcd does not support"
                : "use an etcd of that version"
        case .severalMembers:
            "recover the cluster from another member that still has a quorum; or make a cluster of this member alone, "
                + "which ends the others, with --force-new-cluster"
        case .targetInUse(let path, _): "move it away first, for example: mv '\(path)' '\(path).old'"
        case .noSpace(let path, _, _): "free space on the file system of '\(path)'"
        case .verification: "nothing was put in place; check for I/O errors: journalctl -k -p err"
        }
    }

    /// Whether there was no room for what is restored.
    public var isForWantOfSpace: Bool {
        switch cause {
        case .noSpace: true
        case .system(_, _, let errno): errno.isForWantOfSpace
        default: false
        }
    }

    /// By cause.
    public var exitStatus: ExitStatus {
        switch cause {
        case .options, .revisionOverflow: .usage
        case .olderServer, .severalMembers: .config
        case .targetInUse, .noSpace: .cantCreate
        case .system where isForWantOfSpace: .cantCreate
        case .system(_, _, .permissionDenied), .system(_, _, .notPermitted): .noPermission
        case .system, .verification: .ioError
        }
    }
}
