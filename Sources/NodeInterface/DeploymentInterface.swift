public import SystemPackage

/// One ostree deployment: an operating system tree that the boot loader can start.
public struct Deployment: Sendable, Hashable, Codable {
    /// The stateroot ("os name") that it belongs to.
    public var osName: String
    /// The commit's checksum: 64 hexadecimal digits.
    ///
    /// With the serial it names the deployment for good; its index does
    /// not, as indexes change with every deployment that is added or removed.
    public var checksum: String
    /// Distinguishes deployments of one commit; 0 for the first.
    public var serial: Int
    /// The refspec or image that it follows, from its origin file; `nil` when the origin does not say.
    public var origin: String?
    /// The commit's version metadata; `nil` when it has none.
    public var version: String?
    /// Arguments on the kernel command line from its boot loader entry.
    public var kernelArguments: [String]
    /// Whether this one is running.
    public var isBooted: Bool
    /// Whether it is kept from ostree's garbage collection.
    public var isPinned: Bool
    /// Whether it waits for the next shutdown to be written.
    public var isStaged: Bool

    /// A deployment made of its parts.
    public init(
        osName: String,
        checksum: String,
        serial: Int,
        origin: String?,
        version: String?,
        kernelArguments: [String],
        isBooted: Bool,
        isPinned: Bool,
        isStaged: Bool
    ) {
        self.osName = osName
        self.checksum = checksum
        self.serial = serial
        self.origin = origin
        self.version = version
        self.kernelArguments = kernelArguments
        self.isBooted = isBooted
        self.isPinned = isPinned
        self.isStaged = isStaged
    }
}

/// The operating system deployments of the node.
public protocol DeploymentInterface: Sendable {
    /// All deployments, the boot loader's default first; `nil` when the node is not managed by ostree.
    func deployments() async throws -> [Deployment]?

    /// Keeps a deployment from ostree's garbage collection.
    ///
    /// Found by checksum and serial, never by index. Does nothing when it is pinned already; changes no other one.
    func pin(_ deployment: Deployment) async throws

    /// What keeps a deployment from being booted, each a line for the operator: its tree, its kernel or its initramfs
    /// is not there; empty when nothing does.
    func obstacles(toBooting deployment: Deployment) async throws -> [String]

    /// Where a deployment has its `/etc`, below the node's root; nothing is looked at.
    func configuration(of deployment: Deployment) -> FilePath

    /// Makes a deployment the one that the boot loader starts next.
    ///
    /// Found by checksum and serial, never by index. Does nothing when it is the first one already. No deployment that
    /// the boot loader has is removed by it, and no pin changes; one that is staged is given up, as it would become the
    /// default at the shutdown.
    func makeDefault(_ deployment: Deployment) async throws
}
