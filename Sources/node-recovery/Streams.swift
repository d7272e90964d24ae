import Glibc
import Reporting

/// The two streams of a command: results on standard output, everything else on standard error.
enum Streams {
    /// Prints a result.
    ///
    /// A reader that went away (`| head`) ends the program quietly.
    static func printResult(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// Prints what is not a result.
    static func printError(_ text: String) {
        write(text + "\n", to: STDERR_FILENO)
    }

    /// Prints an error with its hint.
    static func report(_ error: any OperatorError, as name: String) {
        printError(text(of: error, as: name))
    }

    /// The two lines of an error with its hint.
    static func text(of error: any OperatorError, as name: String) -> String {
        "\(name): \(error.summary)" + (error.hint.map { "\nhint: \($0)" } ?? "")
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    if errno == EPIPE, descriptor == STDOUT_FILENO { exit(ExitStatus.done.rawValue) }
                    return  // nobody can be told
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
