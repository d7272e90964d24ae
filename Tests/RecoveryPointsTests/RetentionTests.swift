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
        #expect(Retention.decide(undoing, keep: 1)[1].reason == "the recovery under way goes to it")
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
                    isVerified: Bool.random(using: &random)
                )
            }
            let keep = Int.random(in: 1...4, using: &random)
            let decisions = Retention.decide(candidates, keep: keep)
            let gone = Set(decisions.filter(\.isRemoved).map(\.generation))
            let left = candidates.filter { !gone.contains($0.generation) }
            #expect(removed(left, keep: keep).isEmpty)
            if let best = candidates.last(where: { $0.isReadable && $0.isVerified }) {
                #expect(!gone.contains(best.generation))
            }
            #expect(candidates.allSatisfy { $0.isReadable || !gone.contains($0.generation) })
            #expect(left.filter(\.isReadable).count >= min(keep, candidates.filter(\.isReadable).count))
        }
    }
}
