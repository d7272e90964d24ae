import Archives
import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// What every step of one recovery works with.
final class RecoveryContext {
    let node: Node
    let root: RootDirectory
    let request: RecoveryRequest
    let store: RecoveryStore
    /// Held until the recovery ends or pauses; `nil` in a dry run, which only proves and writes nothing.
    let lock: FileLock?
    let point: RecoveryPoint
    let journal: StepJournal
    /// The steps of the recovery.
    let sequence: RecoverySequence
    let meter: ProgressMeter

    init(
        node: Node,
        request: RecoveryRequest,
        store: RecoveryStore,
        lock: FileLock?,
        point: RecoveryPoint,
        journal: StepJournal,
        meter: ProgressMeter
    ) throws(FilesError) {
        self.node = node
        root = try RootDirectory(path: node.root)
        self.request = request
        self.store = store
        self.lock = lock
        self.point = point
        self.journal = journal
        sequence = journal.sequence
        self.meter = meter
    }

    /// Whether nothing may be written.
    var isDryRun: Bool { journal.isInMemory }

    /// Identity of this recovery: 16 hexadecimal digits.
    var identity: String { journal.header.recovery }

    /// Whether the check was left out by the operator.
    func skips(_ check: RecoveryRequest.Check) -> Bool { situation.skippedChecks.contains(check) }

    /// Whether the program reboots the node: said at the start, or now.
    var rebootsByItself: Bool { journal.header.rebootsByItself || request.rebootsByItself }

    /// The kernel's id of this boot; `nil` where none is running below the root.
    func bootID() throws(FilesError) -> String? { try Self.bootID(in: root) }

    /// The kernel's id of the boot below a root.
    static func bootID(in root: RootDirectory) throws(FilesError) -> String? {
        let path = WellKnownPaths.bootID
        guard try root.exists(path) else { return nil }
        let text = String(decoding: try root.readFile(path, limitBytes: 64), as: UTF8.self)
        return text.split(separator: "\n").first.map { String($0) }
    }

    /// Writes down, while a step runs, what later runs and steps need to know.
    func note(_ values: JournalValues, of step: String) throws {
        try journal.append(
            StepJournal.Record(
                step: step,
                event: .started,
                at: node.now().iso8601,
                boot: try bootID(),
                values: values
            )
        )
    }

    /// The files of the recovery point that say who and what it is, read once.
    func pointFiles() throws -> ArchivedFiles {
        if let known = pointFilesRead { return known }
        let files = try ArchivedFiles(point, node: node, jobs: request.jobs)
        pointFilesRead = files
        return files
    }

    private var pointFilesRead: ArchivedFiles?

    /// The etcd component of the recovery point, for steps with the condition that it has one.
    func etcdEntry() throws -> ComponentEntry {
        guard let entry = point.manifest.component(.etcd) else {
            throw RecoveryError.memberUnknown("it has no component 'etcd'")
        }
        return entry
    }

    /// The checks of the phase `prove`.
    var proof: Proof {
        Proof(
            node: node,
            root: root,
            store: store,
            point: point,
            request: request,
            keptPaths: journal.header.keptPaths
        )
    }

    // MARK: Trees

    /// Restores the trees of a component.
    func restore(_ component: ComponentName) throws -> StepOutcome {
        guard let restorer = try proof.restorer(for: component) else {
            return .skipped(point.manifest.reasonForLack(of: component))
        }
        meter.begin(component.rawValue, activity: "restoring", totalBytes: 0)
        let summary = try SELinuxMode.keeping(in: self) {
            try restorer.run { [meter] _, bytes in
                let done = meter.current.doneBytes
                if bytes > done { meter.advance(bytes: bytes - done) }
            }
        }
        let changes = summary.written + summary.metadataOnly + summary.removed
        return .done(summary.sentence, values: JournalValues(JournalKeys.changes(of: component), changes))
    }
}
