internal import CSystemd
internal import Glibc
public import NodeInterface
public import Reporting

/// The units of this machine, over systemd's D-Bus interface.
///
/// As root it speaks with systemd itself, as `systemctl` does, so that it works while the message bus is down; the
/// message bus is the second way. Every call makes a connection of its own: a recovery waits for minutes between two.
/// Source: org.freedesktop.systemd1(5), sd-bus(3).
public struct SystemdUnits: UnitInterface {
    /// The name of D-Bus's error for a unit that systemd does not know.
    static let noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"

    /// How long one question may take; systemd answers late while it reloads.
    static let answerLimit = Duration.seconds(25)
    /// How long reading all unit files again may take.
    static let reloadLimit = Duration.seconds(120)
    /// How long a unit may take to be gone after `SIGKILL`.
    static let killGrace = Duration.seconds(10)

    private let sockets: [BusConnection.Socket]
    private let cancellation: Cancellation

    /// The units of the system that we run on; nothing is connected yet.
    public init(cancellation: Cancellation) {
        self.init(sockets: [.direct, .broker], cancellation: cancellation)
    }

    /// The same with the sockets given, in the order in which they are tried.
    init(sockets: [BusConnection.Socket], cancellation: Cancellation) {
        self.sockets = sockets
        self.cancellation = cancellation
    }

    /// Asks about a unit; a name that systemd does not know is `not-found`, no error.
    /// - Throws: ``SystemdError``, `Stopped`.
    public func state(of unit: String) throws -> UnitState {
        try perform("ask about", unit) { bus throws(BusConnection.Failure) in
            try Self.state(of: unit, over: &bus)
        }
    }

    /// Stops a unit and waits for the end of the job; one that does not run or does not exist stays as it is.
    ///
    /// What does not stop within `limit` gets `SIGKILL`, all of its processes, and ten seconds to be gone. A unit
    /// that stops as `failed` has stopped.
    /// - Throws: ``SystemdError``, `Stopped`.
    @discardableResult
    public func stop(_ unit: String, limit: Duration) throws -> UnitStop {
        try perform("stop", unit) { bus throws(BusConnection.Failure) in
            try bus.subscribe(deadline: .now + Self.answerLimit)
            let outcome = UnitStop(before: try Self.state(of: unit, over: &bus))
            let end = ContinuousClock.now + limit
            let job: String
            do throws(BusConnection.Failure) {
                // Also for a unit that does not run: that takes back a start that is about to come.
                job = try bus.call("StopUnit", .string(unit), .string("replace"), deadline: .now + Self.answerLimit)
                    .objectPath()
            } catch {
                if Self.isNoSuchUnit(error) { return .absent }
                throw error
            }
            var result = try bus.result(ofJob: job, deadline: end)
            if result == nil {
                do throws(BusConnection.Failure) {
                    _ = try bus.call(
                        "KillUnit",
                        .string(unit),
                        .string("all"),
                        .int32(SIGKILL),
                        deadline: .now + Self.answerLimit
                    )
                } catch {
                    // It can have gone by itself meanwhile; what counts is the state below.
                    guard case .fault(.refused) = error else { throw error }
                }
                result = try bus.result(ofJob: job, deadline: .now + Self.killGrace)
            }
            if result == "done" { return outcome }
            let state = try Self.state(of: unit, over: &bus)
            if state.isStopped { return outcome }
            throw .fault(result.map { .job(result: $0) } ?? .survived(state: Self.text(state)))
        }
    }

    /// Starts a unit and waits for the end of the job, which for a service is when it says that it is ready.
    ///
    /// A unit that has used up its tries (`start-limit-hit`) gets new ones. A job that is not done within `limit` goes
    /// on.
    /// - Throws: ``SystemdError``, `Stopped`.
    public func start(_ unit: String, limit: Duration) throws {
        try perform("start", unit) { bus throws(BusConnection.Failure) in
            try bus.subscribe(deadline: .now + Self.answerLimit)
            do throws(BusConnection.Failure) {
                _ = try bus.call("ResetFailedUnit", .string(unit), deadline: .now + Self.answerLimit)
            } catch {
                // A unit that is not loaded has nothing to reset; the start says more.
                guard case .fault(.refused) = error else { throw error }
            }
            let end = ContinuousClock.now + limit
            let job = try bus.call("StartUnit", .string(unit), .string("replace"), deadline: .now + Self.answerLimit)
                .objectPath()
            switch try bus.result(ofJob: job, deadline: end) {
            // A condition of the unit that does not hold is no failure of it.
            case "done", "skipped": return
            case let result?: throw .fault(.job(result: result))
            case nil: throw .fault(.unfinished(limit, state: Self.text(try Self.state(of: unit, over: &bus))))
            }
        }
    }

    /// Has systemd read the unit files again; returns when it has.
    /// - Throws: ``SystemdError``, `Stopped`.
    public func reload() throws {
        try perform("reload the unit files", nil) { bus throws(BusConnection.Failure) in
            _ = try bus.call("Reload", deadline: .now + Self.reloadLimit)
        }
    }

    /// Reboots the machine: the job that `systemctl reboot` starts, which nothing can take back.
    /// - Throws: ``SystemdError``, `Stopped`.
    public func reboot() throws {
        try perform("start", "reboot.target") { bus throws(BusConnection.Failure) in
            _ = try bus.call(
                "StartUnit",
                .string("reboot.target"),
                .string("replace-irreversibly"),
                deadline: .now + Self.answerLimit
            )
        }
    }

    // MARK: - Parts

    private static func state(of unit: String, over bus: inout BusConnection) throws(BusConnection.Failure) -> UnitState
    {
        let deadline = ContinuousClock.now + answerLimit
        let path: String
        do {
            path = try bus.call("LoadUnit", .string(unit), deadline: deadline).objectPath()
        } catch {
            if isNoSuchUnit(error) { return UnitState(load: "not-found", active: "inactive", sub: "dead") }
            throw error
        }
        var values = [String]()
        for property in ["LoadState", "ActiveState", "SubState"] {
            let answer = try bus.call(
                "Get",
                .string("org.freedesktop.systemd1.Unit"),
                .string(property),
                path: path,
                interface: "org.freedesktop.DBus.Properties",
                deadline: deadline
            )
            values.append(try answer.variantString())
        }
        return UnitState(load: values[0], active: values[1], sub: values[2])
    }

    private static func isNoSuchUnit(_ failure: BusConnection.Failure) -> Bool {
        if case .fault(.refused(noSuchUnit, _)) = failure { true } else { false }
    }

    private static func text(_ state: UnitState) -> String { "\(state.active) (\(state.sub))" }

    private func perform<Value>(
        _ action: String,
        _ unit: String?,
        _ body: (inout BusConnection) throws(BusConnection.Failure) -> Value
    ) throws -> Value {
        do {
            try cancellation.check()
            var bus = try BusConnection(sockets, cancellation: cancellation)
            return try body(&bus)
        } catch let failure as BusConnection.Failure {
            switch failure {
            case .fault(let fault): throw SystemdError(action, unit, fault)
            case .stopped(let stopped): throw stopped
            }
        }
    }
}
