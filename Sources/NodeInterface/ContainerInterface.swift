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

/// The container runtime of the node.
public protocol ContainerInterface: Sendable {
    /// The runtime's name and version, `containerd 1.6.20`; `nil` when no runtime's socket is there.
    func runtime() throws -> String?

    /// Every image that the runtime has, with the containers that use it; sorted by id.
    func images() throws -> [ContainerImage]
}
