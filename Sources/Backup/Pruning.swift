public import NodeInterface
public import RecoveryPoints

/// Removes the recovery points that the retention rule no longer wants.
public enum Pruning {
    /// What the rule says about every recovery point of a store, the newest first.
    ///
    /// Changes nothing.
    /// - Parameter inUse: the recovery point that the current recovery uses; `nil` when there is no recovery.
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
                        isInUse: entry.generation == inUse,
                        isWhole: point.manifest.isWhole,
                        hasEtcd: point.manifest.hasEtcd
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

    /// Removes what the rule no longer wants, and the pins that go with it; the store's lock must be held.
    /// - Returns: what the rule said, the newest first.
    public static func run(
        _ store: RecoveryStore,
        keep: Int,
        inUse: Int? = nil,
        on node: Node
    ) async throws(BackupError) -> [Retention.Decision] {
        let decisions = try plan(store, keep: keep, inUse: inUse)
        let removed = decisions.filter(\.isRemoved).map(\.generation)
        do {
            let pins = removed.isEmpty ? [] : Pins.unneeded(without: Set(removed), of: try store.all())
            // The oldest first: an interrupted run leaves the newer ones.
            for generation in removed.sorted() { try store.remove(generation) }
            await Pins.release(pins, node)
        } catch {
            throw .wrapping(error)
        }
        return decisions
    }
}
