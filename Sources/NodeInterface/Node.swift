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
    /// The pods that the runtime runs; `nil` when it is not this machine's, so that none of them is touched.
    public let pods: (any PodInterface)?
    /// The units of systemd; `nil` when the root is not the running system's, so that no unit of this machine is
    /// touched in its place.
    public let units: (any UnitInterface)?
    /// The cluster; `nil` when nothing of the node runs.
    public let cluster: (any ClusterInterface)?
    /// Where steps and commands log.
    public let log: Logger
    /// The wish of the outside to stop.
    public let cancellation: Cancellation
    /// The wall clock.
    public let now: @Sendable () -> FileTime
    /// Whether the kernel's clock follows another one; `nil` where nobody can tell.
    public let isClockSynchronized: @Sendable () -> Bool?
    /// Waits, and returns early when the run is to stop.
    public let pause: @Sendable (Duration) -> Void

    /// A node made of its parts.
    public init(
        root: FilePath,
        etcd: any EtcdInterface,
        deployments: any DeploymentInterface,
        containers: any ContainerInterface,
        pods: (any PodInterface)? = nil,
        units: (any UnitInterface)? = nil,
        cluster: (any ClusterInterface)? = nil,
        log: Logger,
        cancellation: Cancellation,
        now: @escaping @Sendable () -> FileTime,
        isClockSynchronized: @escaping @Sendable () -> Bool? = { nil },
        pause: (@Sendable (Duration) -> Void)? = nil
    ) {
        self.root = root
        self.etcd = etcd
        self.deployments = deployments
        self.containers = containers
        self.pods = pods
        self.units = units
        self.cluster = cluster
        self.log = log
        self.cancellation = cancellation
        self.now = now
        self.isClockSynchronized = isClockSynchronized
        self.pause = pause ?? { cancellation.wait($0) }
    }

    /// Whether the root is the root of the running system, so that its units and mounts are this machine's.
    public var isRunningSystem: Bool { root == "/" }
}
