import Glibc
import Logging
import Recovery
import Reporting
import Systemd

/// What a run says when it ends in an error, wherever somebody listens: the service manager, journald, the terminal.
enum LastWord {
    /// Tells it.
    /// - Parameter event: what journald knows it by; `nil` for what has no id.
    static func tell(_ error: any OperatorError, as name: String, event: JournalEvent?) {
        let environment = Session.environment
        // 'systemctl status' shows it as long as the unit is not started again.
        ServiceNotifier(environment: environment).send(.status(error.summary))
        guard Journal.isConnected(environment: environment) else { return Streams.report(error, as: name) }
        let log = Logger(label: name) { JournalLogHandler(label: $0, logLevel: .debug) }
        log.log(
            level: error is Paused ? .notice : .error,
            "\([error.summary, Streams.hint(of: error).map { "hint: \($0)" }].compactMap(\.self).joined(separator: "\n"))",
            metadata: metadata(of: error, event)
        )
        Session.console?.writeLine(Streams.text(of: error, as: name))
        // journald looks up the unit of an entry by the sender's process number: one that has ended has none any more.
        usleep(100_000)
    }

    /// Fields for whoever reads entries and not lines.
    private static func metadata(of error: any OperatorError, _ event: JournalEvent?) -> Logger.Metadata {
        var metadata: Logger.Metadata = ["exit_status": "\(error.exitStatus.rawValue)"]
        if let event { metadata["message_id"] = "\(event.rawValue)" }
        if let hint = Streams.hint(of: error) { metadata["hint"] = "\(hint)" }
        if let step = (error as? RecoveryError)?.step { metadata["step"] = "\(step)" }
        return metadata
    }
}
