import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// The recovery point of the state that a recovery found: what `--undo` goes back to.
enum FailedState {
    /// What it would take.
    static func forecast(_ proof: Proof, meter: ProgressMeter) async throws -> BackupForecast {
        try await BackupRun(request(proof), on: proof.node, meter: meter).forecast()
    }

    /// Takes it, unless this recovery has done so already.
    /// - Returns: its generation, and whether it existed.
    static func keep(_ context: RecoveryContext) async throws -> (generation: Int, existed: Bool) {
        if let point = try context.store.newestFailedState(),
            point.manifest.failedState?.recovery == context.identity
        {
            return (point.generation, true)
        }
        var request = request(context.proof)
        request.failedState = FailedStateEntry(recovery: context.identity, target: context.point.generation)
        let run = BackupRun(request, on: context.node, meter: context.meter)
        let point = try await run.createFailedState(holding: context.lock)
        for skipped in point.manifest.skipped where context.point.manifest.component(named: skipped.name) != nil {
            context.node.log.warning(
                "the failed state is kept without '\(skipped.name)': \(skipped.reason), continuing"
            )
        }
        return (point.generation, false)
    }

    /// Everything that can be taken of the node as it is: on a failed node etcd may be down, a manifest unreadable.
    private static func request(_ proof: Proof) -> BackupRequest {
        var request = proof.request.backup
        request.allowsRootFileSystem = true  // the store is where it is
        request.skipsUnreadable = true
        request.leavesOutWhatFails = true
        request.onlyComponents = nil
        request.profile = .fixed(proof.point.profile)
        request.terminationLog = nil
        return request
    }
}
