import NodeInterface
import RecoveryPoints

extension Proof {
    /// The deployment that the recovery point recorded, among all that the node has; `nil` when it recorded none, or the
    /// node is not managed by ostree.
    ///
    /// One that was deployed again under another serial counts. One that was undeployed is as it was recorded, and not
    /// among all, as long as the repository has its commit: then it can be deployed again.
    /// - Throws: ``RecoveryError/deploymentGone(_:)``.
    func recordedDeployment() async throws -> (wanted: Deployment, all: [Deployment])? {
        guard let recorded = point.manifest.deployment, let all = try await node.deployments.deployments() else {
            return nil
        }
        if let wanted = all.first(where: { $0.name == recorded }) { return (wanted, all) }
        guard let kept = try keptDeployment() else { throw RecoveryError.deploymentGone(recorded) }
        let again = all.first { $0.checksum == kept.checksum && $0.osName == kept.osName && !$0.isStaged }
        if let again { return (again, all) }
        guard try await node.deployments.isInRepository(kept.checksum) else {
            throw RecoveryError.deploymentGone(recorded)
        }
        return (kept, all)
    }

    /// The deployment as the recovery point describes it, of which nothing is on this node; `nil` when it does not.
    private func keptDeployment() throws -> Deployment? {
        guard let kept = try point.deployments()?.kept else { return nil }
        return Deployment(
            osName: kept.osName,
            checksum: kept.checksum,
            serial: kept.serial,
            origin: kept.origin,
            version: kept.version,
            kernelArguments: kept.kernelArguments,
            isBooted: false,
            isPinned: false,
            isStaged: false
        )
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
