import Archives
import NodeInterface
public import RecoveryPoints

/// Removes the recovery points that the retention rule no longer wants.
public enum Pruning {
    /// What the rule says about every recovery point of a store, the newest first.
    ///
    /// Changes nothing.
    /// - Parameter inUse: the recovery point that the recovery under way goes to; `nil` when none is.
    public static func plan(
        _ store: RecoveryStore,
        keep: Int,
        inUse: Int? = nil
    ) throws(BackupError) -> [Retention.Decision] {
        do {
            let candidates = try store.all().map { entry -> Retention.Candidate in
                switch entry.point {
                case .success(let point):
                    Retention.Candidate(
                        generation: entry.generation,
                        isReadable: true,
                        isVerified: point.isVerified,
                        isFailedState: point.manifest.failedState != nil,
                        isInUse: entry.generation == inUse
                    )
                case .failure:
                    Retention.Candidate(generation: entry.generation, isReadable: false, isVerified: false)
                }
            }
            return Retention.decide(candidates, keep: keep)
        } catch {
            throw .wrapping(error)
        }
    }

    /// Removes what the rule no longer wants; the store's lock must be held.
    /// - Returns: what the rule said, the newest first.
    public static func run(
        _ store: RecoveryStore,
        keep: Int,
        inUse: Int? = nil
    ) throws(BackupError) -> [Retention.Decision] {
        let decisions = try plan(store, keep: keep, inUse: inUse)
        do {
            // The oldest first: a run that is cut leaves the newer ones.
            for decision in decisions.reversed() where decision.isRemoved {
                try store.remove(decision.generation)
            }
        } catch {
            throw .wrapping(error)
        }
        return decisions
    }
}
