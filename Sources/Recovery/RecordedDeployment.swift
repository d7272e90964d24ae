import NodeInterface
import RecoveryPoints

extension Proof {
    /// The deployment that the recovery point recorded, among all that the node has; `nil` when it recorded none, or the
    /// node is not managed by ostree.
    /// - Throws: ``RecoveryError/deploymentGone(_:)``.
    func recordedDeployment() async throws -> (wanted: Deployment, all: [Deployment])? {
        guard let recorded = point.manifest.deployment, let all = try await node.deployments.deployments() else {
            return nil
        }
        guard let wanted = all.first(where: { $0.name == recorded }) else {
            throw RecoveryError.deploymentGone(recorded)
        }
        return (wanted, all)
    }

    /// - Throws: ``RecoveryError/notBootable(deployment:reasons:)``.
    func refuseUnlessBootable(_ deployment: Deployment) async throws {
        let obstacles = try await node.deployments.obstacles(toBooting: deployment)
        guard obstacles.isEmpty else {
            throw RecoveryError.notBootable(deployment: deployment.label, reasons: obstacles)
        }
    }
}

extension RecoveryContext {
    /// The deployment that the recovery point recorded, for steps with the condition
    /// ``StepCondition/recordedDeployment``.
    func recordedDeployment() async throws -> (wanted: Deployment, all: [Deployment]) {
        guard let found = try await proof.recordedDeployment() else {
            throw RecoveryError.deploymentGone(point.manifest.deployment ?? "none")
        }
        return found
    }
}
