package import Files
package import RecoveryPoints
import SystemPackage

/// Where the files of a component are on a node: an archive that has any other file is damaged, and never restored.
package enum ComponentPlaces {
    /// The places, relative to the node's root; the root itself for a component whose files may be anywhere.
    ///
    /// `/usr/local` is a link to a directory in `/var` where `/usr` is read-only.
    private static func rows(_ component: ComponentName) -> [TreePath] {
        switch component {
        case .usrLocal: ["usr/local", "var/usrlocal"]
        case .etc: ["etc"]
        case .machineConfig: [.root]
        case .kubelet: ["var/lib/kubelet"]
        case .staticPods: ["etc/kubernetes"]
        case .etcd, .deployment, .images: []
        }
    }

    /// The places of a component, and where links lead them below this root.
    /// - Parameter unusual: the tops that the recovery point names, where links led out of the usual places.
    package static func of(
        _ component: ComponentName,
        in root: RootDirectory,
        unusual: [String]? = nil
    ) throws -> [TreePath] {
        let named = (unusual ?? []).compactMap { FileName.bytes(of: $0).flatMap { TreePath(validating: $0) } }
        return try (named.filter { !$0.isRoot } + rows(component)).flatMap { place in
            try place.isRoot || !root.exists(FilePath(place)) ? [place] : [place, root.resolve(FilePath(place))]
        }
    }
}
