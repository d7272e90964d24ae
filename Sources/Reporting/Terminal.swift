internal import Glibc
internal import Synchronization
public import SystemPackage

/// Where messages for the person at the node go: lines that stay, and one line under them that is drawn over.
///
/// Everything that writes to the same terminal goes through one value, so that a log line never lands in the middle
/// of a progress bar. Safe to use from every thread.
public final class Terminal: Sendable {
    private let descriptor: FileDescriptor
    /// The line that is drawn over, as it stands; empty for none.
    private let status = Mutex<String>("")

    /// Whether colours are wanted: on a terminal that has them, unless `NO_COLOR` says otherwise.
    public let hasColor: Bool
    /// How progress is to be shown here.
    public let progressStyle: ProgressStyle

    /// A place to write to, most often the standard error.
    /// - Parameter environment: the variables of this process; `TERM`, `NO_COLOR` and `KUBERNETES_SERVICE_HOST` count.
    public init(descriptor: FileDescriptor = .standardError, environment: [String: String]) {
        self.descriptor = descriptor
        let isTerminal = isatty(descriptor.rawValue) == 1
        hasColor = isTerminal && environment["TERM"] != "dumb" && (environment["NO_COLOR"] ?? "").isEmpty
        progressStyle = ProgressStyle(isTerminal: isTerminal, environment: environment)
    }

    /// How many characters fit on a line; 80 when nobody knows.
    public var columns: Int {
        var size = winsize()
        guard ioctl(descriptor.rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Writes a line that stays, above the status line.
    ///
    /// A line that cannot be written is dropped: there is nowhere to say so.
    public func writeLine(_ line: String) {
        status.withLock { status in
            let redrawn = status.isEmpty ? "" : "\r\u{1B}[K"
            write("\(redrawn)\(line)\n\(status)")
        }
    }

    /// Draws the status line over the last one; an empty one takes it away.
    ///
    /// Not to be longer than ``columns``, or it breaks over two lines and stays.
    public func showStatus(_ line: String) {
        status.withLock { status in
            guard line != status else { return }
            write("\r\u{1B}[K\(line)")
            status = line
        }
    }

    private func write(_ text: String) {
        // ignored: there is nowhere to say that standard error is gone
        _ = try? descriptor.writeAll(text.utf8)
    }
}
