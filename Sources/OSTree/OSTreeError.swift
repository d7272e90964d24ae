public import Reporting
internal import SystemPackage

/// The ostree sysroot cannot be read, or a deployment cannot be pinned.
public struct OSTreeError: OperatorError, Equatable {
    enum Reason: Equatable {
        case unreadable(FilePath, Errno)
        case damaged(FilePath, String)
        case notManaged(FilePath)
        case notThere(DeploymentName, FilePath)
        case staged(DeploymentName)
        case notPinned(DeploymentName)
        case otherPinChanged(wanted: DeploymentName, changed: [DeploymentName])
    }

    let reason: Reason

    /// What of the sysroot or which deployment, and what is wrong with it.
    public var summary: String {
        switch reason {
        case .unreadable(let path, let error):
            "could not read '\(path)': \(error)"
        case .damaged(let path, let what):
            "the ostree sysroot is damaged: '\(path)': \(what)"
        case .notManaged(let root):
            "there are no ostree deployments below '\(root)'"
        case .notThere(let name, let root):
            "the deployment '\(name)' is not among those below '\(root)'"
        case .staged(let name):
            "could not pin the deployment '\(name)': it is staged, and ostree writes it at the next shutdown"
        case .notPinned(let name):
            "the deployment '\(name)' is not pinned, though 'ostree admin pin' ended well"
        case .otherPinChanged(let wanted, let changed):
            "pinning the deployment '\(wanted)' changed the pin of "
                + changed.map { "'\($0)'" }.joined(separator: ", ")
                + ": another program changed the deployments at the same moment"
        }
    }

    /// The ostree command that shows or mends it.
    public var hint: String? {
        switch reason {
        case .unreadable, .notManaged: nil
        case .damaged, .notThere: "see what ostree itself says with 'ostree admin status'"
        case .staged: "reboot into it, then run this again; 'ostree admin status' shows which one is staged"
        case .notPinned:
            "pin it by hand with 'ostree admin pin INDEX'; 'ostree admin status' lists them from index 0 on"
        case .otherPinChanged:
            "look at 'ostree admin status', take back what is wrong with 'ostree admin pin --unpin INDEX', "
                + "then run this again"
        }
    }

    /// `77`, `74`, `66` for what cannot be read or is not there, `69` when ostree does not do what it was asked.
    public var exitStatus: ExitStatus {
        switch reason {
        case .unreadable(_, let error): error == .permissionDenied ? .noPermission : .ioError
        case .damaged: .ioError
        case .notManaged, .notThere: .noInput
        case .staged, .notPinned, .otherPinChanged: .unavailable
        }
    }
}

extension OSTreeError {
    static func unreadable(_ path: FilePath, _ error: Errno) -> OSTreeError { .init(reason: .unreadable(path, error)) }
    static func damaged(_ path: FilePath, _ what: String) -> OSTreeError { .init(reason: .damaged(path, what)) }
    static func notManaged(_ root: FilePath) -> OSTreeError { .init(reason: .notManaged(root)) }
    static func notThere(_ name: DeploymentName, _ root: FilePath) -> OSTreeError {
        .init(reason: .notThere(name, root))
    }
    static func staged(_ name: DeploymentName) -> OSTreeError { .init(reason: .staged(name)) }
    static func notPinned(_ name: DeploymentName) -> OSTreeError { .init(reason: .notPinned(name)) }
    static func otherPinChanged(wanted: DeploymentName, changed: [DeploymentName]) -> OSTreeError {
        .init(reason: .otherPinChanged(wanted: wanted, changed: changed))
    }
}
