/// A client URL of etcd taken apart: `https://127.0.0.1:2379`, `https://[::1]:2379`.
public struct ClientURL: Sendable, Equatable {
    /// Whether it is `https`.
    public var isSecure: Bool
    /// A name or a numeric address, without brackets.
    public var host: String
    /// 2379 when the URL has none.
    public var port: UInt16

    /// Takes a URL apart.
    ///
    /// A member that listens on all addresses (`0.0.0.0`, `::`) is reached through the loopback.
    /// - Returns: `nil` for another scheme, no host, or a port that is none.
    public init?(_ text: String) {
        var rest = text[...]
        if rest.hasPrefix("https://") {
            isSecure = true
            rest = rest.dropFirst(8)
        } else if rest.hasPrefix("http://") {
            isSecure = false
            rest = rest.dropFirst(7)
        } else {
            return nil
        }
        while rest.hasSuffix("/") { rest = rest.dropLast() }
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            rest = rest[rest.index(after: end)...]
        } else {
            host = String(rest.prefix { $0 != ":" })
            rest = rest.dropFirst(host.count)
        }
        if host == "0.0.0.0" { host = "127.0.0.1" }
        if host == "::" { host = "::1" }
        guard !host.isEmpty, !host.contains("/") else { return nil }
        if rest.isEmpty {
            port = 2379
        } else {
            guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()), number > 0 else { return nil }
            port = number
        }
    }
}
