/// Which recovery points the retention rule no longer wants.
///
/// The rule counts whole recovery points: the newest `keep` stay, and of the partial ones that are newer than all of them
/// the newest `keep`. Whatever their age, three stay: the newest whole one that was verified without a fault, the newest
/// whole one, and the newest one with an etcd snapshot. A point whose manifest cannot be read neither counts nor goes: a
/// person decides about it. Of the failed states that recoveries have kept the newest stays, as it is the only undo point;
/// they do not count among the newest. What the current recovery uses stays.
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
        /// Whether the current recovery uses it.
        public var isInUse: Bool
        /// Whether it has every component that the node had.
        public var isWhole: Bool
        /// Whether it has an etcd snapshot.
        public var hasEtcd: Bool

        /// A candidate.
        public init(
            generation: Int,
            isReadable: Bool,
            isVerified: Bool,
            isFailedState: Bool = false,
            isInUse: Bool = false,
            isWhole: Bool = true,
            hasEtcd: Bool = false
        ) {
            self.generation = generation
            self.isReadable = isReadable
            self.isVerified = isVerified
            self.isFailedState = isFailedState
            self.isInUse = isInUse
            self.isWhole = isWhole
            self.hasEtcd = hasEtcd
        }
    }

    /// What happens to one recovery point.
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
        let usable = newestFirst.filter { $0.isReadable && !$0.isFailedState }
        let newestFailedState = newestFirst.first { $0.isReadable && $0.isFailedState }
        let newestWhole = usable.first { $0.isWhole }
        let newestVerified = usable.first { $0.isWhole && $0.isVerified } ?? usable.first { $0.isVerified }
        let newestWithEtcd = usable.first { $0.hasEtcd }
        var kept = 0
        var keptPartial = 0

        /// Why it stays; `nil` when it goes.
        func reasonToStay(_ candidate: Candidate) -> String? {
            guard candidate.isReadable else {
                return
                    "damaged or of a newer program: its manifest cannot be read; remove it by hand when it is no longer needed"
            }
            let isOfTheNewest = !candidate.isFailedState && count(candidate)
            if candidate.isInUse { return "in use by the current recovery" }
            if candidate.isFailedState {
                return candidate == newestFailedState
                    ? "the failed state before the last recovery, its undo point" : nil
            }
            if isOfTheNewest {
                guard candidate.isWhole else { return "partial, newer than the newest whole one" }
                return keep == 1 ? "the newest" : "one of the newest \(keep)"
            }
            if candidate == newestWhole { return "the newest whole one" }
            if candidate == newestVerified { return "the newest verified one" }
            return candidate == newestWithEtcd ? "the newest one with etcd" : nil
        }

        /// Counts it when it is one of the newest.
        func count(_ candidate: Candidate) -> Bool {
            if candidate.isWhole {
                guard kept < keep else { return false }
                kept += 1
            } else {
                guard kept == 0, keptPartial < keep else { return false }
                keptPartial += 1
            }
            return true
        }

        return newestFirst.map { candidate in
            let reason = reasonToStay(candidate)
            return Decision(
                generation: candidate.generation,
                isRemoved: reason == nil,
                reason: reason
                    ?? (candidate.isFailedState
                        ? "the failed state before an earlier recovery"
                        : candidate.isWhole
                            ? "not one of the newest \(keep)" : "partial, and not one of the newest \(keep)")
            )
        }
    }
}
