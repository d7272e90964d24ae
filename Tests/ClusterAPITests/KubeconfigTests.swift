import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import ClusterAPI

@Suite("A kubeconfig", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct KubeconfigTests {
    private func ready(_ node: ScriptedCluster) {
        node.answer("GET /readyz?verbose", "ok", type: "text/plain")
        node.answer("GET /apis/config.openshift.io/v1/clusteroperators", #"{"items": []}"#)
    }

    @Test("that is there first is taken, at every call anew, and the kubelet's only for questions about the node")
    func candidates() throws {
        let node = try ScriptedCluster()
        ready(node)
        let none = #expect(throws: ClusterError.self) { try node.cluster.operators() }
        #expect(none?.exitStatus == .noInput)
        #expect(none?.summary.contains("'\(node.root)/etc/kubernetes/super-admin.conf', ") == true)
        let cluster = node.cluster
        try node.write("/var/lib/kubelet/kubeconfig", user: "token: kubelet")
        // Without a certificate the server lets nobody in.
        let outside = #expect(throws: ClusterError.self) { try cluster.failingChecks() }
        if case .call(_, let kubeconfig)? = outside?.fault {
            #expect(kubeconfig == node.root.appending("var/lib/kubelet/kubeconfig"))
        } else {
            Issue.record("\(String(describing: outside))")
        }
        #expect(throws: try #require(none)) { try cluster.operators() }
        try node.write("/etc/kubernetes/admin.conf")
        #expect(try cluster.failingChecks() == [])
        #expect(try cluster.operators() == [])
        try node.write("/etc/kubernetes/super-admin.conf", cluster: "server: ftp://x")
        let error = #expect(throws: ClusterError.self) { try cluster.operators() }
        #expect(
            error?.summary
                == "cannot use the kubeconfig '\(node.root)/etc/kubernetes/super-admin.conf': "
                + "its cluster 'kubernetes' has no 'server' that starts with https://"
        )
        let localhost: FilePath =
            "/etc/kubernetes/static-pod-resources/kube-apiserver-certs/secrets/node-kubeconfigs/localhost.kubeconfig"
        try node.write(localhost)
        #expect(try cluster.operators() == [])
    }

    @Test("names files that lie below the node's root, links and relative paths included")
    func files() throws {
        let node = try ScriptedCluster()
        ready(node)
        let pki = try ScriptedCluster.pki.get() / "pki"
        try Shell.output(
            """
            set -e; cd \(node.root); mkdir -p var/lib/kubelet/pki etc/kubernetes/pki
            cp \(pki)/ca.crt etc/kubernetes/pki
            cat \(pki)/client.crt \(pki)/client.key > var/lib/kubelet/pki/kubelet-client-2026.pem
            ln -s /var/lib/kubelet/pki/kubelet-client-2026.pem var/lib/kubelet/pki/kubelet-client-current.pem
            """
        )
        try node.write(
            "/etc/kubernetes/kubelet.conf",
            cluster: "certificate-authority: pki/ca.crt\nserver: \(node.url)/",
            user: """
                client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
                client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
                """
        )
        #expect(try node.cluster.failingChecks() == [])
        try Shell.output("rm \(node.root)/var/lib/kubelet/pki/kubelet-client-2026.pem")
        let error = #expect(throws: ClusterError.self) { try node.cluster.failingChecks() }
        #expect(error?.summary.contains("'\(node.root)/var/lib/kubelet/pki/kubelet-client-current.pem'") == true)
        #expect(error?.exitStatus == .noInput)
    }

    @Test("may have a token, inline or in a file, and a name for the server's certificate")
    func token() throws {
        let node = try ScriptedCluster(certificate: "server-dns", clients: .nobodyAsked)
        ready(node)
        let cluster = """
            certificate-authority-data: \(try ScriptedCluster.base64(ScriptedCluster.pki("ca.crt")))
            server: \(node.url)/prefix
            tls-server-name: etcd.example
            """
        node.answer("GET /prefix/readyz?verbose", "ok", type: "text/plain")
        try node.write(cluster: cluster, user: "token: abc.DEF")
        #expect(try node.cluster.failingChecks() == [])
        #expect(node.requests.last?.authorization == "Bearer abc.DEF")
        try Shell.output("echo from-file > \(node.root)/etc/kubernetes/token")
        try node.write(cluster: cluster, user: "token: abc.DEF\ntokenFile: token")
        #expect(try node.cluster.failingChecks() == [])
        #expect(node.requests.last?.authorization == "Bearer from-file")
        try Shell.output("printf 'a\\r\\nx-evil: SECRET' > \(node.root)/etc/kubernetes/token")
        let error = #expect(throws: ClusterError.self) { try node.cluster.failingChecks() }
        #expect(error?.summary.hasSuffix("its token is not one word") == true)
    }

    @Test(
        "that cannot be used says why",
        arguments: [
            ("insecure-skip-tls-verify: true\nserver: https://x", "token: x", "it trusts every server"),
            ("proxy-url: http://p\nserver: https://x", "token: x", "'proxy-url' of its cluster is not supported"),
            ("server: http://127.0.0.1:8080", "token: x", "no 'server' that starts with https://"),
            ("server: https://x", "token: x", "names no 'certificate-authority'"),
            (
                "server: https://x\ncertificate-authority-data: \"*\"", "token: x",
                "'certificate-authority-data' is not base64"
            ),
            ("server: https://x\ncertificate-authority-data: QQ==", "exec: {command: x}", "'exec' of its user"),
            ("server: https://x\ncertificate-authority-data: QQ==", "username: x", "'username' of its user"),
            ("server: https://x\ncertificate-authority-data: QQ==", "{}", "neither a certificate nor a token"),
            ("server: https://x\ncertificate-authority-data: QQ==", "client-key-data: QQ==", "without a key, or"),
        ]
    )
    func unusable(cluster: String, user: String, reason: String) throws {
        let node = try ScriptedCluster()
        try node.write(cluster: cluster, user: user)
        let error = #expect(throws: ClusterError.self) { try node.cluster.operators() }
        #expect(error?.summary.contains(reason) == true, "\(error?.summary ?? "")")
        #expect(error?.exitStatus == .config)
        #expect(node.server.connections == 0)
    }

    @Test("without its context, or that is no YAML, is an error; a foreign certificate is named")
    func broken() throws {
        let node = try ScriptedCluster()
        try node.write(context: "lost")
        #expect(throws: ClusterError.self) { try node.cluster.operators() }
        try node.write(context: "nowhere")
        let error = #expect(throws: ClusterError.self) { try node.cluster.operators() }
        #expect(error?.summary.hasSuffix("it has no context 'nowhere'") == true)
        try node.write(context: "''")
        #expect(throws: ClusterError.self) { try node.cluster.operators() }
        try Shell.output("echo '{' > \(node.root)/etc/kubernetes/admin.conf")
        let yaml = #expect(throws: ClusterError.self) { try node.cluster.operators() }
        #expect(yaml?.exitStatus == .config)
        try node.write(
            user: """
                client-certificate-data: \(try ScriptedCluster.base64(ScriptedCluster.pki("client-foreign.crt")))
                client-key-data: \(try ScriptedCluster.base64(ScriptedCluster.pki("client-foreign.key")))
                """
        )
        let refused = #expect(throws: ClusterError.self) { try node.cluster.operators() }
        #expect(refused?.exitStatus == .unavailable)
        try node.write(
            user: """
                client-certificate-data: \(try ScriptedCluster.base64(ScriptedCluster.pki("client.crt")))
                client-key-data: \(try ScriptedCluster.base64(ScriptedCluster.pki("client-foreign.key")))
                """
        )
        let mismatch = #expect(throws: ClusterError.self) { try node.cluster.operators() }
        let path = "\(node.root)/etc/kubernetes/admin.conf"
        #expect(mismatch?.summary == "cannot use '\(path)' for '\(node.url)': it is not the key of '\(path)'")
        #expect(mismatch?.hint?.hasSuffix("kubectl --kubeconfig '\(path)' config view") == true)
    }

    @Test(
        "has a server's address in one of these forms",
        arguments: [
            ("https://api.example:6443", "api.example", 6443, ""), ("https://10.0.0.1", "10.0.0.1", 443, ""),
            ("https://[fd00::1]:6443/", "fd00::1", 6443, ""), ("HTTPS://x/k8s/c1/", "x", 443, "/k8s/c1"),
        ]
    )
    func addresses(text: String, host: String, port: UInt16, prefix: String) throws {
        let url = try #require(ServerURL(text))
        #expect(url.host == host && url.port == port && url.prefix == prefix)
    }

    @Test(
        "has no address in these",
        arguments: [
            "", "x", "http://x", "https://", "https://:1", "https://x:0", "https://x:70000", "https://[::1",
            "https://[x]",
            "https://u@x", "https://x?y", "https://x y", "https://x:1:2", "https://x\r\nHost: y",
        ]
    )
    func noAddress(text: String) { #expect(ServerURL(text) == nil) }
}
