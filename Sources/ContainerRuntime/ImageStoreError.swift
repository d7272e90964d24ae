public import RPC
public import Reporting
public import SystemPackage

/// Images that could not be saved or restored.
public struct ImageStoreError: OperatorError, Equatable {
    /// The runtime's socket.
    public let socket: FilePath
    /// What went wrong.
    public let fault: Fault

    /// What can go wrong.
    public enum Fault: Sendable, Hashable {
        /// A call failed: what was to be done, on what.
        case call(action: String, object: String, RPCError.Fault)
        /// An answer that is not a message of containerd's.
        case undecodable(String)
        /// The runtime's store has other bytes under a digest than it should.
        case damagedContent(digest: String, found: String)
        /// A file of the layout has other bytes than its name says.
        case damagedFile(FilePath, found: String)
        /// A manifest or configuration that cannot be understood, by its digest.
        case badDocument(digest: String, reason: String)
        /// A layer unpacked to something else than the image's configuration says.
        case otherLayer(digest: String, wanted: String, found: String)
        /// The runtime does not answer for an image that was put into its store.
        case notTaken(name: String, found: String?)
        /// The runtime does not say where its images are.
        case noSnapshotter
    }

    init(_ socket: FilePath, _ fault: Fault) {
        self.socket = socket
        self.fault = fault
    }

    /// What failed, on what, why.
    public var summary: String {
        switch fault {
        case .call(let action, let object, let fault):
            "could not \(action) '\(object)': \(RPCError(.unix(socket), fault).summary)"
        case .undecodable(let method): "the container runtime at '\(socket)' sent an unexpected answer to \(method)"
        case .damagedContent(let digest, let found):
            "the container runtime's copy of '\(digest)' is damaged: its digest is \(found)"
        case .damagedFile(let path, let found): "'\(path)' is damaged: its digest is \(found)"
        case .badDocument(let digest, let reason): "the image document '\(digest)' is invalid: \(reason)"
        case .otherLayer(let digest, let wanted, let found):
            "the layer '\(digest)' unpacked to \(found), and its image wants \(wanted)"
        case .notTaken(let name, nil): "the container runtime at '\(socket)' does not have '\(name)' after its restore"
        case .notTaken(let name, let found?):
            "the container runtime at '\(socket)' has another image under '\(name)' after its restore: \(found)"
        case .noSnapshotter: "the container runtime at '\(socket)' does not say where its images are"
        }
    }

    /// The command that shows more.
    public var hint: String? {
        switch fault {
        case .call(_, _, let fault): RPCError(.unix(socket), fault).hint
        case .damagedContent(let digest, _):
            "find the images that use it and pull them again: ctr -a \(socket) -n k8s.io content get \(digest)"
        case .notTaken, .otherLayer, .undecodable, .noSnapshotter:
            "check the runtime's log: journalctl -u containerd -n 50"
        case .damagedFile, .badDocument: nil
        }
    }

    /// 69 for the runtime; 65 for the layout's own files.
    public var exitStatus: ExitStatus {
        switch fault {
        case .call(_, _, let fault): RPCError(.unix(socket), fault).exitStatus
        case .damagedFile, .badDocument, .otherLayer: .dataError
        case .undecodable, .damagedContent, .notTaken, .noSnapshotter: .unavailable
        }
    }

    /// The status with which a call ended, when it did.
    var status: Int? {
        if case .call(_, _, .status(let status)) = fault { status.code } else { nil }
    }
}
