import Files
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Backup

@Suite("Finding etcd") struct EtcdLocatorTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func put(_ path: String, _ text: String = "x") throws {
        let full = (directory / path)
        try Shell.output("mkdir -p '\(full.removingLastComponent())' && cat > '\(full)' <<'END'\n\(text)\nEND")
    }

    private func locate(
        _ profile: NodeProfile,
        node: String = "node-1.example",
        _ overrides: BackupRequest.EtcdChoice = .init()
    ) throws -> EtcdEndpoint? {
        try EtcdLocator.locate(
            in: RootDirectory(path: directory.path),
            profile: profile,
            nodeName: node,
            overrides: overrides,
            now: 1_795_228_625
        )
    }

    private let kubeadmPod = """
        apiVersion: v1
        kind: Pod
        metadata: {name: etcd, namespace: kube-system}
        spec:
          containers:
          - name: etcd
            command:
            - etcd
            - --listen-client-urls=https://10.0.0.5:2379,https://127.0.0.1:2379
            - --advertise-client-urls=https://10.0.0.5:2379
            - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
            - --cert-file=/etc/kubernetes/pki/etcd/server.crt
            - --key-file
            - /etc/kubernetes/pki/etcd/server.key
            volumeMounts: [{name: pki, mountPath: /etc/kubernetes/pki}]
          volumes: [{name: pki, hostPath: {path: /etc/kubernetes/pki}}]
        """

    @Test("of kubeadm reads the static pod, prefers the loopback and the probe's certificate") func kubeadm() throws {
        try put("etc/kubernetes/manifests/etcd.yaml", kubeadmPod)
        for name in ["healthcheck-client.crt", "healthcheck-client.key", "server.crt", "server.key", "ca.crt"] {
            try put("etc/kubernetes/pki/etcd/\(name)")
        }
        let keys = directory / "etc/kubernetes/pki/etcd"
        #expect(
            try locate(.kubeadm)
                == EtcdEndpoint(
                    host: "127.0.0.1",
                    port: 2379,
                    tls: .init(
                        authority: keys.appending("ca.crt"),
                        certificate: keys.appending("healthcheck-client.crt"),
                        key: keys.appending("healthcheck-client.key")
                    )
                )
        )
    }

    @Test("of kubeadm falls back to the server's own certificate") func serverCertificate() throws {
        try put("etc/kubernetes/manifests/etcd.yaml", kubeadmPod)
        try put("etc/kubernetes/pki/etcd/server.crt")
        try put("etc/kubernetes/pki/etcd/server.key")
        #expect(try locate(.kubeadm)?.tls?.key == directory / "etc/kubernetes/pki/etcd/server.key")
    }

    @Test("of kubeadm says which option is missing when there is no certificate") func noCertificate() throws {
        try put("etc/kubernetes/manifests/etcd.yaml", kubeadmPod)
        #expect {
            try locate(.kubeadm)
        } throws: { error in
            "\(error)".contains("--etcd-cert") && (error as? BackupError)?.exitStatus == .config
        }
    }

    private let environment = #"""
        export ALL_ETCD_ENDPOINTS="https://192.168.7.4:2379"
        export ETCDCTL_CACERT="/etc/kubernetes/static-pod-certs/configmaps/etcd-all-bundles/server-ca-bundle.crt"
        export ETCDCTL_CERT="/etc/kubernetes/static-pod-certs/secrets/etcd-all-certs/etcd-peer-node-1.example.crt"
        export ETCDCTL_ENDPOINTS="https://192.168.7.4:2379,https://192.168.7.9:2379"
        export ETCDCTL_KEY="/etc/kubernetes/static-pod-certs/secrets/etcd-all-certs/etcd-peer-node-1.example.key"
        export ETCD_CIPHER_SUITES="A,B \"quoted\" \\ $"
        export NODE_node_1_example_ETCD_URL_HOST="192.168.7.4"
        export NODE_other_ETCD_URL_HOST="[fd00::9]"
        """#

    @Test("of openshift reads etcd.env and moves in-pod paths to the node's") func openshift() throws {
        try put("etc/kubernetes/static-pod-resources/etcd-certs/configmaps/etcd-scripts/etcd.env", environment)
        let certs = "etc/kubernetes/static-pod-resources/etcd-certs"
        let endpoint = try locate(.openshift)
        #expect(endpoint?.host == "192.168.7.4")
        #expect(
            endpoint?.tls?.authority == directory / "\(certs)/configmaps/etcd-all-bundles/server-ca-bundle.crt"
        )
        #expect(
            endpoint?.tls?.key == directory / "\(certs)/secrets/etcd-all-certs/etcd-peer-node-1.example.key"
        )
    }

    @Test("of openshift takes this node's host by name, in brackets when it is IPv6") func otherNode() throws {
        try put("etc/kubernetes/static-pod-resources/etcd-certs/configmaps/etcd-scripts/etcd.env", environment)
        #expect(try locate(.openshift, node: "other")?.host == "fd00::9")
        #expect(throws: BackupError.self) { try locate(.openshift, node: "third") }
    }

    @Test("takes what the operator says, file by file") func overrides() throws {
        try put("etc/kubernetes/manifests/etcd.yaml", kubeadmPod)
        var choice = BackupRequest.EtcdChoice()
        choice.endpoint = "https://[::1]:4001"
        choice.authority = "/a"
        choice.certificate = "/b"
        choice.key = "/c"
        #expect(
            try locate(.kubeadm, choice)
                == EtcdEndpoint(host: "::1", port: 4001, tls: .init(authority: "/a", certificate: "/b", key: "/c"))
        )
        choice.endpoint = "http://127.0.0.1:1234"
        #expect(try locate(.plain, choice) == EtcdEndpoint(host: "127.0.0.1", port: 1234, tls: nil))
    }

    @Test("finds nothing on a plain node, and nothing where there is no manifest") func nothing() throws {
        #expect(try locate(.plain) == nil)
        #expect(try locate(.kubeadm) == nil)
        #expect(try locate(.openshift) == nil)
    }

    @Test("reads variables as a shell does") func variables() {
        let variables = EtcdLocator.environment(from: environment + "\n# export X=1\nPLAIN=a'b c'd\nbroken\n")
        #expect(variables["ETCD_CIPHER_SUITES"] == #"A,B "quoted" \ $"#)
        #expect(variables["PLAIN"] == "ab cd")
        #expect(variables["X"] == nil)
    }

    @Test(
        "takes client URLs apart",
        arguments: [
            ("https://127.0.0.1:2379", "127.0.0.1", 2379), ("https://etcd.example", "etcd.example", 2379),
            ("https://[fd00::1]:2380/", "fd00::1", 2380), ("http://0.0.0.0:1", "127.0.0.1", 1),
            ("https://[::]:5", "::1", 5),
        ] as [(String, String, UInt16)]
    )
    func urls(_ text: String, _ host: String, _ port: UInt16) {
        #expect(ClientURL(text)?.host == host)
        #expect(ClientURL(text)?.port == port)
    }

    @Test(
        "refuses what is no client URL",
        arguments: [
            "", "127.0.0.1:2379", "ftp://x:1", "https://", "https://x:0", "https://x:99999", "https://[::1",
            "https://a/b:1",
        ]
    )
    func badURLs(_ text: String) {
        #expect(ClientURL(text) == nil)
    }
}
