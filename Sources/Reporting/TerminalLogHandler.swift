public import Logging

/// How much a command says.
public enum Verbosity: Sendable, CaseIterable {
    /// Warnings and errors.
    case quiet
    /// Steps too: what an operator reads.
    case normal
    /// Everything, with the figures of each line.
    case verbose

    /// The lowest level that is written.
    public var level: Logger.Level {
        switch self {
        case .quiet: .warning
        case .normal: .notice
        case .verbose: .debug
        }
    }
}

/// Writes log lines for the person at the node: `node-backup: message`, `node-backup: warning: message`.
///
/// The name in front is the logger's label, in red before an error where there are colours. From `info` down, metadata
/// follow in parentheses. What could steer the terminal is escaped. A logger of it is made with `Logger(label:factory:)`;
/// nothing is registered for the whole process.
public struct TerminalLogHandler: LogHandler {
    /// Keys that are for machines only.
    private static let hiddenKeys: Set<String> = ["message_id"]

    private let label: String
    private let terminal: Terminal

    /// The lowest level that is written.
    public var logLevel: Logger.Level
    /// Metadata of every line.
    public var metadata: Logger.Metadata = [:]
    /// Metadata from the task's surroundings.
    public var metadataProvider: Logger.MetadataProvider?

    /// A handler that writes to `terminal`.
    public init(label: String, terminal: Terminal, verbosity: Verbosity) {
        self.label = label
        self.terminal = terminal
        logLevel = verbosity.level
    }

    /// One value of the metadata of every line.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line.
    public func log(event: LogEvent) {
        terminal.writeLine(line(for: event, hasColor: terminal.hasColor))
    }

    func line(for event: LogEvent, hasColor: Bool) -> String {
        let colored = { (text: String, color: Int) in hasColor ? "\u{1B}[\(color)m\(text)\u{1B}[0m" : text }
        let prefix: String
        switch event.level {
        case .warning: prefix = "\(label): \(colored("warning:", 33))"
        case .error, .critical: prefix = colored("\(label):", 31)
        case .trace, .debug, .info, .notice: prefix = "\(label):"
        }
        var text = event.message.description
        if let error = event.error { text += ": \(error)" }
        if logLevel <= .info {
            let values = (metadataProvider?.get() ?? [:]).merging(metadata) { $1 }.merging(event.metadata ?? [:]) { $1 }
            let shown = values.filter { !Self.hiddenKeys.contains($0.key) }.sorted { $0.key < $1.key }
            if !shown.isEmpty { text += " (" + shown.map { "\($0.key)=\($0.value)" }.joined(separator: ", ") + ")" }
        }
        return "\(prefix) \(text.printable)"
    }
}
