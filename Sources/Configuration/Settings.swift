/// What the configuration says: the defaults, and over them what files have said.
///
/// The keys are described, one row each, in ``SettingsSchema``. What is `nil` when no file says anything is found on the
/// node or follows from it.
public struct Settings: Sendable, Equatable {
    /// `dir`: the directory that holds the recovery points, a path of the node.
    public var directory = "/var/recovery"
    /// `profile`: `auto`, `openshift`, `kubeadm` or `plain`.
    public var profile = "auto"
    /// `keep`: how many of the newest recovery points stay.
    public var keep = 2
    /// `timeout`: the longest that one backup may take.
    public var timeout: Duration?
    /// `level`: the compression level; `nil` follows the disk.
    public var level: Int?
    /// `jobs`: how many threads compress; `nil` is one per processor.
    public var jobs: Int?
    /// `allow_rootfs`: whether the directory may be on the root file system.
    public var allowRootFileSystem = false
    /// `skip_unreadable`: whether a file that cannot be read is listed and left out instead of failing the backup.
    public var skipUnreadable = false
    /// `metrics`: the file for node_exporter that a backup and the doctor write; `nil` writes none.
    public var metrics: String?
    /// `components.skip`: components that are never taken.
    public var skippedComponents: [String] = []
    /// `components.exclude`: paths and patterns, relative to the node's root, that no component takes.
    public var excludedPaths: [String] = []
    /// `etcd.endpoint`: the member's client URL.
    public var etcdEndpoint: String?
    /// `etcd.cacert`: the authority's certificate.
    public var etcdAuthority: String?
    /// `etcd.cert`: our certificate.
    public var etcdCertificate: String?
    /// `etcd.key`: the path of our private key.
    public var etcdKey: String?
    /// `etcd.stall_limit`: how long the snapshot stream may stay silent.
    public var etcdStallLimit: Duration = .seconds(30)
    /// `runtime.socket`: the container runtime's CRI socket.
    public var runtimeSocket: String?
    /// `doctor.max_age`: the age from which on the newest recovery point is too old.
    public var doctorMaxAge: Duration = .seconds(7 * 86_400)
    /// `doctor.expiry_warning`: how long before the first certificate expires the doctor warns.
    public var doctorExpiryWarning: Duration = .seconds(7 * 86_400)

    /// The defaults.
    public init() {}
}
