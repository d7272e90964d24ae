internal import Files
public import Reporting
internal import SystemPackage

/// The ostree sysroot cannot be read, or a deployment cannot be pinned or made the default.
public struct OSTreeError: OperatorError, Equatable {
    enum Reason: Equatable {
        case files(FilesError)
        case damaged(FilePath, String)
        case notManaged(FilePath)
        case notThere(DeploymentName, FilePath)
        case staged(DeploymentName)
        case notPinned(DeploymentName)
        case notUnpinned(DeploymentName)
        case otherPinChanged(wanted: DeploymentName, changed: [DeploymentName])
        case stagedDefault(DeploymentName)
        case stillStaged(DeploymentName)
        case notDefault(DeploymentName, first: DeploymentName?)
        case lost(wanted: DeploymentName, lost: [DeploymentName])
        case defaultChangedPins(wanted: DeploymentName, changed: [DeploymentName])
        case noLibrary(String)
        case library(DeploymentName, String)
        case limit(Duration)
        case notInRepository(String, FilePath)
        case notDeployed(String)
        case notRepairable(DeploymentName, [String])
    }

    let reason: Reason

    /// What of the sysroot or which deployment, and what is wrong with it.
    public var summary: String {
        switch reason {
        case .files(let error):
            error.summary
        case .damaged(let path, let what):
            "the ostree sysroot is damaged: '\(path)': \(what)"
        case .notManaged(let root):
            "there are no ostree deployments below '\(root)'"
        case .notThere(let name, let root):
            "the deployment '\(name)' was not found among those below '\(root)'"
        case .staged(let name):
            "could not pin the deployment '\(name)': it is staged, and ostree writes it at the next shutdown"
        case .notPinned(let name):
            "the deployment '\(name)' is not pinned, though 'ostree admin pin' succeeded"
        case .notUnpinned(let name):
            "the deployment '\(name)' is still pinned, though 'ostree admin pin --unpin' succeeded"
        case .otherPinChanged(let wanted, let changed):
            "changing the pin of the deployment '\(wanted)' changed the pin of "
                + changed.map { "'\($0)'" }.joined(separator: ", ")
                + ": another program changed the deployments at the same moment"
        case .stagedDefault(let name):
            "could not make the deployment '\(name)' the default: it is staged, and ostree writes it at the next shutdown"
        case .stillStaged(let name):
            "the deployment '\(name)' is still staged, though 'ostree admin undeploy' succeeded: it would become the "
                + "default at the next shutdown"
        case .notDefault(let name, let first):
            "the deployment '\(name)' is not the default afterwards, "
                + (first.map { "'\($0)' is" } ?? "there is none at all")
        case .lost(let wanted, let lost):
            "while the deployment '\(wanted)' was made the default, other deployments disappeared: "
                + lost.map { "'\($0)'" }.joined(separator: ", ")
        case .defaultChangedPins(let wanted, let changed):
            "while the deployment '\(wanted)' was made the default, the pin of "
                + changed.map { "'\($0)'" }.joined(separator: ", ") + " changed"
        case .noLibrary(let reason):
            "could not load libostree: \(reason)"
        case .library(let name, let reason):
            "could not make the deployment '\(name)' the default: \(reason)"
        case .limit(let limit):
            "ostree did not write the boot loader's entries within \(limit.operatorText)"
        case .notInRepository(let checksum, let repository):
            "the commit '\(checksum)' is not in the repository '\(repository)'"
        case .notDeployed(let checksum):
            "there is no deployment of the commit '\(checksum)', though 'ostree admin deploy' succeeded"
        case .notRepairable(let name, let reasons):
            "what a boot of the deployment '\(name)' needs cannot be put back: " + reasons.joined(separator: "; ")
        }
    }

    /// The ostree command that shows or fixes it.
    public var hint: String? {
        switch reason {
        case .files(let error): error.hint
        case .notManaged: nil
        case .damaged, .notThere: "see what ostree itself says with 'ostree admin status'"
        case .staged: "reboot into it, then run this again; 'ostree admin status' shows which one is staged"
        case .notPinned:
            "pin it by hand with 'ostree admin pin INDEX'; 'ostree admin status' lists them from index 0 on"
        case .otherPinChanged:
            "look at 'ostree admin status', undo what is wrong with 'ostree admin pin --unpin INDEX', "
                + "then run this again"
        case .notUnpinned:
            "unpin it by hand with 'ostree admin pin --unpin INDEX'; 'ostree admin status' lists them from index 0 on"
        case .stagedDefault: "reboot into it: 'systemctl reboot'"
        case .stillStaged: "remove it with 'ostree admin undeploy 0', then run this again"
        case .notDefault, .lost, .defaultChangedPins, .notDeployed: "see what there is now with 'ostree admin status'"
        case .notInRepository:
            "pull it with 'ostree pull', or boot a deployment that the node has: 'ostree admin status'"
        case .notRepairable: "see what there is with 'ostree admin status' and 'ls -lR /boot/loader/ /boot/ostree'"
        case .noLibrary, .library, .limit:
            "see what ostree itself says with 'ostree admin status'; the boot loader's menu starts any deployment"
        }
    }

    /// `77`, `74`, `66` for what cannot be read or does not exist, `69` when ostree does not do what it was asked.
    public var exitStatus: ExitStatus {
        switch reason {
        case .files(let error): error.exitStatus
        case .damaged: .ioError
        case .notManaged, .notThere, .notInRepository: .noInput
        case .staged, .notPinned, .otherPinChanged, .stagedDefault, .stillStaged, .notDefault, .lost,
            .defaultChangedPins, .noLibrary, .library, .limit, .notUnpinned, .notDeployed, .notRepairable:
            .unavailable
        }
    }
}

extension OSTreeError {
    static func files(_ error: FilesError) -> OSTreeError { .init(reason: .files(error)) }
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
    static func stagedDefault(_ name: DeploymentName) -> OSTreeError { .init(reason: .stagedDefault(name)) }
    static func stillStaged(_ name: DeploymentName) -> OSTreeError { .init(reason: .stillStaged(name)) }
    static func notDefault(_ name: DeploymentName, first: DeploymentName?) -> OSTreeError {
        .init(reason: .notDefault(name, first: first))
    }
    static func lost(wanted: DeploymentName, lost: [DeploymentName]) -> OSTreeError {
        .init(reason: .lost(wanted: wanted, lost: lost))
    }
    static func defaultChangedPins(wanted: DeploymentName, changed: [DeploymentName]) -> OSTreeError {
        .init(reason: .defaultChangedPins(wanted: wanted, changed: changed))
    }
    static func noLibrary(_ reason: String) -> OSTreeError { .init(reason: .noLibrary(reason)) }
    static func library(_ name: DeploymentName, _ reason: String) -> OSTreeError {
        .init(reason: .library(name, reason))
    }
    static func notUnpinned(_ name: DeploymentName) -> OSTreeError { .init(reason: .notUnpinned(name)) }
    static func notInRepository(_ checksum: String, _ repository: FilePath) -> OSTreeError {
        .init(reason: .notInRepository(checksum, repository))
    }
    static func notDeployed(_ checksum: String) -> OSTreeError { .init(reason: .notDeployed(checksum)) }
    static func notRepairable(_ name: DeploymentName, _ reasons: [String]) -> OSTreeError {
        .init(reason: .notRepairable(name, reasons))
    }
    static func limit(_ limit: Duration) -> OSTreeError { .init(reason: .limit(limit)) }
}
