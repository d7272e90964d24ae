import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import ClusterAPI

@Suite("The cluster", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct KubernetesClusterTests {
    @Test("is ready, or names the checks that fail")
    func readyz() throws {
        let node = try ScriptedCluster()
        try node.write()
        node.answer("GET /readyz?verbose", "[+]ping ok\nreadyz check passed\n", type: "text/plain")
        #expect(try node.cluster.failingChecks() == [])
        node.answer("GET /readyz?verbose", try ScriptedCluster.fixture("readyz.txt"), status: 500, type: "text/plain")
        #expect(try node.cluster.failingChecks() == ["etcd", "etcd-readiness", "poststarthook/rbac/bootstrap-roles"])
        node.answer("GET /readyz?verbose", "internal error", status: 500, type: "text/plain")
        let error = #expect(throws: ClusterError.self) { try node.cluster.failingChecks() }
        #expect(
            error?.summary
                == "'\(node.url)' refused to say whether it is ready: HTTP status 500: internal error"
        )
        #expect(error?.exitStatus == .unavailable)
        #expect(node.requests.allSatisfy { $0.method == "GET" && $0.authorization == nil })
    }

    @Test("tells how a node is, and that it has none of a name")
    func node() throws {
        let node = try ScriptedCluster()
        try node.write()
        node.answer("GET /api/v1/nodes/sno1", try ScriptedCluster.fixture("node.json"))
        #expect(
            try node.cluster.readiness(ofNode: "sno1")
                == NodeReadiness(
                    isReady: false,
                    reason: "KubeletNotReady",
                    message:
                        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady",
                    heartbeat: "2026-01-10T10:00:01Z"
                )
        )
        #expect(try node.cluster.readiness(ofNode: "sno2/../sno1") == nil)
        #expect(node.requests.last?.path == "/api/v1/nodes/sno2%2F..%2Fsno1")
        node.answer("GET /api/v1/nodes/new", #"{"metadata": {"name": "new"}, "status": {}}"#)
        #expect(try node.cluster.readiness(ofNode: "new")?.isReady == false)
        node.answer("GET /api/v1/nodes/odd", #"{"items": []}"#)
        let error = #expect(throws: ClusterError.self) { try node.cluster.readiness(ofNode: "odd") }
        #expect(
            error?.summary
                == "'\(node.url)' sent an unexpected answer to a request to show the node 'odd'"
        )
    }

    @Test("has operators with what is wrong with them, or none where it is not openshift")
    func operators() throws {
        let node = try ScriptedCluster()
        try node.write()
        #expect(try node.cluster.operators() == [])
        let path = "GET /apis/config.openshift.io/v1/clusteroperators"
        node.answer(path, try ScriptedCluster.fixture("clusteroperators.json"))
        let found = try node.cluster.operators()
        #expect(found.map(\.name) == ["authentication", "dns", "kube-apiserver", "new-one"])
        #expect(found.map(\.isSettled) == [false, true, false, false])
        #expect(
            found.map(\.message) == [
                "OAuthServerDeploymentDegraded: 1 of 1 requested instances are unavailable", "",
                "NodeInstallerProgressing: 1 node is at revision 6; 0 nodes have achieved new revision 7", "",
            ]
        )
        node.answer(path, try ScriptedCluster.fixture("forbidden.json"), status: 403)
        let error = #expect(throws: ClusterError.self) { try node.cluster.operators() }
        #expect(
            error?.summary.hasPrefix("'\(node.url)' refused to list the cluster operators: HTTP status 403: ") == true
        )
        #expect(error?.summary.contains("is forbidden: User \"system:node:sno1\" cannot list") == true)
        #expect(error?.exitStatus == .noPermission)
        #expect(error?.hint?.hasSuffix("--kubeconfig '\(node.root)/etc/kubernetes/admin.conf' auth whoami") == true)
    }

    @Test("redeploys an operand, whatever is in the reason", arguments: KubernetesCluster.operands)
    func redeploy(operand: String) throws {
        let node = try ScriptedCluster()
        try node.write()
        let path = "/apis/operator.openshift.io/v1/\(operand)s/cluster"
        let missing = #expect(throws: ClusterError.self) { try node.cluster.redeploy(operand, reason: "x") }
        #expect(missing?.summary.contains("refused to redeploy '\(operand)': HTTP status 404") == true)
        node.answer("PATCH \(path)", "{}")
        try node.cluster.redeploy(operand, reason: "recovery \"7\"\n")
        let request = try #require(node.requests.last)
        #expect(request.method == "PATCH" && request.path == path)
        #expect(request.type == "application/merge-patch+json")
        #expect(request.body == #"{"spec":{"forceRedeploymentReason":"recovery \"7\"\n"}}"#)
    }

    @Test("tells how an operand is rolled out, and what its installer says", arguments: KubernetesCluster.operands)
    func rollout(operand: String) throws {
        let node = try ScriptedCluster()
        try node.write()
        let path = "/apis/operator.openshift.io/v1/\(operand)s/cluster"
        let missing = #expect(throws: ClusterError.self) { try node.cluster.rollout(of: operand) }
        #expect(
            missing?.summary.contains("refused to report how '\(operand)' is rolled out: HTTP status 404") == true
        )
        node.answer("GET \(path)", #"{"kind": "Etcd", "spec": {"managementState": "Managed"}}"#)
        #expect(
            try node.cluster.rollout(of: operand)
                == OperandRollout(reason: "", latestRevision: 0, currentRevisions: [], message: "")
        )
        node.answer("GET \(path)", try ScriptedCluster.fixture("etcd-operator.json"))
        #expect(
            try node.cluster.rollout(of: operand)
                == OperandRollout(
                    reason: "recovery-1",
                    latestRevision: 7,
                    currentRevisions: [6, 0],
                    message: "1 node is at revision 6; 0 nodes have achieved new revision 7"
                )
        )
        node.answer("GET \(path)", "[]")
        let error = #expect(throws: ClusterError.self) { try node.cluster.rollout(of: operand) }
        #expect(
            error?.summary.hasSuffix("sent an unexpected answer to a request to report how '\(operand)' is rolled out")
                == true
        )
    }

    @Test("takes an answer of many megabytes, and none without end")
    func large() throws {
        let node = try ScriptedCluster()
        try node.write()
        let path = "GET /apis/config.openshift.io/v1/clusteroperators"
        let padding = String(repeating: " ", count: 6 << 20)
        node.answer(path, "{\"items\": [\(padding)]}")
        #expect(try node.cluster.operators() == [])
        node.answer(path, "{\"items\": [\(String(repeating: " ", count: 33 << 20))]}")
        let error = #expect(throws: ClusterError.self) { try node.cluster.operators() }
        #expect(error?.summary.contains("in one message; at most 32") == true, "\(error?.summary ?? "")")
    }

    // MARK: - Certificate requests

    /// A certificate request as the server lists it.
    private func request(
        _ name: String,
        signer: String = CertificateRequest.clientSigner,
        user: String = "system:node:sno1",
        subject: String = "/O=system:nodes/CN=system:node:sno1",
        condition: String? = nil
    ) throws -> String {
        let pem = try Shell.output(
            """
            openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj '\(subject)' \
                2>/dev/null | base64 -w0
            """
        )
        let conditions = condition.map { #"{"conditions": [{"type": "\#($0)", "status": "True", "reason": "x"}]}"# }
        return """
            {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
             "metadata": {"name": "\(name)", "resourceVersion": "12345678901234", "labels": {"a": "b"}},
             "spec": {"request": "\(pem)", "signerName": "\(signer)", "expirationSeconds": 31536000,
                      "usages": ["digital signature", "client auth"], "username": "\(user)",
                      "groups": ["system:nodes", "system:authenticated"], "extra": {"x": [1, 1.5, true, null]}},
             "status": \(conditions ?? "{}")}
            """
    }

    @Test("shows the requests of this node's kubelet that wait, and no others")
    func pending() throws {
        let node = try ScriptedCluster()
        try node.write()
        let serving = CertificateRequest.servingSigner
        let bootstrapper = CertificateRequest.bootstrapper
        let items = try [
            request("b-client"),
            request("a-serving", signer: serving),
            request("c-bootstrap", user: bootstrapper),
            request("d-token", user: "system:bootstrap:07401b"),
            request("approved", condition: "Approved"),
            request("denied", condition: "Denied"),
            request("failed", condition: "Failed"),
            request("other-node", user: "system:node:sno10", subject: "/O=system:nodes/CN=system:node:sno10"),
            request("other-subject", subject: "/O=system:nodes/CN=system:node:sno2"),
            request("bootstrap-other", user: bootstrapper, subject: "/O=system:nodes/CN=system:node:sno2"),
            request("bootstrap-serving", signer: serving, user: bootstrapper),
            request("admin", user: bootstrapper, subject: "/O=system:masters/CN=system:node:sno1"),
            request("both", subject: "/O=system:nodes/O=system:masters/CN=system:node:sno1"),
            request("two-names", subject: "/O=system:nodes/CN=system:admin/CN=system:node:sno1"),
            request("signer", signer: "kubernetes.io/kube-apiserver-client"),
            request("user", user: "system:admin"),
            request("junk").replacing(#""request": ""#, with: #""request": "AAAA"#),
        ]
        let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        node.answer("GET \(path)", #"{"kind": "List", "items": [\#(items.joined(separator: ","))]}"#)
        #expect(
            try node.cluster.pendingCertificateRequests(ofNode: "sno1") == [
                .init(name: "a-serving", signer: serving, requester: "system:node:sno1"),
                .init(name: "b-client", signer: CertificateRequest.clientSigner, requester: "system:node:sno1"),
                .init(name: "c-bootstrap", signer: CertificateRequest.clientSigner, requester: bootstrapper),
                .init(name: "d-token", signer: CertificateRequest.clientSigner, requester: "system:bootstrap:07401b"),
            ]
        )
    }

    @Test("has a request approved, with everything else of it as it was")
    func approve() throws {
        let node = try ScriptedCluster()
        try node.write()
        let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests/csr-1"
        let text = try request("csr-1")
        node.answer("GET \(path)", text)
        node.answer("PUT \(path)/approval", "{}")
        let pending = PendingCertificateRequest(
            name: "csr-1",
            signer: CertificateRequest.clientSigner,
            requester: "system:node:sno1"
        )
        try node.cluster.approve(pending)
        let sent = try #require(node.requests.last)
        #expect(sent.method == "PUT" && sent.path == "\(path)/approval" && sent.type == "application/json")
        let before = try JSON(parsing: text)
        let after = try JSON(parsing: sent.body)
        for part in ["apiVersion", "kind", "metadata", "spec"] { #expect(after[part] == before[part]) }
        let condition = after["status"]["conditions"][0]
        #expect(condition["type"].text == "Approved" && condition["status"].text == "True")
        #expect(condition["reason"].text == "NodeRecovery")

        node.answer("GET \(path)", try request("csr-1", condition: "Approved"))
        try node.cluster.approve(pending)
        #expect(node.requests.count { $0.method == "PUT" } == 1)
        for changed in try [
            request("csr-1", condition: "Denied"), request("csr-1", user: "system:admin"),
            request("csr-1", signer: CertificateRequest.servingSigner),
        ] {
            node.answer("GET \(path)", changed)
            let error = #expect(throws: ClusterError(.requestChanged(name: "csr-1"))) {
                try node.cluster.approve(pending)
            }
            #expect(error?.exitStatus == .unavailable)
        }
        #expect(node.requests.count { $0.method == "PUT" } == 1)
        node.answer("GET \(path)", text)
        node.answer(
            "PUT \(path)/approval",
            #"{"kind": "Status", "message": "the object has been modified"}"#,
            status: 409
        )
        let conflict = #expect(throws: ClusterError.self) { try node.cluster.approve(pending) }
        #expect(conflict?.summary.hasSuffix("HTTP status 409: the object has been modified") == true)
    }
}
