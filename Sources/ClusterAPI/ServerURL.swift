/// The address of an API server as a kubeconfig writes it: `https://api-int.example:6443`, `https://[::1]:6443/prefix`.
struct ServerURL: Equatable {
    /// A name or a numeric address, without brackets.
    let host: String
    /// 443 when the URL has none.
    let port: UInt16
    /// What stands before every path, without a slash at its end; most often nothing.
    let prefix: String

    /// Takes a URL apart; `nil` for what is not `https`, and for what has a user, a query or no host.
    init?(_ text: String) {
        let scheme = "https://"
        guard text.lowercased().hasPrefix(scheme), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }),
            !text.contains(where: { "@?#\\\"".contains($0) })
        else { return nil }
        var rest = text.dropFirst(scheme.count)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var path = rest[slash...]
        while path.hasSuffix("/") { path = path.dropLast() }
        rest = rest[..<slash]
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            guard host.contains(":") else { return nil }
            rest = rest[rest.index(after: end)...]
        } else {
            host = String(rest.prefix { $0 != ":" })
            rest = rest.dropFirst(host.count)
        }
        guard !host.isEmpty else { return nil }
        prefix = String(path)
        if rest.isEmpty {
            port = 443
        } else {
            guard rest.hasPrefix(":"), let number = UInt16(rest.dropFirst()), number > 0 else { return nil }
            port = number
        }
    }
}
