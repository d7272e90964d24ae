import Backup
import Files
import NodeInterface
import RecoveryPoints
import Reporting
public import SystemPackage

/// How far a recovery is, as `--status` shows it.
public struct RecoveryProgress: Sendable, Codable, Equatable {
    /// Where a recovery can be.
    public enum State: String, Sendable, Codable {
        /// There never was one, or its journal is gone.
        case none
        /// Started, and not paused: it is running, was interrupted, or a step failed.
        case underWay = "under-way"
        /// It waits for a reboot.
        case paused
        /// It is done.
        case done
    }

    /// One step.
    public struct StepEntry: Sendable, Codable, Equatable {
        /// Its phase.
        public var phase: String
        /// Its name.
        public var name: String
        /// `pending`, `started`, `done`, `skipped`, `paused` or `failed`.
        public var state: String
        /// When that was; absent while pending.
        public var at: String?
        /// What was done, why it was skipped, what is to be done, what went wrong.
        public var note: String?
    }

    /// Where it is.
    public var state: State
    /// The recovery point that it goes to.
    public var generation: Int?
    /// When it was begun.
    public var begunAt: String?
    /// The step that comes next; absent when there is none.
    public var next: String?
    /// What to type now; absent when there is nothing to do.
    public var command: String?
    /// The steps in order.
    public var steps: [StepEntry]

    enum CodingKeys: String, CodingKey {
        case state, generation, next, command, steps
        case begunAt = "begun_at"
    }

    /// Reads the journal in the store, of the recovery under way or of the one that was done last; needs no lock.
    public init(in store: FilePath, root: FilePath) throws(RecoveryError) {
        let current = try StepJournal.open(in: store)
        var found = current
        if found == nil { found = try StepJournal.open(in: store, name: StepJournal.lastName) }
        guard let journal = found else {
            state = .none
            steps = []
            return
        }
        generation = journal.header.generation
        begunAt = journal.header.begunAt
        steps = journal.sequence.steps.map { step in
            let last = journal.last(of: step.name)
            return StepEntry(
                phase: step.phase.rawValue,
                name: step.name,
                state: last?.event.rawValue ?? "pending",
                at: last?.at,
                note: last?.note
            )
        }
        guard current != nil else {
            state = .done
            return
        }
        let boot: String?
        do { boot = try RecoveryContext.bootID(in: RootDirectory(path: root)) } catch { throw .wrapping(error) }
        let next = journal.sequence.steps.first { !journal.isOver($0, inBoot: boot) }
        self.next = next?.name
        state = .underWay
        command = "upgrade-recovery --resume"
        if let next, let last = journal.last(of: next.name), last.event == .paused {
            state = .paused
            if boot == last.boot { command = "systemctl reboot, then upgrade-recovery --resume" }
        }
    }
}
