/// The components that this program knows, by the names that they have on disk, in options and in messages.
///
/// The names are on disk in the field: never renamed, never reused. A manifest keeps each name as text, as a newer
/// program may write components that are not listed here (``ComponentEntry/component`` is `nil` for those).
public enum ComponentName: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    /// A snapshot of etcd.
    case etcd = "etcd"
    /// The static pod manifests and what they name.
    case staticPods = "static-pods"
    /// `/etc`.
    case etc = "etc"
    /// `/usr/local`.
    case usrLocal = "usr-local"
    /// `/var/lib/kubelet`.
    case kubelet = "kubelet"
    /// Files of the machine config outside the other trees.
    case machineConfig = "machine-config"
    /// The booted ostree deployment, as a record.
    case deployment = "deployment"
    /// The list of container images.
    case images = "images"

    /// The name as it is on disk.
    public var description: String { rawValue }
}

extension ComponentEntry {
    /// Which component it is; `nil` for one of a newer program.
    public var component: ComponentName? { ComponentName(rawValue: name) }
}
