import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// The recovery point of the state that a recovery found: the way back out of it.
enum FailedState {
    /// What it would take.
    static func forecast(_ proof: Proof, meter: ProgressMeter) async throws -> BackupForecast {
        try await BackupRun(try await request(proof, meter: meter, says: { _, _ in }), on: proof.node, meter: meter)
            .forecast()
    }

    /// Takes it, unless this recovery has done so already.
    /// - Returns: its generation, and whether it was there.
    static func keep(_ context: RecoveryContext) async throws -> (generation: Int, wasThere: Bool) {
        if let point = try context.store.newestFailedState(),
            point.manifest.failedState?.recovery == context.identity
        {
            return (point.generation, true)
        }
        var request = try await request(context.proof, meter: context.meter) { component, error in
            guard context.point.manifest.component(component) != nil else { return }
            context.node.log.warning(
                "the failed state is kept without '\(component)': \(error.summary), continuing"
            )
        }
        request.failedState = FailedStateEntry(recovery: context.identity, target: context.point.generation)
        let run = BackupRun(request, on: context.node, meter: context.meter)
        return (try await run.createFailedState(holding: context.lock).generation, false)
    }

    /// Everything that can be taken of the node as it is: on a failed node etcd may be down, a manifest unreadable.
    /// - Parameter says: gets what cannot be taken, and why.
    private static func request(
        _ proof: Proof,
        meter: ProgressMeter,
        says: (_ component: ComponentName, BackupError) -> Void
    ) async throws -> BackupRequest {
        var request = BackupRequest(
            directory: proof.request.directory,
            jobs: proof.request.jobs,
            toolVersion: proof.request.toolVersion
        )
        request.allowsRootFileSystem = true  // the store is where it is
        request.skipsUnreadable = true
        request.profile = .fixed(proof.point.profile)
        request.executable = proof.request.executable
        for component in BackupPlan.components {
            var probe = request
            probe.onlyComponents = [component.name]
            do throws(BackupError) {
                _ = try await BackupRun(probe, on: proof.node, meter: meter).forecast()
            } catch {
                if case .stopped = error { throw error }
                says(component.name, error)
                request.skippedComponents.append(component.name)
            }
        }
        return request
    }
}
