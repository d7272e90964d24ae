package import Files
package import NodeInterface
import SystemPackage

/// Tells what kind of node a root is.
package enum ProfileDetector {
    /// The profile and the file or directory that gave it away (`nil` for `plain`, which nothing does).
    package struct Finding: Sendable, Equatable {
        package var profile: NodeProfile
        package var evidence: String?
    }

    /// What gives a profile away, in the order in which it is looked for.
    private static let evidence: [(NodeProfile, String)] = [
        (.openshift, WellKnownPaths.etcdEnvironment.string),
        (.openshift, WellKnownPaths.staticPodResources.string),
        (.kubeadm, WellKnownPaths.staticPodManifests.appending("etcd.yaml").string),
        (.kubeadm, WellKnownPaths.staticPodManifests.appending("kube-apiserver.yaml").string),
        (.kubeadm, WellKnownPaths.adminKubeconfig.string),
    ]

    package static func detect(in root: RootDirectory) throws -> Finding {
        for (profile, path) in evidence {
            if try root.exists(FilePath(path)) { return Finding(profile: profile, evidence: path) }
        }
        return Finding(profile: .plain, evidence: nil)
    }
}
