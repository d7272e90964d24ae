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
    static func forecast(_ context: RecoveryContext) async throws -> BackupForecast {
        try await BackupRun(try await request(context, isSaid: false), on: context.node, meter: context.meter)
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
        let run = BackupRun(try await request(context, isSaid: true), on: context.node, meter: context.meter)
        return (try await run.create(holding: context.lock).generation, false)
    }

    /// Everything that can be taken of the node as it is: on a failed node etcd may be down, a manifest unreadable.
    /// - Parameter isSaid: whether what cannot be taken is logged, as far as the recovery point has it.
    private static func request(_ context: RecoveryContext, isSaid: Bool) async throws -> BackupRequest {
        var request = BackupRequest(
            directory: context.request.directory,
            jobs: context.request.jobs,
            toolVersion: context.request.toolVersion
        )
        request.allowsRootFileSystem = true  // the store is where it is
        request.skipsUnreadable = true
        request.profile = .fixed(context.point.profile)
        request.executable = context.request.executable
        request.failedState = FailedStateEntry(recovery: context.identity, target: context.point.generation)
        for component in BackupPlan.components {
            var probe = request
            probe.onlyComponents = [component.name]
            do throws(BackupError) {
                _ = try await BackupRun(probe, on: context.node, meter: context.meter).forecast()
            } catch {
                if case .stopped = error { throw error }
                if isSaid, context.point.manifest.component(component.name) != nil {
                    context.node.log.warning(
                        "the failed state is kept without '\(component.name)': \(error.summary), continuing"
                    )
                }
                request.skippedComponents.append(component.name)
            }
        }
        return request
    }
}
