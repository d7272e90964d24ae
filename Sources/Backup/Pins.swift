import Logging
package import NodeInterface
package import RecoveryPoints
import Reporting

/// The pins that recovery points have on ostree deployments: made with the first point, gone with the last one.
///
/// A pin that somebody else made, or that a recovery point of an earlier version stands for, is left alone.
package enum Pins {
    /// Pins a deployment unless it is pinned, and says whether the pin is ours.
    static func own(_ deployment: Deployment, _ node: Node, _ store: RecoveryStore) async throws -> Bool {
        guard deployment.isPinned else {
            try await node.deployments.pin(deployment)
            return true
        }
        return try store.all().contains { entry in
            guard case .success(let point) = entry.point else { return false }
            return point.manifest.deployment == deployment.pointName && point.manifest.ownsPin == true
        }
    }

    /// The deployments that have a pin of ours and are needed by nothing else than the recovery points that go.
    ///
    /// A recovery point that cannot be read may need any of them.
    static func unneeded(
        without removed: Set<Int>,
        of all: [(generation: Int, point: Result<RecoveryPoint, StoreError>)]
    ) -> [String] {
        var ours: Set<String> = []
        var needed: Set<String> = []
        for entry in all {
            guard case .success(let point) = entry.point else {
                return []
            }
            guard let deployment = point.manifest.deployment else { continue }
            if !removed.contains(entry.generation) {
                needed.insert(deployment)
            } else if point.manifest.ownsPin == true {
                ours.insert(deployment)
            }
        }
        return ours.subtracting(needed).sorted()
    }

    /// Removes pins; one that stays is a warning, as the recovery points are what they should be.
    static func release(_ names: [String], _ node: Node) async {
        guard !names.isEmpty else { return }
        do {
            for deployment in try await node.deployments.deployments() ?? []
            where deployment.isPinned && names.contains(deployment.pointName) {
                try await node.deployments.unpin(deployment)
                node.log.notice("Unpinned the deployment '\(deployment.pointName)', which no recovery point needs")
            }
        } catch {
            node.log.warning("\(BackupError.wrapping(error).summary), continuing; the pin can be removed by hand")
        }
    }

    /// The pinned deployments that no recovery point of a store needs; none when a point cannot be read.
    package static func unneeded(
        among deployments: [Deployment],
        _ store: RecoveryStore
    ) throws(StoreError) -> [Deployment] {
        var needed: Set<String> = []
        for entry in try store.all() {
            guard case .success(let point) = entry.point else { return [] }
            if let deployment = point.manifest.deployment { needed.insert(deployment) }
        }
        return deployments.filter { $0.isPinned && !needed.contains($0.pointName) }
    }
}
