public import SystemPackage

/// What the last run did, for machines: the file `status.json` in the store, replaced whole whenever it changes.
public struct RunStatus: Codable, Sendable, Equatable {
    /// The file's name in the store.
    public static let fileName = "status.json"
    /// The same as one component of a path.
    public static let name = FilePath.Component(fileName)!  // a literal without a slash

    /// The states of a backup, by the names that TALM's hub shows.
    public enum State: String, Codable, Sendable {
        /// The run checks whether it can start.
        case preparingToStart = "PreparingToStart"
        /// The plan stands; nothing was written yet.
        case starting = "Starting"
        /// Components are being written or verified.
        case active = "Active"
        /// The recovery point is complete.
        case succeeded = "Succeeded"
        /// Stopped by a signal or by the time limit.
        case backupTimeout = "BackupTimeout"
        /// Failed.
        case unrecoverableError = "UnrecoverableError"
    }

    /// An error as the operator was told.
    public struct Failure: Codable, Sendable, Equatable {
        /// What failed.
        public var summary: String
        /// What to do.
        public var hint: String?
        /// The exit status of the program.
        public var exitStatus: Int32

        /// A failure.
        public init(summary: String, hint: String?, exitStatus: Int32) {
            self.summary = summary
            self.hint = hint
            self.exitStatus = exitStatus
        }

        enum CodingKeys: String, CodingKey {
            case summary, hint
            case exitStatus = "exit_status"
        }
    }

    /// 1 so far.
    public var formatVersion = 1
    /// Where the run is.
    public var state: State
    /// The process that runs, or ran; 1 in a container, which has numbers of its own.
    public var pid: Int32
    /// UTC, ISO 8601.
    public var startedAt: String
    /// UTC, ISO 8601.
    public var updatedAt: String
    /// The generation that is being written, or that was written; absent before there is one.
    public var generation: Int?
    /// The component that is being worked on.
    public var component: String?
    /// Its number, from 1, and how many there are.
    public var componentNumber: Int?
    /// How many components there are.
    public var componentCount: Int?
    /// Bytes done of all components.
    public var doneBytes: Int64?
    /// Bytes of all components, as estimated.
    public var totalBytes: Int64?
    /// Why the run failed; absent unless it did.
    public var error: Failure?

    /// A run that has started.
    public init(state: State, pid: Int32, startedAt: String) {
        self.state = state
        self.pid = pid
        self.startedAt = startedAt
        updatedAt = startedAt
    }

    enum CodingKeys: String, CodingKey {
        case state, pid, generation, component, error
        case formatVersion = "format_version"
        case startedAt = "started_at"
        case updatedAt = "updated_at"
        case componentNumber = "component_number"
        case componentCount = "component_count"
        case doneBytes = "done_bytes"
        case totalBytes = "total_bytes"
    }

    /// The document as it is on disk.
    public func encoded() throws(StoreError) -> [UInt8] {
        try Document.encode(self)
    }

    /// Reads the document.
    public static func decode(_ bytes: [UInt8], file: String) throws(StoreError) -> RunStatus {
        try Document.decode(bytes, file: file)
    }
}
