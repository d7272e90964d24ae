import TestSupport
import Testing

/// All tests on a real node: one after the other, as one node is what a small machine can carry.
@Suite("A real node", .serialized, .enabled(if: Tier.machine.isWanted, Tier.machine.comment))
enum RealNode {}

/// Times that docs/against-talm.md quotes; nothing is asserted of them.
enum Measured {
    static func say(_ what: String, _ duration: Duration) {
        print("measured: \(what): \(duration.components.seconds) s")
    }
}
