/// An error that reaches the person at the node: what failed on what and why, what to do next, and the exit status.
///
/// The message is built once, by the module that knows the object. It starts in lower case, names objects in single
/// quotes and has no full stop; see the house style in `CONTRIBUTING.md`.
public protocol OperatorError: Error, CustomStringConvertible {
    /// What failed, on what, and why, in one line.
    var summary: String { get }

    /// What to do next, naming a command that works on this node now; `nil` when there is nothing to add.
    var hint: String? { get }

    /// The exit status that the program ends with when nobody handles the error.
    var exitStatus: ExitStatus { get }

    /// Whether a file system or a quota is full: then room helps, and nothing that was read is damaged.
    var isForWantOfSpace: Bool { get }
}

extension OperatorError {
    /// The same as ``summary``, so that an error put into a log line reads well.
    public var description: String { summary }

    /// No advice: the summary says it all.
    public var hint: String? { nil }

    /// It failed for another reason.
    public var isForWantOfSpace: Bool { false }

    /// Whether the system had no descriptor, thread or memory left to give: nothing that was read is damaged, and
    /// trying again may help.
    ///
    /// The exit status ``ExitStatus/osError`` says so.
    public var isForWantOfResources: Bool { exitStatus == .osError }
}

/// An error that should have been an operator error: a fault of this program.
public struct UnexpectedError: OperatorError {
    private let reason: String
    private let again: String

    /// An error with what is known of it.
    /// - Parameter again: what to run for more of it, as it follows "run".
    public init(reason: String, again: String = "it again with --verbose") {
        self.reason = reason
        self.again = again
    }

    /// The reason, marked as what nobody had thought of.
    public var summary: String { "unexpected: \(reason)" }
    /// How to get what a report of the fault needs.
    public var hint: String? { "this is a fault of the program; run \(again) and keep the output" }
    /// `software`.
    public var exitStatus: ExitStatus { .software }
}

/// How the program ends, in the numbers of `sysexits.h`, which systemd prints by name (`status=75/TEMPFAIL`).
///
/// The numbers are a promise to scripts and units: never changed, never reused. A caller treats an unknown number as
/// failure.
public enum ExitStatus: Int32, Sendable, CaseIterable {
    /// Everything asked for was done.
    case done = 0
    /// The command line cannot be understood.
    case usage = 64
    /// A recovery point, an archive or a snapshot is damaged.
    case dataError = 65
    /// What was asked for is not there.
    case noInput = 66
    /// etcd, the container runtime or the API server does not answer or refuses us.
    case unavailable = 69
    /// A fault of this program.
    case software = 70
    /// The system has no descriptor, thread or memory left to give.
    case osError = 71
    /// No space, or the place is not writable.
    case cantCreate = 73
    /// The system failed to read or write.
    case ioError = 74
    /// Stopped on purpose (a signal, a time limit, a lock that another run holds): try again.
    case tempFail = 75
    /// A recovery point, or a part of it, was written by a newer program, which this one cannot restore.
    case newerProgram = 76
    /// Not allowed; most often: not root.
    case noPermission = 77
    /// The configuration cannot be used.
    case config = 78
    /// Nothing was done, because a recovery is under way on this node; `sysexits.h` has no number for that.
    case recoveryUnderWay = 79
    /// The node can be recovered, but something is to be done about it: what `doctor` calls amber.
    case needsAttention = 80
    /// The node cannot be recovered as it is now: what `doctor` calls red.
    case notRecoverable = 81
    /// It was done, but not everything could be kept: files without their owners or attributes.
    case incomplete = 82
}
