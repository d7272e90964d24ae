public import SystemPackage

/// A container image that the runtime has.
public struct ContainerImage: Sendable, Hashable, Codable {
    /// The runtime's id for it, most often the digest of its configuration.
    public var id: String
    /// Names with tags, sorted.
    public var tags: [String]
    /// Names with digests, sorted.
    public var digests: [String]
    /// Bytes as the runtime counts them.
    public var sizeBytes: Int64
    /// Whether the runtime keeps it from garbage collection.
    public var isPinned: Bool
    /// Containers that use it, as `namespace/pod/container` (the container's name alone when it has no pod), sorted;
    /// empty for an image that nothing uses.
    public var usedBy: [String]

    /// An image made of its parts.
    public init(id: String, tags: [String], digests: [String], sizeBytes: Int64, isPinned: Bool, usedBy: [String]) {
        self.id = id
        self.tags = tags
        self.digests = digests
        self.sizeBytes = sizeBytes
        self.isPinned = isPinned
        self.usedBy = usedBy
    }
}

/// The image of a pod's sandbox (pause), without which a runtime starts no pod.
public struct SandboxImage: Sendable, Hashable {
    /// Where the name was found.
    public enum Source: Sendable, Hashable {
        /// The runtime itself says so.
        case runtime
        /// A file of its configuration, as a path below the node's root.
        case configuration(FilePath)
        /// Nothing names one: the one that this version of the runtime takes by itself.
        case builtIn
    }

    /// Its name, as the runtime asks for it.
    public var name: String
    /// Where the name was found.
    public var source: Source

    /// An image made of its parts.
    public init(name: String, source: Source) {
        self.name = name
        self.source = source
    }
}

/// The container runtime of the node.
public protocol ContainerInterface: Sendable {
    /// The runtime's name and version, `containerd 1.6.20`; `nil` when none is running: there is no socket, or nobody
    /// serves it any more. A runtime that answers with a refusal throws.
    func runtime() throws -> String?

    /// Every image that the runtime has, with the containers that use it; sorted by id.
    ///
    /// One damaged record in CRI-O's store makes this fail for all; ``image(named:)`` does not depend on the others.
    func images() throws -> [ContainerImage]

    /// One image; `nil` when the runtime does not have it. ``ContainerImage/usedBy`` is empty.
    /// - Parameter name: in any form that ``ImageReference`` takes.
    func image(named name: String) throws -> ContainerImage?

    /// The image of the pods' sandboxes; `nil` when no runtime is running, or nothing is known about this one.
    func sandboxImage() throws -> SandboxImage?
}
