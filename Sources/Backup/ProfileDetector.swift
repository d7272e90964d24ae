package import Files
package import NodeInterface
import SystemPackage

/// Identifies what kind of node a root is.
package enum ProfileDetector {
    /// What was found out.
    package struct Finding: Sendable, Equatable {
        /// The profile.
        package var profile: NodeProfile
        /// The file or directory that gave it away; `nil` for `plain`, which nothing does.
        package var evidence: String?
        /// Signs of Kubernetes on a node that is `plain` because neither etcd nor an API server was found: a worker, or a control
        /// plane whose layout is not known.
        package var signs: [String] = []
    }

    /// What gives a profile away, in the order in which it is looked for.
    private static let evidence: [(NodeProfile, FilePath)] = [
        (.openshift, WellKnownPaths.etcdEnvironment),
        (.openshift, WellKnownPaths.staticPodResources),
        (.kubeadm, WellKnownPaths.staticPodManifests.appending("etcd.yaml")),
        (.kubeadm, WellKnownPaths.staticPodManifests.appending("kube-apiserver.yaml")),
        (.kubeadm, WellKnownPaths.adminKubeconfig),
        (.kubeadm, WellKnownPaths.superAdminKubeconfig),
    ]

    /// Images of a control plane, by the last part of their name.
    private static let controlPlane: Set<Substring> = [
        "etcd", "kube-apiserver", "hyperkube", "hardened-etcd", "hardened-kubernetes",
    ]

    /// Looks at a node's files.
    package static func detect(in root: RootDirectory) throws -> Finding {
        for (profile, path) in evidence {
            if try root.exists(path) { return Finding(profile: profile, evidence: path.string) }
        }
        let pods = try StaticPods.all(in: root)
        for pod in pods {
            let isControlPlane =
                EtcdPlace.server(in: [pod]) != nil
                || pod.images.contains { image in
                    let last = image.prefix { $0 != "@" }.split(separator: "/").last ?? ""
                    return controlPlane.contains(last.prefix { $0 != ":" })
                }
            if isControlPlane { return Finding(profile: .kubeadm, evidence: pod.path.string) }
        }
        return Finding(profile: .plain, evidence: nil, signs: try signs(in: root, pods).map(\.string))
    }

    private static func signs(in root: RootDirectory, _ pods: [StaticPod]) throws -> [FilePath] {
        let files = WellKnownPaths.kubeletKubeconfigs + otherSigns + WellKnownPaths.runtimeSockets
        return try KubeletSettings(in: root).sources + pods.map(\.path) + files.filter { try root.exists($0) }
    }

    /// Programs and data of distributions that have a layout of their own.
    private static let otherSigns: [FilePath] = [
        "/var/lib/rancher/k3s", "/var/lib/rancher/rke2", "/var/snap/microk8s", "/var/lib/k0s",
    ]
}
