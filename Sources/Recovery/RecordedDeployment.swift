import NodeInterface
import RecoveryPoints

/// What is to be done about the deployment that a recovery point recorded.
enum RecordedDeployment {
    /// Nothing, and this is why.
    case over(StepOutcome)
    /// It is not the booted one; with all that the node has.
    case toBoot(Deployment, among: [Deployment])
}

extension RecoveryContext {
    /// Looks for the recorded deployment among the node's, unless the operator said to stay on the booted one.
    /// - Throws: ``RecoveryError/deploymentGone(_:)``.
    func recordedDeployment() async throws -> RecordedDeployment {
        if point.manifest.deployment != nil, skips(.deployment) { return .over(.skipped("left out with --force")) }
        return try await proof.recordedDeployment()
    }
}

extension Proof {
    /// Looks for the recorded deployment among the node's.
    /// - Throws: ``RecoveryError/deploymentGone(_:)``.
    func recordedDeployment() async throws -> RecordedDeployment {
        guard let recorded = point.manifest.deployment else {
            return .over(.skipped("the recovery point has no deployment"))
        }
        guard let all = try await node.deployments.deployments() else {
            return .over(.skipped("the node is not managed by ostree"))
        }
        guard let wanted = all.first(where: { $0.name == recorded }) else {
            throw RecoveryError.deploymentGone(recorded)
        }
        return wanted.isBooted ? .over(.done("'\(wanted.label)' is booted")) : .toBoot(wanted, among: all)
    }

    /// - Throws: ``RecoveryError/notBootable(deployment:reasons:)``.
    func refuseUnlessBootable(_ deployment: Deployment) async throws {
        let obstacles = try await node.deployments.obstacles(toBooting: deployment)
        guard obstacles.isEmpty else {
            throw RecoveryError.notBootable(deployment: deployment.label, reasons: obstacles)
        }
    }
}
