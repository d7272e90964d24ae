import Certificates
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// The steps that wait until the node is well, and leave it as it was but for that.
enum SettleSteps {
    /// openshift: the operands that are rolled out again, and the operators that do it.
    static let operands = [
        ("etcd", "etcd"), ("kubeapiserver", "kube-apiserver"),
        ("kubecontrollermanager", "kube-controller-manager"), ("kubescheduler", "kube-scheduler"),
    ]

    @Sendable static func waitForNode(_ context: RecoveryContext) async throws -> StepOutcome {
        let cluster = context.cluster
        let name = try context.clusterNodeName()
        // What etcd remembers of the node is from the time of the backup: only a later heartbeat counts.
        let begun = context.journal.last(of: "start-kubelet")?.at ?? ""
        let seen = try await context.wait(for: "node '\(name)' to be ready") {
            try context.approveRequests(ofNode: name, cluster)
            guard let readiness = try cluster.readiness(ofNode: name) else {
                return .notYet("the cluster has no node '\(name)'")
            }
            guard readiness.isReady else { return .notYet("\(readiness.reason): \(readiness.message)") }
            guard readiness.heartbeat >= begun else {
                return .notYet("Ready, but the last heartbeat (\(readiness.heartbeat)) predates the recovery")
            }
            return .there("node '\(name)' is ready")
        }
        return .done(seen)
    }

    /// Has each operand rolled out again, one after the other, until its new revision runs.
    ///
    /// The reason that is left in the cluster tells the revision before: whoever runs this again asks for nothing twice
    /// and waits for the same.
    @Sendable static func redeploy(_ context: RecoveryContext) async throws -> StepOutcome {
        let cluster = context.cluster
        let reason = "recovery-\(context.identity)-of-revision-"
        var revisions: [String] = []
        for (operand, name) in operands {
            let revision = try await context.wait(
                for: "\(name) to be rolled out again",
                look: "'oc describe \(operand) cluster' and 'oc get pods -n openshift-\(name)'",
                every: .seconds(5)
            ) {
                let rollout = try cluster.rollout(of: operand)
                guard rollout.reason.hasPrefix(reason), let before = Int(rollout.reason.dropFirst(reason.count)) else {
                    try cluster.redeploy(operand, reason: "\(reason)\(rollout.latestRevision)")
                    return .notYet("asked its operator to roll it out")
                }
                let slowest = rollout.currentRevisions.min()
                if let slowest, slowest > before { return .there("\(slowest)") }
                let now = slowest.map { "revision \($0) is still running" } ?? "no revision is running"
                return .notYet(rollout.message.isEmpty ? now : "\(now): \(rollout.message)")
            }
            revisions.append("\(name) at revision \(revision)")
        }
        return .done(revisions.joined(separator: ", "))
    }

    @Sendable static func waitOperators(_ context: RecoveryContext) async throws -> StepOutcome {
        let cluster = context.cluster
        let name = try context.clusterNodeName()
        let seen = try await context.wait(for: "the cluster operators to settle", every: .seconds(5)) {
            try context.approveRequests(ofNode: name, cluster)
            let operators = try cluster.operators()
            let unsettled = operators.filter { !$0.isSettled }
            if operators.isEmpty { return .notYet("the cluster lists no operators") }
            guard let first = unsettled.first else { return .there("all \(operators.count) operators have settled") }
            return .notYet("\(unsettled.map(\.name).joined(separator: ", ")): \(first.message)")
        }
        return .done(seen)
    }

    @Sendable static func tidy(_ context: RecoveryContext) async throws -> StepOutcome {
        try await context.removeMarks()
        try context.node.units?.reload()
        if context.point.profile != .plain, context.point.manifest.component(.etcd) != nil {
            try context.etcdPlacement().tidy(keeping: FailedState.recoveriesWithoutSnapshot(in: context.store))
        }
        try StepJournal.removeUnpackedFiles(of: context.identity, from: context.store)
        return .done("the recovery's own files were removed")
    }
}

extension RecoveryContext {
    /// Removes what was put into the node's `/etc`, and into that of deployments that are not booted now.
    fileprivate func removeMarks() async throws {
        var marks = try marks()
        let wanted = try wantedMarkDirectories(marks.made)
        if try marks.holdsOffWipe() { try CRIOStore.forgetSupport(in: root) }
        try marks.release()
        try marks.removeTheRest(keeping: wanted)
        guard node.units != nil, let all = try await node.deployments.deployments() else { return }
        for deployment in all where !deployment.isBooted {
            do {
                let etc = try root.directoryIfPresent(node.deployments.configuration(of: deployment))
                guard let etc else { continue }
                var others = NodeMarks(etc: etc, made: marks.made)
                guard try others.arePresent() else { continue }
                try others.release()
                try others.removeTheRest(keeping: wanted)
            } catch {
                node.log.warning(
                    "\(RecoveryError.wrapping(error).summary): what the recovery put into '\(deployment.label)' stays, ignored"
                )
            }
        }
    }

    /// The name by which the cluster knows the node: the one in the kubelet's certificate, else the host's.
    func clusterNodeName() throws -> String {
        let prefix = "system:node:"
        if try root.exists(WellKnownPaths.kubeletCertificate) {
            let bytes = try root.readFile(WellKnownPaths.kubeletCertificate, limitBytes: 1 << 20)
            if let name = Certificate.all(inPEM: bytes).first?.commonName, name.hasPrefix(prefix) {
                return String(name.dropFirst(prefix.count))
            }
        }
        return point.manifest.node.name.lowercased()
    }

    /// Approves what this node's kubelet asks for: its certificates may have expired since the backup.
    func approveRequests(ofNode name: String, _ cluster: any ClusterInterface) throws {
        for request in try cluster.pendingCertificateRequests(ofNode: name) {
            try cluster.approve(request)
            node.log.notice("Approved the certificate request '\(request.name)' of \(request.requester)")
        }
    }
}
