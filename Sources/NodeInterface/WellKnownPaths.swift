public import SystemPackage

/// Every path of a node that the toolkit knows by name, as absolute paths below the node's root.
///
/// Sources: the etcd operator's `etcd-common-tools` and static pod templates (openshift), kubeadm's
/// `constants.go` (kubeadm), `machine-config-daemon`'s `constants.go`, `ostree(1)`.
public enum WellKnownPaths {
    /// Where the recovery points lie unless told otherwise.
    public static let recovery: FilePath = "/var/recovery"
    /// Where configuration lies, `config.toml` and over it `config.d/*.toml`: the distribution's, and over it the
    /// machine's own.
    public static let configuration: [FilePath] = ["/usr/lib/node-recovery", "/etc/node-recovery"]

    /// Static pod manifests that the kubelet runs.
    public static let staticPodManifests: FilePath = "/etc/kubernetes/manifests"
    /// Every directory where a distribution has them: the usual one, RKE2's, that of k3s.
    public static let staticPodManifestDirectories: [FilePath] = [
        staticPodManifests,
        "/var/lib/rancher/rke2/agent/pod-manifests",
        "/var/lib/rancher/k3s/agent/pod-manifests",
    ]
    /// openshift: revisioned resources of the static pods.
    public static let staticPodResources: FilePath = "/etc/kubernetes/static-pod-resources"
    /// openshift: the settings of etcd's own tools, lines of `export KEY="value"`.
    public static let etcdEnvironment: FilePath =
        "/etc/kubernetes/static-pod-resources/etcd-certs/configmaps/etcd-scripts/etcd.env"
    /// openshift: the path inside the etcd pod that stands for ``etcdCertificates`` on the node.
    public static let etcdCertificatesInPod: FilePath = "/etc/kubernetes/static-pod-certs"
    /// openshift: the certificates of etcd.
    public static let etcdCertificates: FilePath = "/etc/kubernetes/static-pod-resources/etcd-certs"
    /// etcd's data directory, unless its static pod says otherwise.
    public static let etcdData: FilePath = "/var/lib/etcd"
    /// The certificate, with its key, by which the kubelet proves itself to the API server; its common name is
    /// `system:node:` and the node's name.
    public static let kubeletCertificate: FilePath = "/var/lib/kubelet/pki/kubelet-client-current.pem"
    /// The certificate by which the kubelet serves, where it asks the cluster for one.
    public static let kubeletServingCertificate: FilePath = "/var/lib/kubelet/pki/kubelet-server-current.pem"
    /// kubeadm: the directory of the cluster's keys and certificates.
    public static let clusterKeys: FilePath = "/etc/kubernetes/pki"
    /// kubeadm: the administrator's kubeconfig, a sign of a control plane node.
    public static let adminKubeconfig: FilePath = "/etc/kubernetes/admin.conf"
    /// kubeadm from 1.29 on: the administrator's kubeconfig that works without RBAC.
    public static let superAdminKubeconfig: FilePath = "/etc/kubernetes/super-admin.conf"

    /// Kubeconfigs with an administrator's rights that a control plane node has for itself, in the order in which they
    /// are looked for: openshift's for the server on the node, then over the internal load balancer; kubeadm's that
    /// works without RBAC (from 1.29 on), then the usual one.
    public static let adminKubeconfigs: [FilePath] = [
        "/etc/kubernetes/static-pod-resources/kube-apiserver-certs/secrets/node-kubeconfigs/localhost.kubeconfig",
        "/etc/kubernetes/static-pod-resources/kube-apiserver-certs/secrets/node-kubeconfigs/lb-int.kubeconfig",
        superAdminKubeconfig,
        adminKubeconfig,
    ]
    /// The kubelet's own kubeconfig: kubeadm's, openshift's.
    public static let kubeletKubeconfigs: [FilePath] = ["/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/kubeconfig"]

    /// The rendered machine config that the node is at: JSON, `spec.config.storage`.
    public static let currentMachineConfig: FilePath = "/etc/machine-config-daemon/currentconfig"
    /// The machine's own identity: 32 hexadecimal digits and a newline.
    public static let machineID: FilePath = "/etc/machine-id"
    /// The host name.
    public static let hostName: FilePath = "/etc/hostname"

    /// The kernel's id of the boot, 36 characters and a newline.
    public static let bootID: FilePath = "/proc/sys/kernel/random/boot_id"

    /// Sockets of container runtimes, in the order in which they are looked for.
    public static let runtimeSockets: [FilePath] = [
        "/run/crio/crio.sock",
        "/var/run/crio/crio.sock",
        "/run/containerd/containerd.sock",
        "/run/k3s/containerd/containerd.sock",
    ]
    /// Where a container's last words go; at most 4096 bytes.
    public static let terminationLog: FilePath = "/dev/termination-log"
}
