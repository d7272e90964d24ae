import Glibc
import Reporting
import SystemPackage

/// The two streams of a command: results on standard output, everything else on standard error.
enum Streams {
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
    /// When the reader goes away (`| head`) the rest is dropped, and the command goes on to its own exit status. A result
    /// that cannot be written for another reason ends the program: 74.
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
                    let reason = Errno(rawValue: errno)
                    // Nobody can be told: the reader went away, or standard error itself is what fails.
                    if reason == .brokenPipe || descriptor != STDOUT_FILENO { return }
                    printError("could not write to standard output: \(reason)")
                    exit(ExitStatus.ioError.rawValue)
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
