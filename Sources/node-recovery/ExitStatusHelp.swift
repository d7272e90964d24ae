import Reporting

/// The exit statuses at the end of a subcommand's help, `usage` among them, which all have.
func exitStatuses(_ rows: (ExitStatus, String)...) -> String {
    let usage: [(ExitStatus, String)] =
        rows.contains { $0.0 == .usage } ? [] : [(.usage, "the command line cannot be understood")]
    let lines = (rows + usage).sorted { $0.0.rawValue < $1.0.rawValue }.map { status, meaning in
        "  \(status.rawValue < 10 ? " " : "")\(status.rawValue)  \(meaning)"
    }
    return "EXIT STATUS:\n" + lines.joined(separator: "\n")
}
