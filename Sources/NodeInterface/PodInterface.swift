public import Reporting

/// A pod as the container runtime has it: a sandbox with the pod's namespaces.
public struct PodSandbox: Sendable, Hashable {
    /// The runtime's id for it.
    public var id: String
    /// The pod's namespace and name.
    public var namespace: String
    /// The pod's name; that of a static pod ends in `-` and the node's name.
    public var name: String
    /// Whether its sandbox is up.
    public var isReady: Bool

    /// A sandbox made of its parts.
    public init(id: String, namespace: String, name: String, isReady: Bool) {
        self.id = id
        self.namespace = namespace
        self.name = name
        self.isReady = isReady
    }
}

/// Why a container of a pod does not do what is waited for, in the runtime's words.
public struct ContainerTrouble: Sendable, Hashable {
    /// What the runtime says.
    public enum Reason: Sendable, Hashable {
        /// The pod has no sandbox: the kubelet has not started it, or could not.
        case noSandbox
        /// The runtime does not have this image.
        case imageMissing(String)
        /// The sandbox is up, and the container was not created.
        case notCreated
        /// It was created and did not start; the runtime's reason.
        case notStarted(String)
        /// It ended with this status; the runtime's word (`OOMKilled`) where it says more than `Error`.
        case exited(status: Int32, word: String?)
    }

    /// The pod's name.
    public var pod: String
    /// The container's name in its pod; empty when no container is known.
    public var container: String
    /// What the runtime says.
    public var reason: Reason
    /// How often it was started; 0 when it never was.
    public var starts: Int
    /// Whether it is running again at this moment.
    public var isRunning: Bool
    /// The last line that it printed before its end, without control characters, at most 200 characters.
    public var lastLine: String?

    /// A trouble made of its parts.
    public init(
        pod: String,
        container: String,
        reason: Reason,
        starts: Int = 0,
        isRunning: Bool = false,
        lastLine: String? = nil
    ) {
        self.pod = pod
        self.container = container
        self.reason = reason
        self.starts = starts
        self.isRunning = isRunning
        self.lastLine = lastLine
    }

    /// For the operator, on one line: `container etcd exited 1, 4 times: <its last line>`.
    public var text: String {
        let what =
            switch reason {
            case .noSandbox: "pod \(pod) has no sandbox: the kubelet has not started it"
            case .imageMissing(let image): "image '\(image)' is missing"
            case .notCreated: "no container of pod \(pod) was created"
            case .notStarted(let why): "container \(container) did not start: \(why)"
            case .exited(let status, let word):
                "container \(container) exited \(status)" + (word.map { " (\($0))" } ?? "")
                    + (starts > 1 ? ", \(starts) times" : "") + (isRunning ? ", and is running again" : "")
            }
        return what + (lastLine.map { ": \($0)" } ?? "")
    }
}

/// A pod that did not stop, or was not removed, in time, although its containers were killed.
///
/// A process that waits in the kernel (a device or a file system that does not answer) cannot be killed; only a reboot
/// ends it. The runtime answers all the while.
public struct StuckPod: OperatorError, Equatable {
    /// The runtime's id of the sandbox.
    public let id: String
    /// `stop` or `remove`.
    public let action: String
    /// How long it was waited for.
    public let limit: Duration

    /// A pod that is stuck.
    public init(id: String, action: String, limit: Duration) {
        self.id = id
        self.action = action
        self.limit = limit
    }

    /// The pod, and how long it was waited for.
    public var summary: String {
        "could not \(action) the pod sandbox '\(id)' within \(limit.operatorText), although its containers were killed"
    }

    /// Where to look.
    public var hint: String? {
        "check for a process that cannot be killed (state D): ps -eo pid,stat,wchan:32,args; a reboot ends it"
    }

    /// 69.
    public var exitStatus: ExitStatus { .unavailable }
}

/// The pods that the container runtime of the node runs.
public protocol PodInterface: Sendable {
    /// Every sandbox, up or not; sorted by namespace and name. `nil` when no runtime is running: there is no socket, or
    /// nobody serves it any more.
    func pods() throws -> [PodSandbox]?

    /// What keeps the containers of a pod from running; empty when all of them run, or no runtime is running.
    /// - Parameter name: the pod's name; that of a static pod may be given without `-` and the node's name.
    /// - Parameter images: the images that the pod needs.
    func troubles(ofPod name: String, images: [String]) throws -> [ContainerTrouble]

    /// Stops what runs in a sandbox, and the sandbox; one that is stopped or gone stays as it is.
    /// - Throws: ``StuckPod`` when it does not end even when it is killed.
    func stopPod(_ id: String, limit: Duration) throws

    /// Removes a stopped sandbox with its containers; one that is gone stays so.
    /// - Throws: ``StuckPod`` when it does not end.
    func removePod(_ id: String, limit: Duration) throws
}
