public import Files
public import NodeInterface
public import RecoveryPoints
public import SystemPackage

/// What the operator asks of one backup: options and configuration, with every default filled in.
public struct BackupRequest: Sendable {
    /// Whether a part is found out or was set.
    public enum ProfileChoice: Sendable, Equatable {
        /// Look at the node.
        case detect
        /// The operator knows.
        case fixed(NodeProfile)
    }

    /// What the operator says about etcd instead of what is found on the node.
    public struct EtcdChoice: Sendable, Equatable {
        /// The client URL, `https://127.0.0.1:2379`.
        public var endpoint: String?
        /// The authority's certificate.
        public var authority: String?
        /// Our certificate.
        public var certificate: String?
        /// Our private key.
        public var key: String?
        /// How long the snapshot stream may stay silent.
        public var stallLimit: Duration = .seconds(30)

        /// Nothing said.
        public init() {}
    }

    /// The directory that holds the recovery points, as a path of this machine.
    public var directory: FilePath
    /// The node's profile.
    public var profile: ProfileChoice = .detect
    /// Take only these components; `nil` takes all that the node has.
    ///
    /// A component named here must be there.
    public var onlyComponents: [ComponentName]?
    /// Leave these components out of this recovery point: it is a partial one when the node has any of them.
    public var skippedComponents: [ComponentName] = []
    /// Never take these components, as the configuration says: a recovery point without them is whole.
    public var excludedComponents: [ComponentName] = []
    /// Leave these paths out, whatever component they belong to.
    public var exclusions: [PathPattern] = []
    /// How many of the newest recovery points stay afterwards.
    public var keep = 2
    /// The compression level; `nil` follows the disk.
    public var level: Int?
    /// How many threads compress.
    public var jobs: Int
    /// Whether the directory may be on the root file system.
    public var allowsRootFileSystem = false
    /// Whether files that cannot be read are listed and left out.
    public var skipsUnreadable = false
    /// Whether a component that cannot be taken is left out, with the reason, instead of failing the backup: for the
    /// failed state of a node, of which there is to be as much as possible.
    public var leavesOutWhatFails = false
    /// Whether the recovery point is read back before it counts.
    public var verifies = true
    /// etcd's place and files.
    public var etcd = EtcdChoice()
    /// The program that is copied beside the recovery points; `nil` copies nothing.
    public var executable: FilePath?
    /// Where a container's last words go; written only where the file is there already.
    public var terminationLog: FilePath?
    /// Set when the recovery point is the failed state that a recovery keeps: then nothing is pruned for it, and it
    /// is not what a recovery goes to unless it is named.
    public var failedState: FailedStateEntry?
    /// The program and its version, for the manifest.
    public var toolVersion: String

    /// A request with the defaults of the command line.
    public init(directory: FilePath, jobs: Int, toolVersion: String) {
        self.directory = directory
        self.jobs = jobs
        self.toolVersion = toolVersion
    }
}
