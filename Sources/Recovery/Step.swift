/// What lies between two reboots of a recovery, and the promise that each one makes.
public enum Phase: String, Sendable, Codable, CaseIterable {
    /// Shows that the recovery will work; changes nothing on the node.
    case prove
    /// Keeps the failed state, rolls the operating system back, restores files.
    case files
    /// Restores etcd and the control plane, and starts them.
    case cluster
    /// Waits until the node is well.
    case settle
}

/// How a step ended.
enum StepOutcome: Sendable, Equatable {
    /// What the step stands for is so; the text says what was done, for the operator.
    case done(String, values: [String: String] = [:])
    /// There is nothing to do here, for this reason.
    case skipped(String)
    /// The node must be rebooted before the step can be done; the text says why.
    case needsReboot(String, values: [String: String] = [:])
}

/// The smallest change of a recovery that is journaled.
///
/// A step makes it so; it does not assume how it found things. It may be killed anywhere and run again.
struct Step: Sendable {
    /// Its phase.
    let phase: Phase
    /// Its name: in the journal, in messages, in the runbook.
    ///
    /// Never renamed, never reused.
    let name: String
    /// What it does, in a line for the operator.
    let summary: String
    /// Does it.
    let action: @Sendable (RecoveryContext) async throws -> StepOutcome

    init(
        _ phase: Phase,
        _ name: String,
        _ summary: String,
        _ action: @escaping @Sendable (RecoveryContext) async throws -> StepOutcome
    ) {
        self.phase = phase
        self.name = name
        self.summary = summary
        self.action = action
    }
}
