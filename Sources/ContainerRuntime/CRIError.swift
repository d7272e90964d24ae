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
        /// The sandbox of a pod could not be changed: `stop` or `remove`, and its id.
        case pod(action: String, id: String, RPCError.Fault)
        /// The runtime cannot list its images: one damaged record in CRI-O's store is enough.
        case imageList(GRPCStatus)
        /// The runtime cannot say how one image is: its record is damaged.
        case image(String, GRPCStatus)
        /// The runtime speaks an older CRI than `v1`, or none.
        case noV1
        /// An answer that is not a message of the CRI.
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
        case .imageList(let status):
            "the container runtime at '\(socket)' cannot list its images: \(status.name): \(status.message)"
        case .image(let name, let status):
            "the container runtime at '\(socket)' cannot read the image '\(name)': \(status.name): \(status.message)"
        case .undecodable(let method): "the container runtime at '\(socket)' sent an unexpected answer to \(method)"
        }
    }

    /// The command that shows more.
    public var hint: String? {
        switch fault {
        case .call(let fault): RPCError(.unix(socket), fault).hint
        case .imageList:
            "find the image whose record is damaged, remove it and pull it again: crictl -r unix://\(socket) images, podman images"
        case .image(let name, _):
            "remove it and pull it again: crictl -r unix://\(socket) rmi '\(name)', then crictl -r unix://\(socket) pull '\(name)'"
        case .pod(_, let id, _): "check what the runtime says about it: crictl -r unix://\(socket) inspectp \(id)"
        case .noV1:
            "CRI-O serves v1 from 1.20 on, containerd from 1.6 on, if its plugin 'cri' is not disabled: crictl -r unix://\(socket) version"
        case .undecodable: nil
        }
    }

    /// 69.
    public var exitStatus: ExitStatus {
        switch fault {
        case .call(let fault), .pod(_, _, let fault): RPCError(.unix(socket), fault).exitStatus
        case .imageList, .image, .noV1, .undecodable: .unavailable
        }
    }

    /// Whether no runtime is running: there is no socket, or nobody serves it any more.
    var isRuntimeMissing: Bool {
        if case .call(let fault) = fault { RPCError(.unix(socket), fault).isServerMissing } else { false }
    }

    /// Whether the runtime does not know what it was asked about.
    var isNotFound: Bool {
        switch fault {
        case .call(.status(let status)), .pod(_, _, .status(let status)): status.code == GRPCStatus.notFound
        default: false
        }
    }
}
