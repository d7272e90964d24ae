internal import Files
internal import FoundationEssentials
public import NodeInterface
internal import RPC
public import Reporting
public import SystemPackage

/// The cluster of a node, over its API server, with the kubeconfigs that openshift and kubeadm leave on the node.
///
/// The kubeconfig is looked for and read at every call, as a recovery replaces it, and every call makes a connection
/// of its own and waits ten seconds at most. Administrators' kubeconfigs come first; the kubelet's is enough to ask
/// about the server and the node.
public struct KubernetesCluster: ClusterInterface {
    /// How long one call may take.
    static let limit = Duration.seconds(10)
    /// The largest answer: a list of all certificate requests of a node that nobody has looked after for months.
    static let limitBytes = 32 << 20
    /// What openshift's operators have in their names; the resource is its plural.
    static let operands = ["etcd", "kubeapiserver", "kubecontrollermanager", "kubescheduler"]

    private let root: FilePath
    private let cancellation: Cancellation

    /// The cluster of the node whose `/` is `root`; nothing is read or connected yet.
    public init(root: FilePath, cancellation: Cancellation) {
        self.root = root
        self.cancellation = cancellation
    }

    /// Asks `/readyz`.
    /// - Returns: the names of the checks that fail, in the server's order; empty when the server is ready.
    /// - Throws: ``ClusterError``, `Stopped`.
    public func failingChecks() throws -> [String] {
        let session = try session(asKubelet: true)
        let answer = try session.send("GET", "/readyz?verbose")
        if answer.status == 200 { return [] }
        let failing = Self.failingChecks(in: String(decoding: answer.body, as: UTF8.self))
        guard answer.status == 500, !failing.isEmpty else { throw session.refusal(answer, "say whether it is ready") }
        return failing
    }

    /// How a node is doing; `nil` when the cluster has none of this name.
    /// - Throws: ``ClusterError``, `Stopped`.
    public func readiness(ofNode name: String) throws -> NodeReadiness? {
        let path = "/api/v1/nodes/\(Self.escaped(name))"
        let node: ObjectWithConditions? = try session(asKubelet: true).get(path, "show the node '\(name)'")
        return node?.readiness
    }

    /// openshift: every cluster operator, sorted by name; empty where there are none.
    /// - Throws: ``ClusterError``, `Stopped`.
    public func operators() throws -> [ClusterOperatorState] {
        let list: ObjectList<ObjectWithConditions>? = try session().get(
            "/apis/config.openshift.io/v1/clusteroperators",
            "list the cluster operators"
        )
        return (list?.items ?? []).map(\.operatorState).sorted { $0.name < $1.name }
    }

    /// openshift: what an operator reports about its operand.
    /// - Parameter operand: `etcd`, `kubeapiserver`, `kubecontrollermanager` or `kubescheduler`.
    /// - Throws: ``ClusterError``, `Stopped`.
    public func rollout(of operand: String) throws -> OperandRollout {
        let session = try session()
        let answer = try session.send("GET", Self.path(of: operand))
        let found: StaticPodOperator = try session.decode(answer, "report how '\(operand)' is rolled out")
        return found.rollout
    }

    /// openshift: asks an operator to roll its operand out again (`forceRedeploymentReason`).
    ///
    /// The operator acts when the reason is another one than the last; the same reason again changes nothing.
    /// - Parameter operand: as in ``rollout(of:)``.
    /// - Throws: ``ClusterError``, `Stopped`.
    public func redeploy(_ operand: String, reason: String) throws {
        var patch = JSONValue.null
        patch["spec"]["forceRedeploymentReason"] = .text(reason)
        let session = try session()
        let answer = try session.send(
            "PATCH",
            Self.path(of: operand),
            body: JSONEncoder().encode(patch),
            type: "application/merge-patch+json"
        )
        guard answer.isSuccess else { throw session.refusal(answer, "redeploy '\(operand)'") }
    }

    /// Certificate requests of a node that nobody has decided on, sorted by name: those for its two kubelet
    /// certificates that its kubelet made, and that for its first one that a bootstrapper made for it.
    /// - Throws: ``ClusterError``, `Stopped`.
    public func pendingCertificateRequests(ofNode name: String) throws -> [PendingCertificateRequest] {
        let list: ObjectList<CertificateRequest>? = try session().get(Self.requests, "list the certificate requests")
        return (list?.items ?? []).filter { $0.isPending && $0.isOf(node: name) }.map(\.summary)
            .sorted { $0.name < $1.name }
    }

    /// Approves a certificate request; one that is approved stays so.
    ///
    /// It is read once more and sent back with the approval alone added; the server refuses that when somebody has
    /// changed it in between.
    /// - Throws: ``ClusterError`` when it is denied or not the one that was listed; `Stopped`.
    public func approve(_ request: PendingCertificateRequest) throws {
        let session = try session()
        let path = "\(Self.requests)/\(Self.escaped(request.name))"
        let action = "approve the certificate request '\(request.name)'"
        let found = try session.send("GET", path)
        var object: JSONValue = try session.decode(found, action)
        let conditions = object["status"]["conditions"].items
        guard object["spec"]["signerName"].text == request.signer,
            (object["spec"]["username"].text ?? "") == request.requester,
            !conditions.contains(where: { ["Denied", "Failed"].contains($0["type"].text) })
        else { throw ClusterError(.requestChanged(name: request.name)) }
        if conditions.contains(where: { $0["type"].text == "Approved" }) { return }
        object["status"]["conditions"] = .list(
            conditions + [
                .object([
                    "type": .text("Approved"),
                    "status": .text("True"),
                    "reason": .text("NodeRecovery"),
                    "message": .text("a request of this node's kubelet, approved by its recovery"),
                ])
            ]
        )
        let answer = try session.send(
            "PUT",
            "\(path)/approval",
            body: JSONEncoder().encode(object),
            type: "application/json"
        )
        guard answer.isSuccess else { throw session.refusal(answer, action) }
    }

    // MARK: - Parts

    private static func path(of operand: String) -> String {
        precondition(operands.contains(operand), "'\(operand)' is no operand that can be redeployed")
        return "/apis/operator.openshift.io/v1/\(operand)s/cluster"
    }

    private static let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

    /// The first kubeconfig that exists.
    /// - Parameter asKubelet: whether the kubelet's will do when there is no administrator's.
    private func session(asKubelet: Bool = false) throws -> APISession {
        try cancellation.check()
        do {
            let directory = try RootDirectory(path: root)
            let places = WellKnownPaths.adminKubeconfigs + (asKubelet ? WellKnownPaths.kubeletKubeconfigs : [])
            for place in places where try directory.exists(place) {
                return APISession(
                    try Kubeconfig(place, in: directory),
                    path: directory.fullPath(of: place),
                    cancellation: cancellation
                )
            }
            throw ClusterError(.noKubeconfig(places.map { directory.fullPath(of: $0) }))
        } catch let error as FilesError {
            throw ClusterError(.file(error))
        }
    }

    /// The checks of a `/readyz?verbose` that fail: lines of `[-]NAME failed: REASON`.
    static func failingChecks(in text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("[-]") }.map { line in
            APISession.printable(String(line.dropFirst(3).prefix { $0 != " " }))
        }
    }

    /// A name as a part of a path.
    static func escaped(_ name: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return name.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                String(UnicodeScalar(byte))
            default: "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        .joined()
    }
}
