import RecoveryPoints
import TestSupport
import Testing

@Suite("The retention rule") struct RetentionTests {
    private func point(_ generation: Int, readable: Bool = true, verified: Bool = true) -> Retention.Candidate {
        Retention.Candidate(generation: generation, isReadable: readable, isVerified: verified)
    }

    private func removed(_ candidates: [Retention.Candidate], keep: Int) -> [Int] {
        Retention.decide(candidates, keep: keep).filter(\.isRemoved).map(\.generation)
    }

    @Test("keeps the newest and removes the rest") func newest() {
        #expect(removed((1...5).map { point($0) }, keep: 2) == [3, 2, 1])
        #expect(removed([point(9)], keep: 2).isEmpty)
        #expect(removed([], keep: 2).isEmpty)
    }

    @Test("never removes the newest verified one, however old it is") func newestVerified() {
        let candidates = [point(1), point(2), point(3, verified: false), point(4, verified: false)]
        #expect(removed(candidates, keep: 1) == [3, 1])
        #expect(removed(candidates, keep: 2) == [1])
    }

    @Test("neither counts nor removes one whose manifest cannot be read") func unreadable() {
        let candidates = [point(1), point(2), point(3, readable: false, verified: false)]
        #expect(removed(candidates, keep: 1) == [1])
        #expect(removed(candidates, keep: 2).isEmpty)
    }

    @Test("keeps what the recovery under way goes to, be it an old one or a failed state") func inUse() {
        func point(_ generation: Int, isFailedState: Bool = false, isInUse: Bool = false) -> Retention.Candidate {
            Retention.Candidate(
                generation: generation,
                isReadable: true,
                isVerified: true,
                isFailedState: isFailedState,
                isInUse: isInUse
            )
        }
        #expect(removed([point(1, isInUse: true), point(2), point(3)], keep: 1) == [2])
        let undoing = [point(1), point(2, isFailedState: true, isInUse: true), point(3, isFailedState: true)]
        #expect(removed(undoing, keep: 1) == [])
        #expect(Retention.decide(undoing, keep: 1)[1].reason == "in use by the current recovery")
    }

    private func partial(_ generation: Int, hasEtcd: Bool = false) -> Retention.Candidate {
        Retention.Candidate(
            generation: generation,
            isReadable: true,
            isVerified: true,
            isWhole: false,
            hasEtcd: hasEtcd
        )
    }

    @Test("counts whole ones: a partial one never pushes out the last whole one, nor the last with etcd")
    func partialOnes() {
        let whole = Retention.Candidate(generation: 1, isReadable: true, isVerified: true, hasEtcd: true)
        #expect(removed([whole, partial(2), partial(3), partial(4)], keep: 2) == [2])
        #expect(removed([whole, partial(2), partial(3)], keep: 1) == [2])
        // What is older than a whole one is no longer needed, however many there are to keep.
        #expect(removed([partial(1), point(2), partial(3)], keep: 5) == [1])
        // Without a whole one the newest partial ones stay, and the last that has etcd.
        #expect(removed([partial(1, hasEtcd: true), partial(2), partial(3), partial(4)], keep: 1) == [3, 2])
        // Whole as the configuration has it, but without etcd: the older one with etcd stays.
        #expect(removed([partial(1, hasEtcd: true), point(2), point(3)], keep: 1) == [2])
    }

    @Test("keeps at least one") func zero() {
        #expect(removed([point(1), point(2)], keep: 0) == [1])
    }

    @Test("says why, the newest first") func reasons() {
        let decisions = Retention.decide([point(1), point(2, verified: false), point(3, readable: false)], keep: 1)
        #expect(decisions.map(\.generation) == [3, 2, 1])
        #expect(decisions[1].reason == "the newest")
        #expect(decisions[2].reason == "the newest verified one")
        #expect(decisions[0].reason.hasPrefix("damaged"))
    }

    @Test("is idempotent, keeps the newest verified one, and removes only readable ones, whatever the store holds")
    func properties() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<2000 {
            let candidates = (1...Int.random(in: 1...12, using: &random)).map { generation in
                Retention.Candidate(
                    generation: generation,
                    isReadable: Int.random(in: 0..<5, using: &random) > 0,
                    isVerified: Bool.random(using: &random),
                    isWhole: Bool.random(using: &random),
                    hasEtcd: Bool.random(using: &random)
                )
            }
            let keep = Int.random(in: 1...4, using: &random)
            let decisions = Retention.decide(candidates, keep: keep)
            let gone = Set(decisions.filter(\.isRemoved).map(\.generation))
            let left = candidates.filter { !gone.contains($0.generation) }
            #expect(removed(left, keep: keep).isEmpty)
            let wanted: [(Retention.Candidate) -> Bool] = [
                { $0.isWhole && $0.isVerified }, { $0.isWhole }, { $0.hasEtcd },
            ]
            for isWanted in wanted {
                if let best = candidates.last(where: { $0.isReadable && isWanted($0) }) {
                    #expect(!gone.contains(best.generation))
                }
            }
            #expect(candidates.allSatisfy { $0.isReadable || !gone.contains($0.generation) })
            let whole = candidates.filter { $0.isReadable && $0.isWhole }
            #expect(left.filter { $0.isReadable && $0.isWhole }.count >= min(keep, whole.count))
        }
    }
}
