public import Backup
public import Files
public import SystemPackage

/// What the operator asks of one recovery, with every default filled in.
public struct RecoveryRequest: Sendable {
    /// A check of the phase `prove` that an operator can choose to go on without.
    public enum Check: String, Sendable, Codable, CaseIterable {
        /// That the recovery point is of this very machine.
        case identity
        /// That no certificate in it has expired.
        case certificates
        /// That the images of its static pods are in the runtime.
        case images
        /// That the deployment can be booted, and is booted: `--force`.
        case deployment
        /// That there is room for everything.
        case space
        /// That the etcd of the recovery point starts on its data and has room for them within its quota.
        case etcd
        /// That the snapshot's cluster has no other member: `--force-new-cluster`.
        case members
    }

    /// What a backup of this node is asked for: the directory of the recovery points, where etcd answers, what is left
    /// out.
    ///
    /// The recovery point of the failed state is taken by it, and every step that needs one of its answers has it from
    /// here: what `node-backup create` and the doctor honour, a recovery honours.
    public var backup: BackupRequest
    /// The recovery point to go back to; `nil` takes the newest one.
    public var generation: Int?
    /// Whether to go back to the failed state that the last recovery has kept.
    public var undoes = false
    /// The checks that are left out.
    public var skippedChecks: Set<Check> = []
    /// Paths that stay as they are on the node, beside those of ``RestoreExclusions`` and those that backups leave out.
    public var keptPaths: [PathPattern] = []
    /// Whether a recovery point of the failed state is taken first; without it there is no undo.
    public var keepsFailedState = true
    /// Whether the program reboots the node and continues automatically afterwards.
    public var rebootsByItself = false
    /// Whether to stop after each phase.
    public var stopsAfterPhase = false
    /// How long one wait may take.
    public var waitLimit: Duration = .seconds(1200)
    /// How long a unit or a pod may take to stop before it is killed.
    public var stopLimit: Duration = .seconds(60)
    /// How far etcd's revision is raised, so that no watcher takes the old history for the new one.
    public var bumpRevision: UInt64 = 1_000_000_000
    /// The program that runs, for the unit that resumes.
    public var executable: FilePath?
    /// The steps.
    public var sequence = RecoverySequence.twoReboots

    /// A request with the defaults of the command line.
    public init(_ backup: BackupRequest) { self.backup = backup }

    /// The directory that holds the recovery points, as a path of this machine.
    public var directory: FilePath { backup.directory }

    /// How many threads decompress and compress.
    var jobs: Int { backup.jobs }

    /// Everything that stays as it is on the node: what was named, and what backups leave out.
    var allKeptPaths: [PathPattern] { keptPaths + backup.exclusions }
}
