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

/// A container as the runtime has it.
public struct PodContainer: Sendable, Hashable {
    /// The container's name in its pod.
    public var name: String
    /// The runtime's id of the sandbox that it belongs to.
    public var podID: String
    /// Whether it runs.
    public var isRunning: Bool
    /// Its exit status when it has ended; `nil` otherwise.
    public var exitStatus: Int32?
    /// How often it was started before.
    public var attempt: Int

    /// A container made of its parts.
    public init(name: String, podID: String, isRunning: Bool, exitStatus: Int32?, attempt: Int) {
        self.name = name
        self.podID = podID
        self.isRunning = isRunning
        self.exitStatus = exitStatus
        self.attempt = attempt
    }
}

/// The pods that the container runtime of the node runs.
public protocol PodInterface: Sendable {
    /// Every sandbox, up or not; sorted by namespace and name. `nil` when no runtime's socket is there.
    func pods() throws -> [PodSandbox]?

    /// Every container, running or not.
    func podContainers() throws -> [PodContainer]

    /// Stops what runs in a sandbox, and the sandbox; one that is stopped or gone stays as it is.
    func stopPod(_ id: String, limit: Duration) throws

    /// Removes a stopped sandbox with its containers; one that is gone stays so.
    func removePod(_ id: String, limit: Duration) throws
}
