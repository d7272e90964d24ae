public import Archives
public import Files
public import RecoveryPoints
public import Reporting
public import YAML

/// What can keep a backup from being taken, and what verifying or comparing one can find.
public enum BackupError: OperatorError {
    /// Not root, and reading the node takes root.
    case notRoot
    /// The directory for recovery points is not a file system of its own.
    case notAMount(directory: String)
    /// The directory for recovery points does not exist.
    case noDirectory(String)
    /// A recovery is under way in the directory.
    case recoveryUnderWay(String)
    /// There is not enough space; sizes in bytes.
    case noSpace(directory: String, neededBytes: Int64, freeBytes: Int64)
    /// There is no place with room for a snapshot unpacked; sizes in bytes, and the places that were tried.
    case noScratchSpace(snapshot: String, neededBytes: Int64, places: [(directory: String, freeBytes: Int64)])
    /// A component name that the plan does not have.
    case unknownComponent(String)
    /// The recovery point does not have the component.
    case componentMissing(String, generation: Int)
    /// The component has no files of the node that could be compared or chosen from.
    case noFiles(component: String)
    /// All files were written, but the file system of the directory, or a lack of rights, has lost something of them.
    case notAllKept(losses: Int, files: Int, String)
    /// A component that was asked for by name, or that the profile needs, cannot be taken.
    case sourceMissing(component: ComponentName, reason: String)
    /// An archive of a recovery point has no index, without which nothing is taken out of it.
    case noIndex(component: String)
    /// Text that is no path below the node's root.
    case notAPath(String)
    /// etcd was not found on a node that must have one.
    case etcdNotFound(profile: String)
    /// A client URL that cannot be used, and the node's file that has it (`nil`: the operator gave it).
    case etcdURL(url: String, source: String?)
    /// A file for TLS that was neither given nor found.
    case etcdFileUnknown(option: String, url: String)
    /// The snapshot that etcd sent is damaged.
    case snapshotDamaged(endpoint: String, faults: [String])
    /// A static pod manifest that cannot be read as one.
    case staticPod(YAMLError)
    /// The current machine config cannot be read as one.
    case machineConfig(path: String)
    /// What was just written does not read back.
    case verificationFailed(generation: Int, faults: [String])
    /// Damage was found in recovery points that were verified on request.
    case damagedPoints(generations: [Int])
    /// Recovery points that were verified on request have parts that only a newer program knows.
    case unprovedPoints(generations: [Int])
    /// What was asked for of a recovery point was written by a newer program.
    case newerProgram(component: String, generation: Int)
    /// The system refused an operation on a file.
    case files(FilesError)
    /// An archive could not be written or read.
    case archive(ArchiveError)
    /// The store could not be used.
    case store(StoreError)
    /// Stopped from outside.
    case stopped(Stopped)
    /// An error of an adapter, unchanged.
    case adapter(any OperatorError)

    /// What failed, on what, and why.
    public var summary: String {
        switch self {
        case .notRoot: "a backup of the whole node can only be taken by root"
        case .notAMount(let directory):
            "'\(directory)' is not a file system of its own: a recovery point there would be lost with the root file system"
        case .noDirectory(let directory): "the directory for recovery points '\(directory)' does not exist"
        case .recoveryUnderWay(let directory):
            "a recovery is under way in '\(directory)': the node is not in a state to be backed up"
        case .noSpace(let directory, let needed, let free):
            "not enough space in '\(directory)': about \(ByteCount(needed)) needed, \(ByteCount(free)) free"
        case .noScratchSpace(let snapshot, let needed, let places):
            "not enough space to unpack '\(snapshot)': \(ByteCount(needed)) needed, "
                + places.map { "\(ByteCount($0.freeBytes)) free in '\($0.directory)'" }.joined(separator: ", ")
        case .unknownComponent(let name):
            "there is no component '\(name)'; the components are \(BackupPlan.components.map(\.name.rawValue).joined(separator: ", "))"
        case .componentMissing(let name, let generation): "recovery point \(generation) has no component '\(name)'"
        case .noFiles(let component): "component '\(component)' has no files of the node to compare or to choose from"
        case .notAllKept(let losses, let files, let directory):
            "\(files) \(files == 1 ? "file" : "files") written to '\(directory)', but \(losses) of their owners, attributes or links could not be kept"
        case .sourceMissing(let component, let reason): "component '\(component)' cannot be taken: \(reason)"
        case .noIndex(let component): "component '\(component)' of the recovery point has no index"
        case .notAPath(let text): "'\(text)' is not a path below the node's root"
        case .etcdNotFound(let profile): "no etcd was found on this \(profile) node"
        case .etcdURL(let url, let source?): "'\(source)' does not give a usable client URL for etcd: '\(url)'"
        case .etcdURL(let url, nil): "'\(url)' is not a client URL of etcd"
        case .etcdFileUnknown(let option, let url): "no file for \(option) was found to talk to '\(url)'"
        case .snapshotDamaged(let endpoint, let faults):
            "the snapshot from '\(endpoint)' is damaged: \(Self.first(of: faults))"
        case .staticPod(let error): "could not read a static pod manifest: \(error.summary)"
        case .machineConfig(let path):
            "could not read the machine config '\(path)': it is not the JSON of a MachineConfig"
        case .verificationFailed(_, let faults):
            "the recovery point does not read back as it was written: \(Self.first(of: faults))"
        case .damagedPoints(let generations) where generations.count == 1:
            "recovery point \(generations[0]) is damaged"
        case .damagedPoints(let generations):
            "recovery points \(generations.map { "\($0)" }.joined(separator: ", ")) are damaged"
        case .unprovedPoints(let generations):
            "written in part by a newer program, and only in part verified: recovery "
                + (generations.count == 1 ? "point " : "points ") + generations.map { "\($0)" }.joined(separator: ", ")
        case .newerProgram(let component, let generation):
            "'\(component)' of recovery point \(generation) was written by a newer program: this one cannot restore it"
        case .files(let error): error.summary
        case .archive(let error): error.summary
        case .store(let error): error.summary
        case .stopped(let error): error.summary
        case .adapter(let error): error.summary
        }
    }

    /// What to do next.
    public var hint: String? {
        switch self {
        case .notRoot: "run it again with sudo"
        case .notAMount(let directory):
            "mount the recovery partition at '\(directory)', or insist with --allow-rootfs"
        case .noDirectory(let directory):
            "mount the recovery partition at '\(directory)', or make the directory with 'mkdir -m 0700 \(directory)'"
        case .recoveryUnderWay(let directory):
            "see how far it is with 'upgrade-recovery --status --dir \(directory)', and finish it first with --resume"
        case .noSpace(let directory, _, _):
            "remove old recovery points with 'node-backup prune --keep 1 --dir \(directory)', or leave parts out with --skip"
        case .noScratchSpace:
            "make room in one of them: 'node-backup prune --keep 1' removes old recovery points"
        case .unknownComponent, .notAPath: nil
        case .noIndex: "use another recovery point: 'node-backup list' shows them"
        case .noFiles(let component): "'node-backup extract POINT \(component) --to DIR' extracts all of it"
        case .notAllKept(_, _, let directory):
            "for all of it extract as root onto a file system with owners and attributes; see 'findmnt -T \(directory)'"
        case .componentMissing(_, let generation): "see what it has with 'node-backup show \(generation)'"
        case .sourceMissing(let component, _): "leave it out with --skip \(component)"
        case .etcdNotFound:
            "name it with --etcd-endpoint, --etcd-cacert, --etcd-cert and --etcd-key, or leave it out with --skip etcd"
        case .etcdURL: "give one with --etcd-endpoint, such as https://127.0.0.1:2379"
        case .etcdFileUnknown(let option, _): "give it with \(option) FILE"
        case .snapshotDamaged: "look at etcd's own log: its database may be damaged; the snapshot was discarded"
        case .staticPod(let error): "fix '\(error.name)', or leave the set out with --skip static-pods"
        case .machineConfig: "leave it out with --skip machine-config"
        case .verificationFailed:
            "the disk or the memory of this node may be failing: see 'dmesg'; the recovery point was discarded"
        case .damagedPoints: "take a new one with 'node-backup create'"
        case .unprovedPoints, .newerProgram:
            "use the program beside the recovery points, 'upgrade-recovery' in the same directory, or update this one"
        case .files(let error): error.hint
        case .archive(let error): error.hint
        case .store(let error): error.hint
        case .stopped(let error): error.hint
        case .adapter(let error): error.hint
        }
    }

    /// Whether a file system is full.
    public var isForWantOfSpace: Bool {
        switch self {
        case .noSpace, .noScratchSpace: true
        case .files(let error): error.isForWantOfSpace
        case .archive(let error): error.isForWantOfSpace
        case .store(let error): error.isForWantOfSpace
        case .adapter(let error): error.isForWantOfSpace
        default: false
        }
    }

    /// The exit status by kind.
    public var exitStatus: ExitStatus {
        switch self {
        case .notRoot: .noPermission
        case .recoveryUnderWay: .recoveryUnderWay
        case .notAMount, .noDirectory, .noSpace, .noScratchSpace: .cantCreate
        case .unknownComponent, .notAPath: .usage
        case .notAllKept: .incomplete
        case .componentMissing, .noFiles, .sourceMissing, .etcdNotFound: .noInput
        case .etcdURL, .etcdFileUnknown: .config
        case .staticPod, .machineConfig: .dataError
        case .snapshotDamaged, .verificationFailed, .damagedPoints, .noIndex: .dataError
        case .unprovedPoints, .newerProgram: .newerProgram
        case .files(let error): error.exitStatus
        case .archive(let error): error.exitStatus
        case .store(let error): error.exitStatus
        case .stopped(let error): error.exitStatus
        case .adapter(let error): error.exitStatus
        }
    }

    private static func first(of faults: [String]) -> String {
        guard let first = faults.first else { return "no reason is known" }
        return faults.count == 1 ? first : "\(first) (and \(faults.count - 1) more)"
    }

    /// Any error as one of this module: what is an operator error stays what it is.
    static func wrapping(_ error: any Error) -> BackupError {
        switch error {
        case let error as BackupError: error
        case let error as FilesError: .files(error)
        case let error as ArchiveError: .archive(error)
        case let error as StoreError: .store(error)
        case let error as Stopped: .stopped(error)
        case let error as any OperatorError: .adapter(error)
        default: .adapter(UnexpectedError(reason: "\(error)"))
        }
    }
}
