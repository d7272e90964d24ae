import RecoveryPoints

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
    case done(String, values: JournalValues = .none)
    /// There is nothing to do, for this reason.
    case skipped(String)
    /// The node must be rebooted before the step can be done; the text says why.
    case needsReboot(String, values: JournalValues = .none)
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
    /// What must hold for it to be run; else it is skipped, for the reason that the first one that does not hold gives.
    let conditions: [StepCondition]
    /// The step until whose end this one has to be repeated after every boot; `nil` when once is enough.
    let isRepeatedUntil: String?
    /// Does it.
    let action: @Sendable (RecoveryContext) async throws -> StepOutcome

    init(
        _ phase: Phase,
        _ name: String,
        _ summary: String,
        _ conditions: [StepCondition],
        repeatedAfterBootsUntil last: String? = nil,
        _ action: @escaping @Sendable (RecoveryContext) async throws -> StepOutcome
    ) {
        self.phase = phase
        self.name = name
        self.summary = summary
        self.conditions = conditions
        isRepeatedUntil = last
        self.action = action
    }

    /// A step that makes the trees of a component equal to the recovery point, where that has the component.
    init(_ phase: Phase, _ name: String, _ summary: String, restoring component: ComponentName) {
        self.init(phase, name, summary, [.component(component)]) { try $0.restore(component) }
    }

    /// Why the step has nothing to do; `nil` when it is to be run.
    func reasonToSkip(_ situation: StepSituation) async throws -> String? {
        for condition in conditions {
            if let reason = try await condition.reasonAgainst(situation) { return reason }
        }
        return nil
    }
}
