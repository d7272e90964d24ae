/// The end of a program: how it ended and what it printed.
public struct Output: Sendable {
    /// How a program ended.
    public enum Status: Sendable, Hashable {
        /// By itself, with an exit status; 0 is success.
        case exited(Int32)
        /// By a signal that it did not handle.
        case signaled(Int32)
    }

    /// What was run.
    public let command: Command
    /// How it ended.
    public let status: Status
    /// Everything that it wrote to its standard output.
    public let standardOutput: [UInt8]
    /// Everything that it wrote to its standard error.
    public let standardError: [UInt8]

    /// An end made of its parts.
    public init(command: Command, status: Status, standardOutput: [UInt8], standardError: [UInt8]) {
        self.command = command
        self.status = status
        self.standardOutput = standardOutput
        self.standardError = standardError
    }

    /// Whether it ended by itself with status 0.
    public var isSuccess: Bool { status == .exited(0) }

    /// The standard output as text; what is not UTF-8 is replaced.
    public var text: String { String(decoding: standardOutput, as: UTF8.self) }

    /// The last line with more than spaces that it wrote to its standard error, where programs say what went wrong;
    /// `nil` when it wrote none.
    public var lastErrorLine: String? {
        let lines = standardError.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        for line in lines.reversed() {
            let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
            guard let first = line.firstIndex(where: { !isBlank($0) }),
                let last = line.lastIndex(where: { !isBlank($0) })
            else { continue }
            return String(decoding: line[first...last], as: UTF8.self)
        }
        return nil
    }

    /// This end, when it is a success.
    /// - Throws: ``ProcessError`` with the status and the last line of the standard error.
    @discardableResult
    public func requireSuccess() throws(ProcessError) -> Output {
        guard isSuccess else { throw ProcessError(command: command, reason: .ended(status, lastErrorLine)) }
        return self
    }
}
