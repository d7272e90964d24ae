/// How a node is doing, in the API server's words: its condition `Ready`.
public struct NodeReadiness: Sendable, Hashable {
    /// Whether the condition's status is `True`.
    public var isReady: Bool
    /// One word, such as `KubeletReady`, `KubeletNotReady`, `NodeStatusUnknown`.
    public var reason: String
    /// The rest.
    public var message: String
    /// When the kubelet last said so: UTC, ISO 8601; empty when unknown.
    public var heartbeat: String

    /// A readiness made of its parts.
    public init(isReady: Bool, reason: String, message: String, heartbeat: String) {
        self.isReady = isReady
        self.reason = reason
        self.message = message
        self.heartbeat = heartbeat
    }
}

/// An openshift cluster operator with the conditions that say how it is doing.
public struct ClusterOperatorState: Sendable, Hashable {
    /// Its name, `kube-apiserver`.
    public var name: String
    /// Condition `Available`.
    public var isAvailable: Bool
    /// Condition `Progressing`.
    public var isProgressing: Bool
    /// Condition `Degraded`.
    public var isDegraded: Bool
    /// The message of the condition that is not as it should be; empty when all are.
    public var message: String

    /// A state made of its parts.
    public init(name: String, isAvailable: Bool, isProgressing: Bool, isDegraded: Bool, message: String) {
        self.name = name
        self.isAvailable = isAvailable
        self.isProgressing = isProgressing
        self.isDegraded = isDegraded
        self.message = message
    }

    /// Whether it is available, has nothing to roll out and is not degraded.
    public var isSettled: Bool { isAvailable && !isProgressing && !isDegraded }
}

/// What an operator of openshift reports about its operand, which runs as static pods in revisions that are counted up.
public struct OperandRollout: Sendable, Hashable {
    /// Why it was last asked to roll out again (`spec.forceRedeploymentReason`); empty when nobody has asked.
    public var reason: String
    /// The revision that is to run (`status.latestAvailableRevision`).
    public var latestRevision: Int
    /// The revision that runs, one number per node (`status.nodeStatuses[].currentRevision`).
    public var currentRevisions: [Int]
    /// What its installer says about it (`NodeInstallerDegraded`, else `NodeInstallerProgressing`); may be empty.
    public var message: String

    /// A rollout made of its parts.
    public init(reason: String, latestRevision: Int, currentRevisions: [Int], message: String) {
        self.reason = reason
        self.latestRevision = latestRevision
        self.currentRevisions = currentRevisions
        self.message = message
    }
}

/// A certificate signing request that nobody has decided on.
public struct PendingCertificateRequest: Sendable, Hashable {
    /// Its name, `csr-x7k2p`.
    public var name: String
    /// Who signs it, `kubernetes.io/kubelet-serving`.
    public var signer: String
    /// Who asks: `system:node:sno1`.
    public var requester: String

    /// A request made of its parts.
    public init(name: String, signer: String, requester: String) {
        self.name = name
        self.signer = signer
        self.requester = requester
    }
}

/// The cluster of the node, over its API server.
///
/// The kubeconfig is read again at every call: a recovery replaces it. No call waits longer than a few seconds.
public protocol ClusterInterface: Sendable {
    /// Asks `/readyz`.
    /// - Returns: the names of the checks that fail; empty when the server is ready.
    /// - Throws: when the server does not answer or refuses us.
    func failingChecks() throws -> [String]

    /// How a node is doing; `nil` when the cluster has none of this name.
    func readiness(ofNode name: String) throws -> NodeReadiness?

    /// openshift: every cluster operator, sorted by name; empty where there are none.
    func operators() throws -> [ClusterOperatorState]

    /// openshift: what an operator reports about its operand.
    /// - Parameter operand: as in ``redeploy(_:reason:)``.
    func rollout(of operand: String) throws -> OperandRollout

    /// openshift: asks an operator to roll its operand out again (`forceRedeploymentReason`).
    /// - Parameter operand: `etcd`, `kubeapiserver`, `kubecontrollermanager` or `kubescheduler`.
    func redeploy(_ operand: String, reason: String) throws

    /// Certificate requests of a node that wait for a decision: made by its kubelet, or for it by the bootstrapper.
    func pendingCertificateRequests(ofNode name: String) throws -> [PendingCertificateRequest]

    /// Approves a certificate request.
    func approve(_ request: PendingCertificateRequest) throws
}
