/// What kind of node this is, which decides where its parts lie.
public enum NodeProfile: String, Sendable, Codable, CaseIterable {
    /// RHCOS-like: ostree, CRI-O, revisioned static pods under `/etc/kubernetes/static-pod-resources`.
    case openshift
    /// Any distribution set up by kubeadm: static pods under `/etc/kubernetes/manifests`, keys under `pki`.
    case kubeadm
    /// No Kubernetes: the file components alone.
    case plain
}
