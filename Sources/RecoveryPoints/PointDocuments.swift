internal import Files
internal import FoundationEssentials
internal import SystemPackage

/// The ostree deployments of a node when a recovery point was taken: `deployment.json`.
public struct DeploymentDocument: Codable, Sendable, Equatable {
    /// One deployment.
    public struct Entry: Codable, Sendable, Equatable {
        /// The stateroot that it belongs to.
        public var osName: String
        /// The commit's checksum, 64 hexadecimal digits.
        public var checksum: String
        /// Distinguishes deployments of one commit.
        public var serial: Int
        /// The refspec or image that it followed; absent when its origin did not say.
        public var origin: String?
        /// The commit's version; absent when it had none.
        public var version: String?
        /// Arguments on the kernel's command line.
        public var kernelArguments: [String]
        /// Whether it was running.
        public var isBooted: Bool
        /// Whether it was pinned before this recovery point pinned it.
        public var isPinned: Bool
        /// Whether it was waiting for the next shutdown.
        public var isStaged: Bool

        /// An entry made of its parts.
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

        enum CodingKeys: String, CodingKey {
            case checksum, serial, origin, version
            case osName = "os_name"
            case kernelArguments = "kernel_arguments"
            case isBooted = "is_booted"
            case isPinned = "is_pinned"
            case isStaged = "is_staged"
        }
    }

    /// The document's name in a recovery point.
    public static let fileName = "deployment.json"

    /// 1 so far.
    public var formatVersion = 1
    /// The one to come back to.
    public var kept: Entry
    /// All of them, the boot loader's default first.
    public var deployments: [Entry]

    /// A document made of its parts.
    public init(kept: Entry, deployments: [Entry]) {
        self.kept = kept
        self.deployments = deployments
    }

    enum CodingKeys: String, CodingKey {
        case kept, deployments
        case formatVersion = "format_version"
    }
}

/// The container images of a node when a recovery point was taken: `images.json`.
public struct ImagesDocument: Codable, Sendable, Equatable {
    /// One image.
    public struct Entry: Codable, Sendable, Equatable {
        /// The runtime's id for it.
        public var id: String
        /// Names with tags.
        public var tags: [String]
        /// Names with digests.
        public var digests: [String]
        /// Bytes as the runtime counts them.
        public var sizeBytes: Int64
        /// Whether the runtime keeps it from garbage collection.
        public var isPinned: Bool
        /// Containers that used it, as `namespace/pod/container`.
        public var usedBy: [String]

        /// An entry made of its parts.
        public init(id: String, tags: [String], digests: [String], sizeBytes: Int64, isPinned: Bool, usedBy: [String]) {
            self.id = id
            self.tags = tags
            self.digests = digests
            self.sizeBytes = sizeBytes
            self.isPinned = isPinned
            self.usedBy = usedBy
        }

        enum CodingKeys: String, CodingKey {
            case id, tags, digests
            case sizeBytes = "size_bytes"
            case isPinned = "is_pinned"
            case usedBy = "used_by"
        }
    }

    /// The document's name in a recovery point.
    public static let fileName = "images.json"

    /// 1 so far.
    public var formatVersion = 1
    /// The runtime's name and version.
    public var runtime: String
    /// Every image, sorted by id.
    public var images: [Entry]

    /// A document made of its parts.
    public init(runtime: String, images: [Entry]) {
        self.runtime = runtime
        self.images = images
    }

    enum CodingKeys: String, CodingKey {
        case runtime, images
        case formatVersion = "format_version"
    }
}

extension DeploymentDocument {
    /// The document as it is on disk.
    public func encoded() throws(StoreError) -> [UInt8] { try Document.encode(self) }

    /// Reads the document.
    public static func decode(_ bytes: [UInt8], file: String) throws(StoreError) -> DeploymentDocument {
        try Document.decode(bytes, file: file)
    }
}

extension ImagesDocument {
    /// The document as it is on disk.
    public func encoded() throws(StoreError) -> [UInt8] { try Document.encode(self) }

    /// Reads the document.
    public static func decode(_ bytes: [UInt8], file: String) throws(StoreError) -> ImagesDocument {
        try Document.decode(bytes, file: file)
    }
}

extension RecoveryPoint {
    /// The deployments that it recorded; `nil` without the component `deployment`.
    /// - Throws: `StoreError.damaged` when the document is not the one that the manifest lists.
    public func deployments() throws(StoreError) -> DeploymentDocument? {
        guard let file = manifest.component(.deployment)?.file(.document) else { return nil }
        return try DeploymentDocument.decode(try content(of: file), file: path(of: file).string)
    }

    /// The images that it recorded; `nil` without the component `images`.
    /// - Throws: `StoreError.damaged` when the document is not the one that the manifest lists.
    public func images() throws(StoreError) -> ImagesDocument? {
        guard let file = manifest.component(.images)?.file(.document) else { return nil }
        return try ImagesDocument.decode(try content(of: file), file: path(of: file).string)
    }

    /// Reads a document, proved by its digest.
    private func content(of file: StoredFile) throws(StoreError) -> [UInt8] {
        let bytes = try system { () throws(FilesError) in
            try RootDirectory(path: directory).readFile(FilePath(file.name), limitBytes: Document.limitBytes)
        }
        guard Int64(bytes.count) == file.sizeBytes, SHA256Hasher.digest(of: bytes) == file.sha256 else {
            throw .damaged(file: path(of: file).string, reason: "its digest is not the one that the manifest lists")
        }
        return bytes
    }
}
