import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Systemd

@Suite("Without a systemd") struct NoSystemdTests {
    @Test("there is an error that says so, with status 69")
    func unreachable() throws {
        let directory = try TemporaryDirectory()
        let units = SystemdUnits(
            sockets: [.init(path: directory / "private", isBroker: false)],
            cancellation: Cancellation()
        )
        let error = #expect(throws: SystemdError.self) { try units.stop("kubelet.service", limit: .seconds(1)) }
        #expect(
            error?.summary == "could not stop 'kubelet.service': systemd cannot be reached: No such file or directory"
        )
        #expect(error?.exitStatus == .unavailable)
    }

    @Test("an address of D-Bus has every byte of a path that is not plain in hexadecimal digits")
    func address() {
        #expect(BusConnection.address(of: "/run/a,b;c=d é") == "unix:path=/run/a%2cb%3bc%3dd%20%c3%a9")
    }
}
