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
    }

    /// The directory that holds the recovery points, as a path of this machine.
    public var directory: FilePath
    /// The recovery point to go back to; `nil` takes the newest one.
    public var generation: Int?
    /// Whether to go back to the failed state that the last recovery has kept.
    public var undoes = false
    /// The checks that are left out.
    public var skippedChecks: Set<Check> = []
    /// Paths that stay as they are on the node, beside those of ``RestoreExclusions``.
    public var keptPaths: [PathPattern] = []
    /// Whether a recovery point of the failed state is taken first; without it there is no way back.
    public var keepsFailedState = true
    /// Whether the program reboots the node and goes on by itself afterwards.
    public var rebootsByItself = false
    /// Whether to stop after each phase.
    public var stopsAfterPhase = false
    /// How long one wait may take.
    public var waitLimit: Duration = .seconds(1200)
    /// How long a unit or a pod may take to stop before it is killed.
    public var stopLimit: Duration = .seconds(60)
    /// How far etcd's revision is raised, so that no watcher takes the old history for the new one.
    public var bumpRevision: UInt64 = 1_000_000_000
    /// How many threads decompress and compress.
    public var jobs: Int
    /// The program that runs, for the unit that resumes and for the recovery point of the failed state.
    public var executable: FilePath?
    /// The program and its version.
    public var toolVersion: String

    /// A request with the defaults of the command line.
    public init(directory: FilePath, jobs: Int, toolVersion: String) {
        self.directory = directory
        self.jobs = jobs
        self.toolVersion = toolVersion
    }
}
