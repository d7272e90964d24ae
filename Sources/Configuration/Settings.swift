/// What the configuration files say; `nil` where they say nothing, so that a default or an option decides.
///
/// The keys are described, one row each, in ``SettingsSchema``.
public struct Settings: Sendable, Equatable {
    /// `dir`: the directory that holds the recovery points.
    public var directory: String?
    /// `profile`: `auto`, `openshift`, `kubeadm` or `plain`.
    public var profile: String?
    /// `keep`: how many of the newest recovery points stay.
    public var keep: Int?
    /// `timeout`: the longest that one backup may take.
    public var timeout: Duration?
    /// `level`: the compression level; `nil` follows the disk.
    public var level: Int?
    /// `jobs`: how many threads compress.
    public var jobs: Int?
    /// `allow_rootfs`: whether the directory may lie on the root file system.
    public var allowRootFileSystem: Bool?
    /// `skip_unreadable`: whether a file that cannot be read is listed and left out instead of failing the backup.
    public var skipUnreadable: Bool?
    /// `components.skip`: components that are never taken.
    public var skippedComponents: [String]?
    /// `components.exclude`: paths and patterns, relative to the node's root, that no component takes.
    public var excludedPaths: [String]?
    /// `etcd.endpoint`: the member's client URL.
    public var etcdEndpoint: String?
    /// `etcd.cacert`: the authority's certificate.
    public var etcdAuthority: String?
    /// `etcd.cert`: our certificate.
    public var etcdCertificate: String?
    /// `etcd.key`: our private key.
    public var etcdKey: String?
    /// `etcd.stall_limit`: how long the snapshot stream may stay silent.
    public var etcdStallLimit: Duration?
    /// `runtime.socket`: the container runtime's CRI socket.
    public var runtimeSocket: String?

    /// Settings that say nothing.
    public init() {}
}
