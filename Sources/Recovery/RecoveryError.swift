import Backup
import Files
import RecoveryPoints
public import Reporting

/// What can keep a node from being recovered.
public indirect enum RecoveryError: OperatorError {
    /// Not root.
    case notRoot
    /// A recovery is under way, and a new one was to begin.
    case underWay(directory: String, generation: Int)
    /// There is no recovery to continue.
    case nothingToResume(directory: String)
    /// There is no failed state to go back to.
    case nothingToUndo(directory: String)
    /// The journal cannot be what this program wrote.
    case journalDamaged(String)
    /// The journal is about a sequence of steps that this program does not know.
    case sequenceUnknown(String, directory: String)
    /// The recovery point is not the one that the journal was started for.
    case pointReplaced(generation: Int)
    /// The recovery point does not read back; the first fault of each part.
    case pointDamaged(generation: Int, faults: [String])
    /// The recovery point is of another node.
    case otherNode(String)
    /// The recovery point was taken of another kind of node.
    case otherProfile(of: String, here: String)
    /// Certificates in the recovery point have expired.
    case certificatesExpired([String])
    /// Images that the static pods of the recovery point need are not in the runtime.
    case imagesMissing([String])
    /// They were there when the recovery started, and a boot has lost them.
    case imagesLost([String])
    /// The recorded deployment cannot be booted.
    case notBootable(deployment: String, reasons: [String])
    /// The recorded deployment is not on this node any more.
    case deploymentGone(String)
    /// Another deployment is booted after the reboot.
    case wrongDeployment(wanted: String, booted: String)
    /// The node was not rebooted.
    case notRebooted
    /// There is not enough space; sizes in bytes, and whether the undo point is part of what is needed.
    case noSpace(place: String, neededBytes: Int64, freeBytes: Int64, forWayBack: Bool)
    /// The recovery point does not say how its etcd member is called or reached.
    case memberUnknown(String)
    /// A process has etcd's database open; its path.
    case etcdRuns(String)
    /// etcd answers, but it is not the one that was restored.
    case otherCluster(wanted: String, found: String)
    /// What was waited for did not come; with the commands that show why, for the hint.
    case waitedInVain(what: String, limit: Duration, lastSeen: String, look: String)
    /// A step failed.
    case step(String, RecoveryError)
    /// A step that proves failed; with whether an earlier try has changed the node, so that the recovery stays under
    /// way.
    case proof(String, RecoveryError, isUnderWay: Bool)
    /// Stopped from outside.
    case stopped(Stopped)
    /// An error of another module, unchanged.
    case other(any OperatorError)

    /// What failed, on what, and why.
    public var summary: String {
        switch self {
        case .notRoot: "a node can only be recovered by root"
        case .underWay(let directory, let generation):
            "a recovery to recovery point \(generation) is under way in '\(directory)'"
        case .nothingToResume(let directory): "no recovery is under way in '\(directory)'"
        case .nothingToUndo(let directory): "there is no failed state in '\(directory)' to go back to"
        case .journalDamaged(let path): "the step journal '\(path)' is damaged"
        case .sequenceUnknown(let name, let directory):
            "the recovery in '\(directory)' was started by a newer program, with the sequence '\(name)'"
        case .pointReplaced(let generation):
            "recovery point \(generation) is not the one that the recovery was started with"
        case .pointDamaged(let generation, let faults):
            "recovery point \(generation) is damaged: \(Self.list(faults))"
        case .otherNode(let difference): "the recovery point is not of this node: \(difference)"
        case .otherProfile(let profile, let here):
            "the recovery point is of a node of profile \(profile), and this one is \(here)"
        case .certificatesExpired(let certificates):
            "certificates in the recovery point have expired: \(Self.list(certificates))"
        case .imagesMissing(let images):
            "images that the static pods of the recovery point need are not on this node: \(Self.list(images))"
        case .imagesLost(let images):
            "images that the static pods need are gone since the boot, etcd was not touched: \(Self.list(images))"
        case .notBootable(let deployment, let reasons):
            "the deployment '\(deployment)' of the recovery point cannot be booted: \(Self.list(reasons))"
        case .deploymentGone(let deployment):
            "the deployment '\(deployment)' of the recovery point is not on this node any more"
        case .wrongDeployment(let wanted, let booted):
            "the node has booted the deployment '\(booted)' instead of '\(wanted)'"
        case .notRebooted: "the node has not been rebooted since the recovery paused for it"
        case .noSpace(let place, let needed, let free, _):
            "not enough space at '\(place)': about \(ByteCount(needed)) needed, \(ByteCount(free)) free"
        case .memberUnknown(let reason): "the recovery point does not identify its etcd member: \(reason)"
        case .etcdRuns(let path): "a process still has etcd's database '\(path)' open"
        case .otherCluster(let wanted, let found):
            "etcd answers as cluster \(found), but cluster \(wanted) was restored"
        case .waitedInVain(let what, let limit, let lastSeen, _):
            "waited \(limit.operatorText) for \(what); last seen: \(lastSeen)"
        case .step(let name, let error), .proof(let name, let error, _): "step '\(name)': \(error.summary)"
        case .stopped(let error): error.summary
        case .other(let error): error.summary
        }
    }

    /// What to do next.
    public var hint: String? {
        switch self {
        case .notRoot: "run it again with sudo"
        case .underWay: "continue with --resume, look with --status, or start over with --restart"
        case .nothingToResume: "start one with 'upgrade-recovery'"
        case .nothingToUndo: "'node-backup list' shows what there is"
        case .journalDamaged: "start over with 'upgrade-recovery --restart': every step can run a second time"
        case .sequenceUnknown(_, let directory):
            "continue with the program that started it, '\(directory)/upgrade-recovery --resume', or start over with "
                + "'upgrade-recovery --restart'"
        case .pointReplaced: "start over with 'upgrade-recovery --restart'"
        case .pointDamaged:
            "use another one: 'node-backup list' shows them, '--point N' names one"
        case .otherNode: "if this really is the node, add '--skip-check identity'"
        case .otherProfile: "if that is right, add '--skip-check identity'"
        case .certificatesExpired: "to continue and renew them afterwards, add '--skip-check certificates'"
        case .imagesMissing: "pull or import the images, or if a registry can be reached add '--skip-check images'"
        case .imagesLost:
            "CRI-O removes its images when it starts after a power cut; import them ('podman load', "
                + "'ctr -n k8s.io image import FILE'), then 'upgrade-recovery --resume'; if a registry can be reached, "
                + "'upgrade-recovery --resume --skip-check images'"
        case .notBootable, .deploymentGone:
            "to restore onto the deployment that is booted now, run it again with --force"
        case .wrongDeployment(let wanted, _):
            "choose '\(wanted)' in the boot menu, or run 'upgrade-recovery --resume --force' to stay on this one"
        case .notRebooted: "run 'systemctl reboot', then 'upgrade-recovery --resume'"
        case .noSpace(_, _, _, forWayBack: true):
            "make room there ('node-backup prune --keep 1' removes old recovery points), or run it without an undo point: "
                + "--without-undo"
        case .noSpace(let place, _, _, forWayBack: false):
            "make room there: 'du -xh \(place) | sort -h | tail' shows what is large"
        case .memberUnknown: "look at the static pods with 'node-backup extract POINT static-pods --to DIR'"
        case .etcdRuns(let path): "stop it ('fuser \(path)' names it), then 'upgrade-recovery --resume'"
        case .otherCluster: "check with 'ss -ltnp' what is listening there; stop it, then 'upgrade-recovery --resume'"
        case .waitedInVain(_, _, _, let look): "look at \(look), fix that, then 'upgrade-recovery --resume'"
        case .step("keep-failed-state", let error) where error.isForWantOfSpace:
            "make room on the recovery partition ('node-backup prune --keep 1' removes old recovery points), then "
                + "'upgrade-recovery --resume'; or continue without an undo point: "
                + "'upgrade-recovery --restart --without-undo'"
        case .step(_, let error):
            error.saysHowToGoOn ? error.hint : "\(error.remedy), then 'upgrade-recovery --resume'"
        case .proof(_, .stopped, isUnderWay: false): "nothing was changed; run it again when ready"
        case .proof(_, .stopped(let error), isUnderWay: true): RecoveryError.stopped(error).hint
        case .proof(_, let error, isUnderWay: false):
            "nothing was changed; \(error.saysHowToGoOn ? error.remedy : "\(error.remedy), then run it again")"
        case .proof(_, let error, isUnderWay: true):
            "this attempt changed nothing, earlier ones did; \(error.remedy); "
                + "then start over with 'upgrade-recovery --restart'"
        case .stopped: "run 'upgrade-recovery --resume' to continue"
        case .other(let error): error.hint
        }
    }

    /// The exit status by kind.
    public var exitStatus: ExitStatus {
        switch self {
        case .notRoot: .noPermission
        case .underWay: .recoveryUnderWay
        case .nothingToResume, .nothingToUndo, .deploymentGone: .noInput
        case .journalDamaged, .pointReplaced, .pointDamaged, .memberUnknown: .dataError
        case .sequenceUnknown: .config
        case .otherNode, .otherProfile: .config
        case .certificatesExpired, .imagesMissing, .imagesLost, .notBootable, .wrongDeployment: .unavailable
        case .notRebooted, .stopped: .tempFail
        case .noSpace: .cantCreate
        case .etcdRuns, .otherCluster, .waitedInVain: .unavailable
        case .step(_, let error), .proof(_, let error, _): error.exitStatus
        case .other(let error): error.exitStatus
        }
    }

    /// Whether a file system is full.
    public var isForWantOfSpace: Bool {
        switch self {
        case .noSpace: true
        case .step(_, let error), .proof(_, let error, _): error.isForWantOfSpace
        case .other(let error): error.isForWantOfSpace
        default: false
        }
    }

    /// Whether the journal of the recovery under way cannot be read by this program.
    var isAboutUnreadableJournal: Bool {
        switch self {
        case .journalDamaged, .sequenceUnknown: true
        default: false
        }
    }

    /// The step that failed; `nil` for what is not about one.
    public var step: String? {
        switch self {
        case .step(let name, _), .proof(let name, _, _): name
        default: nil
        }
    }

    /// Whether the hint names the command that goes on with the recovery: those of other modules do not know it.
    private var saysHowToGoOn: Bool {
        switch self {
        case .memberUnknown, .pointDamaged: false
        case .other(let error): error is UnexpectedError
        default: true
        }
    }

    /// What is to be fixed before it continues.
    private var remedy: String {
        if case .other(let error) = self, error.isForWantOfSpace, !(error is StoreError), !(error is BackupError) {
            // their hints know the recovery partition
            return "make room there ('df -h; df -i' shows which file system is full)"
        }
        return hint ?? "fix that"
    }

    private static func list(_ items: [String]) -> String {
        let shown = items.prefix(5).joined(separator: "; ")
        return items.count > 5 ? "\(shown); and \(items.count - 5) more" : shown
    }

    /// The same, of an operation on a file in the store.
    static func inStore(_ error: any Error) -> RecoveryError {
        if let error = error as? FilesError { .other(StoreError.system(error)) } else { .wrapping(error) }
    }

    /// Any error as one of this module: what is an operator error stays what it is.
    static func wrapping(_ error: any Error) -> RecoveryError {
        switch error {
        case let error as RecoveryError: error
        case let error as Stopped: .stopped(error)
        case BackupError.stopped(let error): .stopped(error)
        case let error as any OperatorError: .other(error)
        default: .other(UnexpectedError(reason: "\(error)", again: "'upgrade-recovery --resume --verbose'"))
        }
    }
}
