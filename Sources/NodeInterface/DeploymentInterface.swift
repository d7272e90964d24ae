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

/// What a boot of a deployment lacks, and whether it can be put back from the deployment's own tree.
public struct BootRepair: Sendable, Hashable {
    /// What is missing, each a line for the operator; empty when the deployment can be booted.
    public var obstacles: [String]
    /// The files that would be written, as paths of the node.
    public var files: [String]
    /// Why it cannot be put back, each a line for the operator; empty when it can.
    public var reasons: [String]

    /// A repair made of its parts.
    public init(obstacles: [String], files: [String] = [], reasons: [String] = []) {
        self.obstacles = obstacles
        self.files = files
        self.reasons = reasons
    }

    /// Whether something is missing, and all of it can be put back.
    public var isPossible: Bool { !obstacles.isEmpty && reasons.isEmpty }
}

/// The operating system deployments of the node.
public protocol DeploymentInterface: Sendable {
    /// All deployments, the boot loader's default first; `nil` when the node is not managed by ostree.
    func deployments() async throws -> [Deployment]?

    /// Keeps a deployment from ostree's garbage collection.
    ///
    /// Found by checksum and serial, never by index. Does nothing when it is pinned already; changes no other one.
    func pin(_ deployment: Deployment) async throws

    /// Gives a deployment back to ostree's garbage collection, which removes it when it is neither booted nor one of the
    /// last two.
    ///
    /// Does nothing when it is not pinned, or does not exist any more; changes no other one.
    func unpin(_ deployment: Deployment) async throws

    /// What keeps a deployment from being booted, each a line for the operator: its tree, its kernel or its initramfs
    /// does not exist; empty when nothing does.
    func obstacles(toBooting deployment: Deployment) async throws -> [String]

    /// Where a deployment has its `/etc`, below the node's root; nothing is looked at.
    func configuration(of deployment: Deployment) -> FilePath

    /// What a boot of a deployment lacks, and whether ``repairBoot(of:)`` could put it back; changes nothing.
    func bootRepair(of deployment: Deployment) async throws -> BootRepair

    /// Puts back what a boot of a deployment lacks: kernel, initramfs and the boot loader's entry, from the deployment's
    /// own `/usr/lib/modules`; proves afterwards that nothing is missing any more. One that was undeployed is deployed
    /// again as by ``deployAgain(_:)``.
    ///
    /// Does nothing when nothing is missing. What is there stays as it is.
    /// - Returns: the files that were written, as paths of the node.
    /// - Throws: when it cannot be put back; then nothing was written.
    func repairBoot(of deployment: Deployment) async throws -> [String]

    /// Whether the local repository has a commit, so that ``deployAgain(_:)`` can succeed without a network.
    func isInRepository(_ checksum: String) async throws -> Bool

    /// Deploys a commit again that was removed from the boot loader, behind all others, with the origin and the kernel
    /// arguments that it had, and pins it.
    ///
    /// The default, the other deployments and their pins stay. A deployment of the commit that exists is only pinned.
    /// - Returns: the deployment; its serial may be another one than before.
    func deployAgain(_ deployment: Deployment) async throws -> Deployment

    /// Makes a deployment the one that the boot loader starts next.
    ///
    /// Found by checksum and serial, never by index. Does nothing when it is the first one already. No deployment that
    /// the boot loader has is removed by it, and no pin changes; one that is staged is given up, as it would become the
    /// default at the shutdown.
    func makeDefault(_ deployment: Deployment) async throws
}
