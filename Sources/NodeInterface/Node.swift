public import Files
public import Logging
public import Reporting
public import SystemPackage

/// Everything of one machine that the toolkit may touch: its root directory and the services that run on it.
///
/// One value is made by the executable and handed down; tests make one whose root is a temporary directory and whose
/// services are scripted. What is not in here is not touched.
public struct Node: Sendable {
    /// The directory that stands for the node's `/`: `/` on the node itself, a mount point in a rescue system.
    public let root: FilePath
    /// The etcd member of this node.
    public let etcd: any EtcdInterface
    /// The operating system deployments.
    public let deployments: any DeploymentInterface
    /// The container runtime.
    public let containers: any ContainerInterface
    /// Where steps and commands log.
    public let log: Logger
    /// The wish of the outside to stop.
    public let cancellation: Cancellation
    /// The wall clock.
    public let now: @Sendable () -> FileTime

    /// A node made of its parts.
    public init(
        root: FilePath,
        etcd: any EtcdInterface,
        deployments: any DeploymentInterface,
        containers: any ContainerInterface,
        log: Logger,
        cancellation: Cancellation,
        now: @escaping @Sendable () -> FileTime
    ) {
        self.root = root
        self.etcd = etcd
        self.deployments = deployments
        self.containers = containers
        self.log = log
        self.cancellation = cancellation
        self.now = now
    }

    /// Whether the root is the root of the running system, so that its units and mounts are this machine's.
    public var isRunningSystem: Bool { root == "/" }
}
