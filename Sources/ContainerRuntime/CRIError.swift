public import RPC
public import Reporting
public import SystemPackage

/// A container runtime that did not answer as it should.
public struct CRIError: OperatorError, Equatable {
    /// The runtime's socket.
    public let socket: FilePath
    /// What went wrong.
    public let fault: Fault

    /// What can go wrong with a container runtime.
    public enum Fault: Sendable, Hashable {
        /// The call failed.
        case call(RPCError.Fault)
        /// What was to be done to the sandbox of a pod was not: `stop` or `remove`, and its id.
        case pod(action: String, id: String, RPCError.Fault)
        /// The runtime speaks an older CRI than `v1`, or none.
        case noV1
        /// An answer that is no message of the CRI's.
        case undecodable(String)
    }

    init(_ socket: FilePath, _ fault: Fault) {
        self.socket = socket
        self.fault = fault
    }

    /// The runtime, and what is wrong.
    public var summary: String {
        switch fault {
        case .call(let fault): RPCError(.unix(socket), fault).summary
        case .pod(let action, let id, let fault):
            "could not \(action) the pod sandbox '\(id)': \(RPCError(.unix(socket), fault).summary)"
        case .noV1: "the container runtime at '\(socket)' does not serve version v1 of the CRI"
        case .undecodable(let method): "the container runtime at '\(socket)' answered \(method) with something else"
        }
    }

    /// What to look at.
    public var hint: String? {
        switch fault {
        case .call(let fault): RPCError(.unix(socket), fault).hint
        case .pod(_, let id, _): "see what the runtime says about it: crictl -r unix://\(socket) inspectp \(id)"
        case .noV1:
            "CRI-O serves v1 from 1.20 on, containerd from 1.6 on, if its plugin 'cri' is not disabled: crictl -r unix://\(socket) version"
        case .undecodable: nil
        }
    }

    /// 69.
    public var exitStatus: ExitStatus {
        switch fault {
        case .call(let fault), .pod(_, _, let fault): RPCError(.unix(socket), fault).exitStatus
        case .noV1, .undecodable: .unavailable
        }
    }

    /// Whether the runtime does not know what it was asked about.
    var isNotFound: Bool {
        switch fault {
        case .call(.status(let status)), .pod(_, _, .status(let status)): status.code == GRPCStatus.notFound
        default: false
        }
    }
}
