import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting

/// How a run of the recovery ended.
public enum RecoveryEnding: Sendable, Equatable {
    /// All steps are over.
    case completed
    /// The node must be rebooted; the text says why.
    case needsReboot(step: String, reason: String)
    /// A phase is over, and the operator wanted to look; the name of the phase that comes next.
    case phaseDone(next: Phase)
}

/// Runs the steps of a sequence in order, and knows from the journal which are over.
struct Sequencer {
    let sequence: RecoverySequence
    let context: RecoveryContext

    /// Runs what is left.
    ///
    /// *started* is written before a step and its end after it, each synced; a step without an end runs again.
    /// - Throws: ``RecoveryError`` with the step's name; the journal stays, so that the recovery can be resumed.
    func run() async throws(RecoveryError) -> RecoveryEnding {
        let journal = context.journal
        var lastPhase: Phase?
        let boot: String?
        do { boot = try context.bootID() } catch { throw .wrapping(error) }
        for step in sequence.steps where !journal.isOver(step, inBoot: boot) {
            if let lastPhase, lastPhase != step.phase, context.request.stopsAfterPhase {
                return .phaseDone(next: step.phase)
            }
            lastPhase = step.phase
            if let reason = try await run(step) { return .needsReboot(step: step.name, reason: reason) }
        }
        return .completed
    }

    /// - Returns: why the node must be rebooted, when it must.
    private func run(_ step: Step) async throws(RecoveryError) -> String? {
        let node = context.node
        do {
            try node.cancellation.check()
            try write(step, .started)
            node.log.info("\(step.summary)", metadata: ["step": "\(step.name)"])
            let outcome: StepOutcome =
                if let reason = try await step.reasonToSkip(context.situation) {
                    .skipped(reason)
                } else {
                    try await step.action(context)
                }
            switch outcome {
            case .done(let text, let values):
                try write(step, .done, note: text, values: values)
                node.log.notice("\(step.name): \(text)", metadata: ["step": "\(step.name)"])
            case .skipped(let reason):
                try write(step, .skipped, note: reason)
                node.log.notice("\(step.name): skipped, \(reason)", metadata: ["step": "\(step.name)"])
            case .needsReboot(let reason, let values):
                try write(step, .paused, note: reason, values: values)
                return reason
            }
            return nil
        } catch {
            let failure: RecoveryError =
                step.phase == .prove
                ? .proof(step.name, .wrapping(error), isUnderWay: context.journal.hasChangedTheNode)
                : .step(step.name, .wrapping(error))
            // ignored: a journal that cannot be written must not hide what happened
            try? write(step, .failed, note: failure.summary)
            throw failure
        }
    }

    private func write(
        _ step: Step,
        _ event: StepJournal.Event,
        note: String? = nil,
        values: JournalValues = .none
    ) throws {
        try context.journal.append(
            StepJournal.Record(
                step: step.name,
                event: event,
                at: context.node.now().iso8601,
                boot: try context.bootID(),
                note: note,
                values: values.isEmpty ? nil : values
            )
        )
    }
}
