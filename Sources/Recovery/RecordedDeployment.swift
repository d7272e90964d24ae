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

    /// What the next boot of a deployment lacks that can be put back from its own tree; nothing most of the time.
    /// - Throws: ``RecoveryError/notBootable(deployment:reasons:)`` when it cannot.
    func bootRepair(of deployment: Deployment) async throws -> BootRepair {
        let repair = try await node.deployments.bootRepair(of: deployment)
        guard repair.obstacles.isEmpty || repair.isPossible else {
            let reasons = repair.obstacles + repair.reasons.filter { !repair.obstacles.contains($0) }
            throw RecoveryError.notBootable(deployment: deployment.label, reasons: reasons)
        }
        return repair
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
