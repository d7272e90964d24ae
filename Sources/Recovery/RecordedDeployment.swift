import Files
import FoundationEssentials
import NodeInterface
import RecoveryPoints
import SystemPackage

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
        guard var kept = keptDeployment() else { throw RecoveryError.deploymentGone(recorded) }
        let again = all.first { $0.checksum == kept.checksum && $0.osName == kept.osName && !$0.isStaged }
        if let again { return (again, all) }
        guard try await node.deployments.isInRepository(kept.checksum) else {
            throw RecoveryError.deploymentGone(recorded)
        }
        kept.isBooted = false
        kept.isPinned = false
        kept.isStaged = false
        return (kept, all)
    }

    /// The deployment as the recovery point describes it; `nil` when it does not.
    private func keptDeployment() -> Deployment? {
        struct Document: Decodable { var kept: Deployment }
        guard let file = point.manifest.component(.deployment)?.file(.document) else { return nil }
        let path = point.path(of: file)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        // ignored: what cannot be read describes nothing, and the deployment is looked for by its name alone
        guard let document = try? OwnedDescriptor(reading: path),
            let bytes = try? document.descriptor.readAll(limitBytes: 4 << 20, path: path.string)
        else { return nil }
        return try? decoder.decode(Document.self, from: Data(bytes)).kept
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
