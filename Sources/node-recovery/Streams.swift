import Glibc
import Reporting
import Synchronization
import SystemPackage

/// The two streams of a command: results on standard output, everything else on standard error.
///
/// What could steer a terminal is escaped in both, whatever name it comes from; colours of our own stay.
enum Streams {
    /// Why standard output takes no more; `nil` while it does.
    private static let failure = Mutex<Errno?>(nil)

    /// How many characters fit on a line of standard output; `nil` where it is no terminal, and lines have no end.
    static var columns: Int? {
        isatty(STDOUT_FILENO) == 1 ? Terminal(descriptor: .standardOutput, environment: [:]).columns : nil
    }

    /// Makes writing safe; to be called before anything else.
    ///
    /// A peer or a reader that goes away is an error of the call that writes, not the end of the program by SIGPIPE. A
    /// standard stream that the caller has closed becomes `/dev/null`: the next file to be opened would take its number,
    /// and what is printed would go into that file.
    static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", O_RDWR)  // takes the lowest free number, which is this one
        }
    }

    /// Prints a result.
    ///
    /// A reader that went away (`| head`) is no error: the rest is dropped, and the command ends with the status that it
    /// has earned. A full disk is: see ``outputError``.
    static func printResult(_ text: String) {
        failure.withLock { failure in
            if failure == nil { failure = write(harmless(text) + "\n", to: STDOUT_FILENO) }
        }
    }

    /// The error that a command must end with when its result could not be written; `nil` when it could, and when nobody
    /// reads it.
    static var outputError: OutputError? {
        let failure = failure.withLock { $0 }
        return failure.flatMap { $0 == .brokenPipe ? nil : OutputError(error: $0) }
    }

    /// Prints what is not a result.
    static func printError(_ text: String) {
        _ = write(harmless(text) + "\n", to: STDERR_FILENO)  // ignored: nobody can be told
    }

    /// Prints an error with its hint.
    static func report(_ error: any OperatorError, as name: String) {
        printError(text(of: error, as: name))
    }

    /// An error's hint, its commands with the options that were given to this one.
    static func hint(of error: any OperatorError) -> String? {
        error.hint.map { GivenOptions(CommandLine.arguments).applied(to: $0) }
    }

    /// The two lines of an error with its hint.
    static func text(of error: any OperatorError, as name: String) -> String {
        "\(name): \(error.summary.printable)" + (hint(of: error).map { "\nhint: \($0.printableLines)" } ?? "")
    }

    /// The text with everything escaped that could steer a terminal but the ends of lines and the program's own colours.
    static func harmless(_ text: String) -> String {
        guard text.utf8.contains(0x1B) else { return text.printableLines }
        // A text with a colour comes in pieces, each but the first behind the colour's escape sequence.
        var result = ""
        var rest = text[...]
        while let escape = rest.firstIndex(of: "\u{1B}") {
            result += rest[..<escape].printableLines
            rest = rest[escape...]
            let colour = TerminalColour.all.first { rest.hasPrefix($0) } ?? ""
            result += colour.isEmpty ? "\\033" : colour
            rest = rest.dropFirst(max(1, colour.count))
        }
        return result + rest.printableLines
    }

    /// - Returns: Why it could not be written.
    private static func write(_ text: String, to descriptor: Int32) -> Errno? {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    return Errno(rawValue: errno)
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
            return nil
        }
    }
}

/// The colours that results have on a terminal.
enum TerminalColour: String, CaseIterable {
    case green = "32"
    case yellow = "33"
    case red = "1;31"

    /// A text in the colour.
    func around(_ text: String) -> String { "\u{1B}[\(rawValue)m\(text)\(Self.end)" }

    private static let end = "\u{1B}[0m"

    /// The escape sequences of all colours, and of their end.
    static let all = allCases.map { "\u{1B}[\($0.rawValue)m" } + [end]
}

/// The result of a command could not be written.
struct OutputError: OperatorError, Equatable {
    /// What the system said.
    let error: Errno

    var summary: String { "could not write the result to standard output: \(error)" }
    var hint: String? { "the command itself has run; free space where its output goes and run it again" }
    var exitStatus: ExitStatus { .ioError }
    var isForWantOfSpace: Bool { error == .noSpace || error == .diskQuotaExceeded }
}
