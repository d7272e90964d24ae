public import Archives
import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// What a recovery would do, as `--dry-run` shows it: for people as text, for machines as JSON.
public struct RecoveryPlan: Sendable, Codable, Equatable {
    /// What would become of a component's trees.
    public struct Tree: Sendable, Codable, Equatable {
        /// The component.
        public var component: String
        /// Files whose content is written.
        public var written: Int
        /// Files that get other metadata only.
        public var metadataOnly: Int
        /// Files that go away.
        public var removed: Int
        /// Files that stay as they are.
        public var unchanged: Int
        /// Bytes that are written.
        public var writtenBytes: Int64
        /// Why the component is skipped; absent otherwise.
        public var skipped: String?

        enum CodingKeys: String, CodingKey {
            case component, written, removed, unchanged, skipped
            case metadataOnly = "metadata_only"
            case writtenBytes = "written_bytes"
        }
    }

    /// One step.
    public struct StepEntry: Sendable, Codable, Equatable {
        /// Its phase.
        public var phase: String
        /// Its name.
        public var name: String
        /// What it does.
        public var summary: String
        /// What must hold for it to be run; empty when it always is.
        public var conditions: [String]
        /// Why it has nothing to do on this node; absent when it is run, and where no node was looked at.
        public var skipped: String?

        init(_ step: Step, skipped: String?) {
            phase = step.phase.rawValue
            name = step.name
            summary = step.summary
            conditions = step.conditions.map(\.text)
            self.skipped = skipped
        }
    }

    /// The recovery point.
    public var generation: Int
    /// When it was taken.
    public var createdAt: String
    /// The node that it is of.
    public var node: String
    /// Its profile.
    public var profile: String
    /// etcd's revision now; absent when etcd does not answer.
    public var etcdRevisionNow: Int64?
    /// etcd's revision in the recovery point; absent when it has none.
    public var etcdRevision: Int64?
    /// The deployment that is booted; absent on nodes without ostree.
    public var deploymentNow: String?
    /// The deployment of the recovery point; absent when it has none.
    public var deployment: String?
    /// What becomes of files.
    public var trees: [Tree]
    /// The steps in order.
    public var steps: [StepEntry]

    enum CodingKeys: String, CodingKey {
        case generation, node, profile, deployment, trees, steps
        case createdAt = "created_at"
        case etcdRevisionNow = "etcd_revision_now"
        case etcdRevision = "etcd_revision"
        case deploymentNow = "deployment_now"
    }
}

extension Recovery {
    /// What ``begin()`` would do, found out without changing anything; needs no lock.
    /// - Parameter report: gets every file that would change, component by component.
    public func plan(
        _ report: @escaping (_ component: String, TreeDifference) throws -> Void = { _, _ in }
    ) async throws(RecoveryError) -> RecoveryPlan {
        do {
            let proof = try Proof(request, node: node)
            let point = proof.point
            var plan = RecoveryPlan(
                generation: point.generation,
                createdAt: point.manifest.createdAt,
                node: point.manifest.node.name,
                profile: point.manifest.profile,
                etcdRevisionNow: etcdRevision(proof),
                etcdRevision: point.manifest.etcd?.currentRevision,
                deploymentNow: try await node.deployments.deployments()?.first { $0.isBooted }?.name,
                deployment: point.manifest.deployment,
                trees: [],
                steps: []
            )
            let situation = StepSituation(
                node: node,
                manifest: point.manifest,
                skippedChecks: request.skippedChecks,
                keepsFailedState: request.keepsFailedState
            )
            for step in request.sequence.steps {
                plan.steps.append(RecoveryPlan.StepEntry(step, skipped: try await step.reasonToSkip(situation)))
            }
            for component in TreeComponents.names {
                let summary = try proof.restorer(for: component)?.plan { difference in
                    try report(component.rawValue, difference)
                    return true
                }
                plan.trees.append(
                    RecoveryPlan.Tree(
                        component: component.rawValue,
                        written: summary?.written ?? 0,
                        metadataOnly: summary?.metadataOnly ?? 0,
                        removed: summary?.removed ?? 0,
                        unchanged: summary?.unchanged ?? 0,
                        writtenBytes: summary?.writtenBytes ?? 0,
                        skipped: summary == nil ? point.manifest.reasonForLack(of: component) : nil
                    )
                )
            }
            return plan
        } catch {
            throw .wrapping(error)
        }
    }

    /// etcd's revision now; `nil` when it cannot be asked, which is no surprise on a failed node.
    private func etcdRevision(_ proof: Proof) -> Int64? {
        do {
            guard let endpoint = try proof.etcdEndpoint() else { return nil }
            return try node.etcd.status(of: endpoint, limit: .seconds(5)).revision
        } catch {
            node.log.debug("etcd's revision is not known: \(error)")
            return nil
        }
    }
}
