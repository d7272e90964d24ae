public import Reporting

/// A program could not be run to a good end.
public struct ProcessError: OperatorError, Equatable {
    /// Why.
    public enum Reason: Sendable, Equatable {
        /// There is no such program, or none that may be executed.
        case notFound
        /// It is there, but could not be started; the cause, when it is known.
        case notStarted(String?)
        /// It did not end within its limit and was stopped.
        case limit(Duration)
        /// It printed more than ``Command/outputLimit`` and was stopped.
        case tooMuchOutput
        /// It ended with a status other than 0; the last line of its standard error.
        case ended(Output.Status, String?)
    }

    /// What was run.
    public let command: Command
    /// Why it is no success.
    public let reason: Reason

    /// An error about `command`.
    public init(command: Command, reason: Reason) {
        self.command = command
        self.reason = reason
    }

    /// The command line, how it ended and its own last words.
    public var summary: String {
        switch reason {
        case .notFound:
            "could not run '\(command)': there is no program '\(command.arguments[0])' that can be run"
        case .notStarted(let cause):
            "could not run '\(command)'\(cause.map { ": \($0)" } ?? "")"
        case .limit(let limit):
            "'\(command)' did not end within \(limit.operatorText) and was stopped"
        case .tooMuchOutput:
            "'\(command)' printed more than \(ByteCount(Int64(Command.outputLimit))) and was stopped"
        case .ended(.exited(let status), let line):
            "'\(command)' ended with status \(status)\(line.map { ": \($0)" } ?? "")"
        case .ended(.signaled(let number), let line):
            "'\(command)' was ended by signal \(number)\(line.map { ": \($0)" } ?? "")"
        }
    }

    /// Where to look for the program, or how to run it by hand.
    public var hint: String? {
        switch reason {
        case .notFound:
            "install '\(command.arguments[0])', or check where it is with 'command -v \(command.arguments[0])'"
        case .notStarted, .limit, .tooMuchOutput, .ended: "run it by hand to see all that it says: \(command)"
        }
    }

    /// `69`: what we needed from another program was not to be had.
    public var exitStatus: ExitStatus { .unavailable }
}
