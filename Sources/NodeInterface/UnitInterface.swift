/// What systemd says about a unit.
public struct UnitState: Sendable, Hashable {
    /// `loaded`, `not-found`, `masked`, `error` or `bad-setting`.
    public var load: String
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`, `maintenance` or `refreshing`.
    public var active: String
    /// The finer state that depends on the kind of unit: `running`, `dead`, `auto-restart`, `exited`.
    public var sub: String

    /// A state made of systemd's words.
    public init(load: String, active: String, sub: String) {
        self.load = load
        self.active = active
        self.sub = sub
    }

    /// Whether systemd knows a unit of this name; a masked one exists.
    public var exists: Bool { load != "not-found" }

    /// Whether it is kept from being started by anyone (`systemctl mask`); it can run all the same until it is stopped.
    public var isMasked: Bool { load == "masked" }

    /// Whether a start of it can succeed: it exists, is not masked, and its file can be read.
    public var canStart: Bool { load == "loaded" }

    /// Whether nothing of it runs, and nothing is about to.
    public var isStopped: Bool { active == "inactive" || active == "failed" }
}

/// What stopping a unit came to.
public enum UnitStop: Sendable, Hashable, CaseIterable {
    /// It ran, and has stopped.
    case stopped
    /// It exists and did not run.
    case notRunning
    /// It is masked and did not run.
    case masked
    /// systemd knows no unit of this name.
    case absent

    /// What a stop came to, by the state of the unit before.
    public init(before state: UnitState) {
        self = !state.exists ? .absent : !state.isStopped ? .stopped : state.isMasked ? .masked : .notRunning
    }

    /// For the operator, about a unit: `kubelet.service has stopped`, `crio.service does not exist`.
    public func sentence(about unit: String) -> String {
        switch self {
        case .stopped: "\(unit) has stopped"
        case .notRunning: "\(unit) was not running"
        case .masked: "\(unit) is masked and was not running"
        case .absent: "\(unit) does not exist"
        }
    }
}

/// The units of the machine that the program runs on.
///
/// Every call waits for systemd to finish the job, and no longer than its limit.
public protocol UnitInterface: Sendable {
    /// Asks about a unit; a name that systemd does not know is `not-found`, no error.
    func state(of unit: String) throws -> UnitState

    /// Stops a unit and waits until it has stopped; one that does not run or does not exist stays as it is.
    ///
    /// What does not stop within `limit` is killed (`SIGKILL`, all of its processes).
    @discardableResult
    func stop(_ unit: String, limit: Duration) throws -> UnitStop

    /// Starts a unit and waits for the end of the job.
    func start(_ unit: String, limit: Duration) throws

    /// Has systemd read the unit files again.
    func reload() throws

    /// Reboots the machine; returns when systemd has taken the order.
    func reboot() throws
}
