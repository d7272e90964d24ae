import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Systemd

@Suite("The service manager") struct ServiceNotifierTests {
    /// A datagram socket in the manager's place, at a path or, with `@` in front, at a name without a file.
    private func listen(at path: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) {
            $0.copyBytes(from: path.utf8)
            if path.hasPrefix("@") { $0[0] = 0 }
        }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count))
            }
        }
        guard status == 0 else { throw Errno(rawValue: errno) }
        return descriptor
    }

    private func receive(_ descriptor: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
    }

    @Test("is told at its socket", arguments: [false, true])
    func told(isAbstract: Bool) throws {
        let directory = try TemporaryDirectory()
        let path = (isAbstract ? "@" : "") + (directory / "notify").string
        let manager = try listen(at: path)
        defer { close(manager) }
        let notifier = ServiceNotifier(environment: ["NOTIFY_SOCKET": path])
        #expect(notifier.send(.ready, .status("etc: 45 %")))
        #expect(receive(manager) == "READY=1\nSTATUS=etc: 45 %")
        #expect(notifier.send(.stopping))
        #expect(receive(manager) == "STOPPING=1")
    }

    @Test("gets each message in its own form")
    func text() {
        let text = ServiceNotifier.text(of: [
            .status("two\nREADY=1\r\nlines"), .extendTimeout(.milliseconds(1500)), .extendTimeout(.seconds(-1)),
        ])
        #expect(
            String(decoding: text, as: UTF8.self)
                == "STATUS=two READY=1 lines\nEXTEND_TIMEOUT_USEC=1500000\nEXTEND_TIMEOUT_USEC=0"
        )
        #expect(ServiceNotifier.text(of: [.extendTimeout(.seconds(Int64.max))]).count < 40)
    }

    @Test(
        "that is not there is not told",
        arguments: ["", "@", "/", "relative", "/no/such/socket", String(repeating: "/x", count: 100)]
    )
    func nobody(path: String) {
        #expect(!ServiceNotifier(environment: ["NOTIFY_SOCKET": path]).send(.ready))
        #expect(!ServiceNotifier(environment: [:]).send(.ready))
    }
}
