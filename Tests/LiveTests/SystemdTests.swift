import Glibc
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Systemd

@Suite("A machine with systemd as PID 1", .enabled(if: Tier.machine.isWanted, Tier.machine.comment))
final class SystemdTests {
    private let directory: TemporaryDirectory
    private let machine: FilePath
    private let process: String

    init() throws {
        directory = try TemporaryDirectory()
        machine = directory / "machine"
        let folders = "\(TestProgram.path.removingLastComponent()) \(try TestProgram.libraries)"
        process = try Shell.output("\(OSTreeTests.script("systemd-machine")) up \(machine) \(folders)").trimmed
    }

    deinit {
        // ignored: a leftover of a test is not the test's failure
        _ = try? Shell.run("\(OSTreeTests.script("systemd-machine")) down \(machine)")
    }

    /// Runs a suite of this file in the machine: systemd's own socket takes nobody from another PID namespace.
    private func inside(_ suite: String) throws -> String {
        try Shell.run(
            """
            NODE_RECOVERY_INSIDE=\(suite) exec nsenter -t \(process) -a \
                \(TestProgram.path) --testing-library swift-testing --filter LiveTests.\(suite)/
            """
        ).output
    }

    @Test("does what its units are asked for")
    func units() throws {
        let output = try inside("SystemdInsideTests")
        #expect(output.contains("Test run with 7 tests in 1 suite passed"), "\(output)")
    }

    @Test("reboots")
    func reboot() throws {
        let output = try inside("SystemdRebootTests")
        let end = try Shell.output("for i in $(seq 200); do cat \(machine)/end 2>/dev/null && break; sleep 0.1; done")
        #expect(end.trimmed == "reboot", "\(output)")
    }
}

/// Runs in the machine that ``SystemdTests`` makes.
@Suite(
    "Inside it, systemd",
    .serialized,
    .enabled(if: TestProgram.isInside("SystemdInsideTests"), "started by another")
)
struct SystemdInsideTests {
    private let cancellation = Cancellation()

    private func units(_ sockets: BusConnection.Socket...) -> SystemdUnits {
        SystemdUnits(sockets: sockets, cancellation: cancellation)
    }

    /// Both ways to it: its own socket, and the message bus.
    private func eachWay(_ body: (SystemdUnits) throws -> Void) throws {
        try body(units(.direct))
        try body(units(.broker))
    }

    @Test("says how its units are, and that it does not know one")
    func states() throws {
        try eachWay { units in
            #expect(try units.state(of: "ok.service") == UnitState(load: "loaded", active: "active", sub: "running"))
            #expect(try units.state(of: "slow.service").isStopped)
            let unknown = try units.state(of: "unknown.service")
            #expect(!unknown.exists && unknown.isStopped)
            let masked = try units.state(of: "masked.service")
            #expect(masked.exists && masked.isMasked && !masked.canStart && masked.isStopped)
            #expect(try units.state(of: "ok.service").canStart)
            let error = #expect(throws: SystemdError.self) { try units.state(of: "no unit's name") }
            #expect(error?.exitStatus == .unavailable)
        }
    }

    @Test("starts and stops units, again and again, and the job is done when the call returns")
    func startAndStop() throws {
        try eachWay { units in
            // More often than systemd lets a unit start by itself, which is five times in ten seconds.
            for _ in 0..<7 {
                #expect(try units.stop("ok.service", limit: .seconds(10)) == .stopped)
                #expect(try units.state(of: "ok.service").isStopped)
                #expect(try units.stop("ok.service", limit: .seconds(10)) == .notRunning)
                try units.start("ok.service", limit: .seconds(10))
                #expect(try units.state(of: "ok.service").active == "active")
                try units.start("ok.service", limit: .seconds(10))
            }
            try units.start("oneshot.service", limit: .seconds(10))
            try Shell.output("rm /run/oneshot")
            #expect(try units.stop("unknown.service", limit: .seconds(10)) == .absent)
            #expect(try units.stop("masked.service", limit: .seconds(10)) == .masked)
            try units.start("restless.service", limit: .seconds(10))
            try units.stop("restless.service", limit: .seconds(10))
            #expect(try units.state(of: "restless.service").isStopped)
        }
    }

    @Test("says why a unit does not start")
    func failures() throws {
        try eachWay { units in
            let failed = #expect(throws: SystemdError.self) {
                try units.start("failing.service", limit: .seconds(10))
            }
            #expect(failed?.summary == "could not start 'failing.service': systemd's job ended with 'failed'")
            #expect(failed?.hint == "see why: systemctl status failing.service")
            #expect(try units.state(of: "failing.service").active == "failed")
            try units.stop("failing.service", limit: .seconds(10))
            let unknown = #expect(throws: SystemdError.self) {
                try units.start("unknown.service", limit: .seconds(10))
            }
            #expect(unknown?.exitStatus == .noInput)
            #expect(unknown?.summary == "could not start 'unknown.service': Unit unknown.service not found.")
            let masked = #expect(throws: SystemdError.self) { try units.start("masked.service", limit: .seconds(10)) }
            #expect(masked?.summary == "could not start 'masked.service': Unit masked.service is masked.")
        }
    }

    @Test("kills what does not stop within the limit")
    func stubborn() throws {
        try eachWay { units in
            try units.start("stubborn.service", limit: .seconds(10))
            let start = ContinuousClock.now
            try units.stop("stubborn.service", limit: .milliseconds(300))
            #expect(.now - start < .seconds(8))
            #expect(try units.state(of: "stubborn.service").isStopped)
        }
    }

    @Test("lets nobody wait longer than the limit, or after the wish to stop")
    func limits() throws {
        let units = units(.direct)
        let late = #expect(throws: SystemdError.self) { try units.start("slow.service", limit: .milliseconds(200)) }
        #expect(late?.summary == "could not start 'slow.service' within 0.2 s: the unit is activating (start)")
        let cancellation = self.cancellation
        let thread = Task.detached {
            try? await Task.sleep(for: .milliseconds(300))
            cancellation.cancel(.signal(15))
        }
        let start = ContinuousClock.now
        #expect(throws: Stopped.self) { try units.start("slow.service", limit: .seconds(20)) }
        #expect(.now - start < .seconds(5))
        _ = thread
        #expect(throws: Stopped.self) { try units.state(of: "ok.service") }
    }

    @Test("knows a unit file after a reload, and not before")
    func reload() throws {
        try eachWay { units in
            try Shell.output(
                """
                d=/etc/systemd/system
                sed 's/infinity/1000/' $d/ok.service > $d/late.service
                """
            )
            try units.reload()
            try units.start("late.service", limit: .seconds(10))
            try Shell.output("rm /etc/systemd/system/late.service")
            try units.reload()
            try units.stop("late.service", limit: .seconds(10))
            #expect(try !units.state(of: "late.service").exists)
        }
    }

    @Test("is reached without the message bus")
    func withoutBroker() throws {
        let both = SystemdUnits(cancellation: cancellation)
        try both.start("dbus.service", limit: .seconds(10))
        try both.stop("dbus.service", limit: .seconds(10))
        try both.stop("dbus.socket", limit: .seconds(10))
        let error = #expect(throws: SystemdError.self) { try units(.broker).state(of: "ok.service") }
        #expect(error?.exitStatus == .unavailable)
        #expect(error?.hint == "check whether systemd runs this machine: systemctl is-system-running")
        #expect(try both.state(of: "ok.service").active == "active")
        #expect(try units(.broker, .direct).state(of: "ok.service").active == "active")
    }
}

/// Runs in the machine that ``SystemdTests`` makes, which is then gone.
@Suite("Inside it, at last", .enabled(if: TestProgram.isInside("SystemdRebootTests"), "started by another"))
struct SystemdRebootTests {
    @Test("a reboot") func reboot() throws {
        try SystemdUnits(cancellation: Cancellation()).reboot()
    }
}
