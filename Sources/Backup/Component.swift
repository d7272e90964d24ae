public import RecoveryPoints

/// One named part of a recovery point, as a row of ``BackupPlan/components``.
public struct Component: Sendable, Equatable {
    /// Its name: on disk, in options and in messages.
    public let name: ComponentName
    /// Where it comes from.
    public let source: Source
    /// What it is, in a line for the operator.
    public let summary: String

    /// Where a component comes from.
    public enum Source: Sendable, Equatable {
        /// A snapshot that etcd streams.
        case etcdSnapshot
        /// The static pod manifests and the directories below `/etc/kubernetes` that they name.
        case staticPods
        /// A directory with everything in it, but for some paths; all relative to the node's root.
        case tree(String, except: [String])
        /// The files, directories and links of the current machine config outside the trees of the plan.
        case machineConfig
        /// The ostree deployment that is booted: recorded and pinned.
        case deployment
        /// The container images in use: their list.
        case images
    }

    init(_ name: ComponentName, _ source: Source, _ summary: String) {
        self.name = name
        self.source = source
        self.summary = summary
    }
}

/// What a backup consists of.
public enum BackupPlan {
    /// The components in the order in which they are taken.
    ///
    /// etcd comes first: it is the part that can fail for reasons outside the node's disk, and the one that a
    /// recovery cannot do without.
    public static let components: [Component] = [
        Component(.etcd, .etcdSnapshot, "Every object of the cluster"),
        Component(.staticPods, .staticPods, "Static pod manifests and the directories that they name"),
        Component(.etc, .tree("etc", except: ["etc/.updated"]), "The machine's configuration"),
        Component(.usrLocal, .tree("usr/local", except: []), "Locally installed programs"),
        Component(.kubelet, .tree("var/lib/kubelet", except: []), "The kubelet's state; mounted volumes are left out"),
        Component(.machineConfig, .machineConfig, "Files of the machine config outside the other trees"),
        Component(.deployment, .deployment, "The booted ostree deployment, recorded and pinned"),
        Component(.images, .images, "The list of container images in use"),
    ]

    /// The trees that components take whole, relative to the node's root.
    static var wholeTrees: [String] {
        components.compactMap { component in
            if case .tree(let path, _) = component.source { path } else { nil }
        }
    }
}
