public import Files
public import RPC
public import Reporting
public import SystemPackage
public import YAML

/// The API server cannot be asked, or did not do what it was asked.
public struct ClusterError: OperatorError, Equatable {
    /// What went wrong.
    public enum Fault: Sendable, Equatable {
        /// None of the kubeconfigs that are looked for exists.
        case noKubeconfig([FilePath])
        /// A kubeconfig, or a file that it names, cannot be read.
        case file(FilesError)
        /// A kubeconfig is not YAML.
        case notYAML(YAMLError)
        /// A kubeconfig does not say how to reach the server and who we are.
        case unusable(FilePath, String)
        /// The call did not come to an answer; with the kubeconfig that it was made with.
        case call(RPCError, kubeconfig: FilePath)
        /// The server answered with an error: what was asked for, the HTTP status, and its own words.
        case refused(server: String, action: String, status: Int, message: String, kubeconfig: FilePath)
        /// An answer that is not what the API documents.
        case undecodable(server: String, action: String)
        /// A certificate request is not what it was when it was listed.
        case requestChanged(name: String)
    }

    /// What went wrong.
    public let fault: Fault

    init(_ fault: Fault) {
        self.fault = fault
    }

    /// The server or the file, and what is wrong.
    public var summary: String {
        switch fault {
        case .noKubeconfig(let paths):
            "no kubeconfig was found: none of " + paths.map { "'\($0)'" }.joined(separator: ", ") + " exists"
        case .file(let error): error.summary
        case .notYAML(let error): error.summary
        case .unusable(let path, let what): "cannot use the kubeconfig '\(path)': \(what)"
        case .call(let error, _): Self.plain(error).summary
        case .refused(let server, let action, let status, let message, _):
            "'\(server)' refused to \(action): HTTP status \(status)" + (message.isEmpty ? "" : ": \(message)")
        case .undecodable(let server, let action): "'\(server)' sent an unexpected answer to a request to \(action)"
        case .requestChanged(let name): "the certificate request '\(name)' has changed since it was listed"
        }
    }

    /// The command that shows more.
    public var hint: String? {
        switch fault {
        case .noKubeconfig, .undecodable: nil
        case .file(let error): error.hint
        case .notYAML: nil
        case .unusable(let path, _):
            "check what it holds, without its secrets: kubectl --kubeconfig '\(path)' config view"
        case .call(let error, let path):
            switch Self.plain(error).fault {
            case .connectFailed, .connectTimedOut, .cut, .connectionLost, .stalled, .deadline:
                "check whether the API server is running: crictl ps --name kube-apiserver"
            case .certificateRefused, .fileUnusable, .keyMismatch, .keyEncrypted, .serverNotTrusted:
                "the kubeconfig is '\(path)'; check its server and its user: kubectl --kubeconfig '\(path)' config view"
            default: error.hint
            }
        case .refused(_, _, 401, _, let path), .refused(_, _, 403, _, let path):
            "check which user the kubeconfig stands for: kubectl --kubeconfig '\(path)' auth whoami"
        case .refused(_, _, _, _, let path):
            "check how the server is doing: kubectl --kubeconfig '\(path)' get --raw '/readyz?verbose'"
        case .requestChanged(let name): "look at it: kubectl describe csr \(name)"
        }
    }

    /// 69 for a server that does not serve us; 66, 77, 78 for our own files.
    public var exitStatus: ExitStatus {
        switch fault {
        case .noKubeconfig: .noInput
        case .file(let error): error.exitStatus
        case .notYAML, .unusable: .config
        case .call(let error, _): error.exitStatus
        case .refused(_, _, 401, _, _), .refused(_, _, 403, _, _): .noPermission
        case .refused, .undecodable, .requestChanged: .unavailable
        }
    }

    /// An API server asks everybody for a certificate and refuses none for who it is: when it hangs up in silence, it
    /// is about to end, and a certificate whose time is right is not why.
    private static func plain(_ error: RPCError) -> RPCError {
        if case .certificateRefused(alert: nil, _, flaw: nil) = error.fault {
            RPCError(error.target, .cut(reason: nil))
        } else {
            error
        }
    }
}
