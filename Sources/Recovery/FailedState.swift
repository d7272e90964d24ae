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
        guard let lock = context.lock else { preconditionFailure("a dry run keeps no failed state") }
        var request = request(context.proof)
        request.failedState = FailedStateEntry(recovery: context.identity, target: context.point.generation)
        let point: RecoveryPoint
        do throws(BackupError) {
            point = try await take(request, context, lock)
        } catch {
            // An etcd that answers and cannot be read to its end must not keep itself from being recovered: its files are
            // kept beside the restored ones, and --undo takes them back.
            if case .stopped = error { throw error }
            guard !error.isForWantOfSpace, !request.skippedComponents.contains(.etcd) else { throw error }
            context.node.log.warning(
                "the failed state is taken without a snapshot of etcd: \(error.summary), continuing"
            )
            request.skippedComponents.append(.etcd)
            point = try await take(request, context, lock)
        }
        for skipped in point.manifest.skipped where context.point.manifest.component(named: skipped.name) != nil {
            context.node.log.warning(
                "the failed state is kept without '\(skipped.name)': \(skipped.reason), continuing"
            )
        }
        return (point.generation, false)
    }

    /// The recoveries whose failed state has no snapshot of etcd: what they put aside of it is all that there is.
    static func recoveriesWithoutSnapshot(in store: RecoveryStore) throws -> Set<String> {
        var recoveries: Set<String> = []
        for entry in try store.all() {
            guard case .success(let point) = entry.point, let failed = point.manifest.failedState,
                point.profile != .plain, point.manifest.component(.etcd) == nil
            else { continue }
            recoveries.insert(failed.recovery)
        }
        return recoveries
    }

    private static func take(
        _ request: BackupRequest,
        _ context: RecoveryContext,
        _ lock: FileLock
    ) async throws(BackupError) -> RecoveryPoint {
        try await BackupRun(request, on: context.node, meter: context.meter).createFailedState(holding: lock)
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
