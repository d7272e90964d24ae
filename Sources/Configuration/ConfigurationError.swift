public import Reporting

/// A configuration file that cannot be used.
public struct ConfigurationError: OperatorError, Equatable {
    /// The file's path.
    public var file: String
    /// The line, from 1; `nil` when it is not known.
    public var line: Int?
    /// What is wrong there.
    public var reason: String

    /// An error at a line of a file.
    public init(file: String, line: Int?, reason: String) {
        self.file = file
        self.line = line
        self.reason = reason
    }

    /// Names the file and the line: `'/etc/node-recovery/config.toml', line 3: there is no key 'kep'`.
    public var summary: String {
        "'\(file)'\(line.map { ", line \($0)" } ?? ""): \(reason)"
    }

    /// Names the file to fix.
    public var hint: String? { "fix the line in '\(file)', or name another file with --config" }

    /// `78`.
    public var exitStatus: ExitStatus { .config }
}
