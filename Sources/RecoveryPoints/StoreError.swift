public import Files
public import Reporting

/// What can go wrong with the store and the recovery points in it.
public enum StoreError: OperatorError, Equatable {
    /// The system refused an operation on the store.
    case system(FilesError)
    /// There is no store at the path.
    case noStore(directory: String)
    /// There is no recovery point of this generation.
    case noPoint(generation: Int, directory: String)
    /// There is no recovery point at all.
    case empty(directory: String)
    /// A document of the store cannot be what this program wrote.
    case damaged(file: String, reason: String)
    /// A document that only a newer program can read.
    case unknownFormat(file: String, version: Int)
    /// Every ordinal up to the highest one is taken.
    case noNumber(directory: String)
    /// Another run holds the lock.
    case locked(directory: String, holder: String)
    /// A value of ours could not be written as JSON.
    case cannotEncode(reason: String)

    /// What failed, on what, and why.
    public var summary: String {
        switch self {
        case .system(let error): error.summary
        case .noStore(let directory): "there are no recovery points in '\(directory)': the directory does not exist"
        case .noPoint(let generation, let directory): "there is no recovery point \(generation) in '\(directory)'"
        case .empty(let directory): "there is no recovery point in '\(directory)'"
        case .damaged(let file, let reason): "'\(file)' is damaged: \(reason)"
        case .unknownFormat(let file, let version):
            "'\(file)' was written by a newer program, in format version \(version): this one cannot read it"
        case .noNumber(let directory): "no number is left for a recovery point in '\(directory)'"
        case .locked(let directory, let holder): "another run is working in '\(directory)': \(holder)"
        case .cannotEncode(let reason): "could not write a document of the store: \(reason)"
        }
    }

    /// What to do next.
    public var hint: String? {
        switch self {
        case .system(let error) where error.isForWantOfSpace:
            "make room on the recovery partition: 'node-backup prune --keep 1' removes old recovery points; see 'df -h; df -i'"
        case .system(let error): error.hint
        case .noStore(let directory):
            "mount the recovery partition, or take a recovery point with 'node-backup create --dir \(directory)'"
        case .noPoint(_, let directory): "see which ones exist: 'node-backup list --dir \(directory)'"
        case .empty(let directory): "take one with 'node-backup create --dir \(directory)'"
        case .damaged: "use another recovery point: 'node-backup list' shows them"
        case .unknownFormat:
            "use the program beside the recovery points, 'upgrade-recovery' in the same directory, or update this one"
        case .locked: "wait until it has ended, then run this again"
        case .noNumber(let directory): "remove what has the highest number: 'ls \(directory)/points'"
        case .cannotEncode: nil
        }
    }

    /// Whether the recovery partition is full.
    public var isForWantOfSpace: Bool {
        if case .system(let error) = self { error.isForWantOfSpace } else { false }
    }

    /// The exit status by kind.
    public var exitStatus: ExitStatus {
        switch self {
        case .system(let error): error.exitStatus
        case .noStore, .noPoint, .empty: .noInput
        case .damaged: .dataError
        case .unknownFormat: .newerProgram
        case .locked: .tempFail
        case .noNumber: .cantCreate
        case .cannotEncode: .software
        }
    }
}
