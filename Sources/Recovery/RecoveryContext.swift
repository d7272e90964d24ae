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
    /// Held until the recovery ends or pauses.
    let lock: FileLock
    let point: RecoveryPoint
    let journal: StepJournal
    let meter: ProgressMeter

    init(
        node: Node,
        request: RecoveryRequest,
        store: RecoveryStore,
        lock: FileLock,
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
        self.meter = meter
    }

    /// Identity of this recovery: 16 hexadecimal digits.
    var identity: String { journal.header.recovery }

    /// Whether the check was left out by the operator.
    func skips(_ check: RecoveryRequest.Check) -> Bool {
        journal.header.skippedChecks.contains(check) || request.skippedChecks.contains(check)
    }

    /// Whether the program reboots the node: said at the beginning, or now.
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
    func note(_ values: [String: String], of step: String) throws {
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

    /// The static pods of the recovery point as files of their own, made once.
    func pointFiles() throws -> PointFiles {
        if let known = unpacked { return known }
        let files = try PointFiles(point: point, in: store, recovery: identity, node: node, jobs: request.jobs)
        unpacked = files
        return files
    }

    private var unpacked: PointFiles?

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

    /// The engine that makes the trees of a component equal to the recovery point; `nil` when the point has none.
    func restorer(for component: ComponentName) throws -> TreeRestorer? {
        try proof.restorer(for: component)
    }

    /// Restores the trees of a component.
    func restore(_ component: ComponentName) throws -> StepOutcome {
        guard let restorer = try restorer(for: component) else {
            return .skipped(point.manifest.reasonForLack(of: component))
        }
        meter.begin(component.rawValue, activity: "restoring", totalBytes: 0)
        let summary = try Enforcement.keeping(in: self) {
            try restorer.run { [meter] _, bytes in
                let done = meter.current.doneBytes
                if bytes > done { meter.advance(bytes: bytes - done) }
            }
        }
        let changes = summary.written + summary.metadataOnly + summary.removed
        return .done(summary.sentence, values: ["changes.\(component)": "\(changes)"])
    }
}

extension Manifest {
    /// Why a recovery point has nothing of a component.
    func reasonForLack(of component: ComponentName) -> String {
        if let skipped = skipped.first(where: { $0.name == component.rawValue }) {
            return "the recovery point has no component '\(component)': \(skipped.reason)"
        }
        return "the recovery point has no component '\(component)'"
    }
}
