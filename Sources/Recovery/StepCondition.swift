import NodeInterface
import RecoveryPoints

/// What must hold for a step to be run: the rows of ``RecoverySequence`` name them, no step asks by itself.
enum StepCondition: Sendable, Equatable {
    /// The root is that of the running system, so that units, pods and the cluster are this machine's.
    case runningSystem
    /// The recovery point is of a node with a control plane.
    case controlPlane
    /// The recovery point is of a node with openshift's operators.
    case openShift
    /// The recovery point has this component.
    case component(ComponentName)
    /// The recovery point recorded a deployment of ostree, the node is managed by ostree, and the operator did not say to
    /// stay on the one that is booted.
    case recordedDeployment
    /// The recovery point has a snapshot of etcd, or is a failed state whose member was kept beside.
    case etcdState
    /// The check was not left out.
    case check(RecoveryRequest.Check)
    /// The failed state is to be kept.
    case undoPoint

    /// For the listing.
    var text: String {
        switch self {
        case .runningSystem: "running system"
        case .controlPlane: "control plane"
        case .openShift: "openshift"
        case .component(let name): "component \(name)"
        case .recordedDeployment: "ostree, component deployment, no --force"
        case .etcdState: "component etcd or a kept member"
        case .check(let check): "no \(check.option)"
        case .undoPoint: "no --without-undo"
        }
    }

    /// Why it does not hold, for the operator; `nil` when it does.
    func reasonAgainst(_ situation: StepSituation) async throws -> String? {
        let manifest = situation.manifest
        switch self {
        case .runningSystem:
            return situation.node.units == nil ? "--root is not the running system; its units were not touched" : nil
        case .controlPlane:
            return manifest.nodeProfile == .plain ? "the profile is plain" : nil
        case .openShift:
            return manifest.nodeProfile == .openshift ? nil : "only openshift has cluster operators"
        case .component(let name):
            return manifest.component(name) == nil ? manifest.reasonForLack(of: name) : nil
        case .recordedDeployment:
            if manifest.deployment == nil { return "the recovery point has no deployment" }
            if situation.skippedChecks.contains(.deployment) { return "left out with --force" }
            return try await situation.node.deployments.deployments() == nil ? "the node is not managed by ostree" : nil
        case .etcdState:
            let hasKeptMember = manifest.failedState != nil && manifest.nodeProfile != .plain
            return manifest.component(.etcd) == nil && !hasKeptMember ? manifest.reasonForLack(of: .etcd) : nil
        case .check(let check):
            return situation.skippedChecks.contains(check) ? "left out with \(check.option)" : nil
        case .undoPoint:
            return situation.keepsFailedState ? nil : "left out with --without-undo"
        }
    }
}

/// What conditions look at.
struct StepSituation: Sendable {
    let node: Node
    let manifest: Manifest
    let skippedChecks: Set<RecoveryRequest.Check>
    let keepsFailedState: Bool
}

extension RecoveryRequest.Check {
    /// The option that leaves it out.
    var option: String { self == .deployment ? "--force" : "--skip-check \(rawValue)" }
}

extension Manifest {
    /// The profile that it names; `plain` for one that this program does not know.
    var nodeProfile: NodeProfile { NodeProfile(rawValue: profile) ?? .plain }

    /// Why the recovery point has nothing of a component.
    func reasonForLack(of component: ComponentName) -> String {
        if let skipped = skipped.first(where: { $0.name == component.rawValue }) {
            return "the recovery point has no component '\(component)': \(skipped.reason)"
        }
        return "the recovery point has no component '\(component)'"
    }
}

extension RecoveryPoint {
    /// The profile that the manifest names; `plain` for one that this program does not know.
    var profile: NodeProfile { manifest.nodeProfile }
}

extension RecoveryContext {
    /// What the conditions of the steps look at.
    var situation: StepSituation {
        StepSituation(
            node: node,
            manifest: point.manifest,
            skippedChecks: request.skippedChecks.union(journal.header.skippedChecks),
            keepsFailedState: journal.header.keepsFailedState
        )
    }

    /// The units of the node, for steps with the condition ``StepCondition/runningSystem``.
    var units: any UnitInterface { running(node.units) }

    /// The pods of the node, for steps with the condition ``StepCondition/runningSystem``.
    var pods: any PodInterface { running(node.pods) }

    /// The cluster of the node, for steps with the condition ``StepCondition/runningSystem``.
    var cluster: any ClusterInterface { running(node.cluster) }

    private func running<Service>(_ service: Service?) -> Service {
        guard let service else { preconditionFailure("the row of the step lacks the condition 'runningSystem'") }
        return service
    }
}
