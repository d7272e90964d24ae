internal import Glibc

/// Tells the service manager how its service is; says nothing where there is none.
///
/// The protocol of sd_notify(3), which systemd keeps stable for programs that speak it themselves: one datagram of
/// `NAME=value` lines to the socket that `NOTIFY_SOCKET` names.
public struct ServiceNotifier: Sendable {
    /// What a service can tell.
    public enum Message: Sendable, Hashable {
        /// It has started and does its work.
        case ready
        /// It is about to end.
        case stopping
        /// What it does now, in a few words that `systemctl status` shows.
        case status(String)
        /// It needs this much longer, from now on, for its start, run or stop.
        case extendTimeout(Duration)
    }

    /// The socket's path; one that starts with `@` is a name without a file.
    private let socketPath: String?

    /// A notifier for the service manager that started us.
    public init(environment: [String: String]) {
        socketPath = environment["NOTIFY_SOCKET"]
    }

    /// Sends messages together.
    /// - Returns: whether somebody got them. There is nothing to do when nobody did.
    @discardableResult
    public func send(_ messages: Message...) -> Bool {
        guard let socketPath, var address = Self.address(of: socketPath) else { return false }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let text = Self.text(of: messages)
        // A name without a file ends where its length says, not at a NUL.
        let length = socklen_t(MemoryLayout<sa_family_t>.size + socketPath.utf8.count)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, text, text.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
        return sent == text.count
    }

    /// The datagram: a line each, a newline inside a text as a space.
    static func text(of messages: [Message]) -> [UInt8] {
        let lines = messages.map { message in
            switch message {
            case .ready: "READY=1"
            case .stopping: "STOPPING=1"
            case .status(let text): "STATUS=" + String(text.map { $0.isNewline ? " " : $0 })
            case .extendTimeout(let duration): "EXTEND_TIMEOUT_USEC=\(microseconds(duration))"
            }
        }
        return Array(lines.joined(separator: "\n").utf8)
    }

    /// From 0 to a year.
    private static func microseconds(_ duration: Duration) -> Int64 {
        let bounded = min(max(duration, .zero), .seconds(365 * 86_400)).components
        return bounded.seconds * 1_000_000 + bounded.attoseconds / 1_000_000_000_000
    }

    private static func address(of path: String) -> sockaddr_un? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count > 1, bytes.count < MemoryLayout.size(ofValue: address.sun_path),
            "/@".contains(path.first ?? " ")
        else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        if path.hasPrefix("@") { withUnsafeMutableBytes(of: &address.sun_path) { $0[0] = 0 } }
        return address
    }
}
