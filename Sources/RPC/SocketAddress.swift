import Glibc
import SystemPackage

/// One address that a socket can connect to.
struct SocketAddress {
    private var storage: sockaddr_storage
    private let length: socklen_t

    /// `AF_INET`, `AF_INET6` or `AF_UNIX`.
    var family: Int32 { Int32(storage.ss_family) }

    /// Every address of `target`, in the order in which they are to be tried.
    ///
    /// Numeric addresses and `localhost` are not looked up: a look-up can block for longer than any of our limits, and
    /// fails in a statically linked program.
    static func all(of target: RPCTarget) throws(RPCError) -> [SocketAddress] {
        switch target {
        case .unix(let path):
            guard let address = SocketAddress(path: path) else { throw RPCError(target, .socketPathTooLong) }
            return [address]
        case .tcp(let host, let port, _):
            if let address = SocketAddress(numeric: host, port: port) { return [address] }
            if host == "localhost" {
                return ["127.0.0.1", "::1"].compactMap { SocketAddress(numeric: $0, port: port) }
            }
            return try lookedUp(host, port: port, target: target)
        }
    }

    /// Calls `body` with the address as the system calls want it.
    func withSockAddr<T>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    /// Whether `host` is a numeric address, as opposed to a name.
    static func isNumeric(_ host: String) -> Bool {
        SocketAddress(numeric: host, port: 0) != nil
    }

    private init(_ address: some Any, length: Int) {
        storage = sockaddr_storage()
        self.length = socklen_t(length)
        withUnsafeMutableBytes(of: &storage) { to in
            withUnsafeBytes(of: address) { to.copyBytes(from: $0.prefix(length)) }
        }
    }

    private init?(numeric host: String, port: UInt16) {
        var v4 = sockaddr_in()
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = port.bigEndian
        var v6 = sockaddr_in6()
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = port.bigEndian
        if inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
            self.init(v4, length: MemoryLayout<sockaddr_in>.size)
        } else if inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 {
            self.init(v6, length: MemoryLayout<sockaddr_in6>.size)
        } else {
            return nil
        }
    }

    private init?(path: FilePath) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = path.withPlatformString { text in
            let length = strlen(text)
            guard length < MemoryLayout.size(ofValue: address.sun_path) else { return false }
            withUnsafeMutableBytes(of: &address.sun_path) {
                $0.copyBytes(from: UnsafeRawBufferPointer(start: text, count: length))
            }
            return true
        }
        guard fits else { return nil }
        self.init(address, length: MemoryLayout<sockaddr_un>.size)
    }

    private static func lookedUp(_ host: String, port: UInt16, target: RPCTarget) throws(RPCError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else {
            throw RPCError(target, .noAddress(reason: String(cString: gai_strerror(code))))
        }
        defer { freeaddrinfo(list) }
        return sequence(first: list) { $0?.pointee.ai_next }.prefix { $0 != nil }.compactMap { entry in
            guard let entry, let from = entry.pointee.ai_addr else { return nil }
            let length = Int(entry.pointee.ai_addrlen)
            guard length <= MemoryLayout<sockaddr_storage>.size else { return nil }
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) {
                $0.copyBytes(from: UnsafeRawBufferPointer(start: from, count: length))
            }
            return SocketAddress(storage, length: length)
        }
    }
}
