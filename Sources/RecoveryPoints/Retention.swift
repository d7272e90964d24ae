/// Which recovery points the retention rule no longer wants.
///
/// The rule: the newest `keep` stay, and the newest one that was verified without a fault stays however old it is.
/// A point whose manifest cannot be read neither counts nor goes: a person decides about it. Of the failed states that
/// recoveries have kept the newest stays, as it is the only way back; they do not count among the newest. What the
/// recovery under way goes to stays.
public struct Retention: Sendable, Equatable {
    /// One recovery point as the rule sees it.
    public struct Candidate: Sendable, Equatable {
        /// Its ordinal.
        public var generation: Int
        /// Whether its manifest could be read.
        public var isReadable: Bool
        /// Whether every component was verified without a fault.
        public var isVerified: Bool
        /// Whether it is a failed state that a recovery has kept.
        public var isFailedState: Bool
        /// Whether the recovery under way goes to it.
        public var isInUse: Bool

        /// A candidate.
        public init(
            generation: Int,
            isReadable: Bool,
            isVerified: Bool,
            isFailedState: Bool = false,
            isInUse: Bool = false
        ) {
            self.generation = generation
            self.isReadable = isReadable
            self.isVerified = isVerified
            self.isFailedState = isFailedState
            self.isInUse = isInUse
        }
    }

    /// What becomes of one recovery point.
    public struct Decision: Sendable, Equatable {
        /// Its ordinal.
        public var generation: Int
        /// Whether it goes.
        public var isRemoved: Bool
        /// Why, for a person, such as `one of the newest 2`.
        public var reason: String
    }

    /// Decides about every candidate; the newest first.
    /// - Parameter keep: how many of the newest stay; at least 1.
    public static func decide(_ candidates: [Candidate], keep: Int) -> [Decision] {
        let keep = max(1, keep)
        let newestFirst = candidates.sorted { $0.generation > $1.generation }
        let newestVerified = newestFirst.first { $0.isReadable && $0.isVerified && !$0.isFailedState }
        let newestFailedState = newestFirst.first { $0.isReadable && $0.isFailedState }
        var kept = 0
        return newestFirst.map { candidate in
            guard candidate.isReadable else {
                return Decision(
                    generation: candidate.generation,
                    isRemoved: false,
                    reason: "damaged: its manifest cannot be read; remove it by hand when it is of no more use"
                )
            }
            if candidate.isInUse {
                if !candidate.isFailedState { kept += 1 }
                return Decision(
                    generation: candidate.generation,
                    isRemoved: false,
                    reason: "the recovery under way goes to it"
                )
            }
            if candidate.isFailedState {
                return Decision(
                    generation: candidate.generation,
                    isRemoved: candidate != newestFailedState,
                    reason: candidate == newestFailedState
                        ? "the failed state before the last recovery, the way back out of it"
                        : "the failed state before an earlier recovery"
                )
            }
            if kept < keep {
                kept += 1
                return Decision(
                    generation: candidate.generation,
                    isRemoved: false,
                    reason: keep == 1 ? "the newest" : "one of the newest \(keep)"
                )
            }
            if candidate == newestVerified {
                return Decision(generation: candidate.generation, isRemoved: false, reason: "the newest verified one")
            }
            return Decision(
                generation: candidate.generation,
                isRemoved: true,
                reason: "not one of the newest \(keep)"
            )
        }
    }
}
