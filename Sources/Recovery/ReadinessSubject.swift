import Backup
import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// What the checks of the doctor look at.
final class ReadinessSubject {
    let request: ReadinessRequest
    let node: Node
    let root: RootDirectory
    let meter: ProgressMeter
    /// The recovery point in question with all that a proof needs; `nil` when there is none.
    let proof: Proof?
    /// Why there is none.
    let lack: RecoveryError?
    /// When its first certificate expires, as soon as that was looked at.
    var until: Int64?

    init(request: ReadinessRequest, node: Node, root: RootDirectory, meter: ProgressMeter) {
        self.request = request
        self.node = node
        self.root = root
        self.meter = meter
        do {
            proof = try Proof(request.recovery, node: node)
            lack = nil
        } catch {
            proof = nil
            lack = .wrapping(error)
        }
    }

    /// The recovery point, for a check that cannot do without one.
    func proved() throws -> Proof {
        guard let proof else { throw ReadinessChecks.NothingToLookAt() }
        return proof
    }

    /// The files of the point, read once.
    func files() throws -> ArchivedFiles {
        if let read { return read }
        let files = try ArchivedFiles(proved().point, node: node, jobs: request.recovery.jobs)
        read = files
        return files
    }

    private var read: ArchivedFiles?

    /// Makes one check.
    ///
    /// An error of what a recovery proves as well would refuse the recovery: it is red. Of the others it only says that
    /// they could not be made, which is never green.
    func finding(of check: ReadinessChecks.Check) async throws -> Readiness.Finding {
        do {
            let verdict = try await check.action(self)
            return Readiness.Finding(
                check: check.name,
                state: verdict.colour,
                text: verdict.text,
                next: verdict.colour == .green ? nil : verdict.next
            )
        } catch is ReadinessChecks.NothingToLookAt {
            return Readiness.Finding(
                check: check.name,
                state: .amber,
                text: "unknown: there is no recovery point",
                next: "node-backup create"
            )
        } catch {
            let error = RecoveryError.wrapping(error)
            if case .stopped = error { throw error }
            return Readiness.Finding(
                check: check.name,
                state: check.isProof ? .red : .amber,
                text: check.isProof ? error.summary : "could not be checked: \(error.summary)",
                next: check.next ?? error.hint ?? "upgrade-recovery --dry-run"
            )
        }
    }
}
