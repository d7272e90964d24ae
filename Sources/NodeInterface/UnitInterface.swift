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

    /// Whether systemd knows a unit of this name.
    public var exists: Bool { load != "not-found" }

    /// Whether nothing of it runs, and nothing is about to.
    public var isStopped: Bool { active == "inactive" || active == "failed" }
}

/// The units of the machine that the program runs on.
///
/// Every call waits for systemd to finish the job, and no longer than its limit.
public protocol UnitInterface: Sendable {
    /// Asks about a unit; a name that systemd does not know is `not-found`, no error.
    func state(of unit: String) throws -> UnitState

    /// Stops a unit and waits until it has stopped; one that is stopped, or not there, stays as it is.
    ///
    /// What does not stop within `limit` is killed (`SIGKILL`, all of its processes).
    func stop(_ unit: String, limit: Duration) throws

    /// Starts a unit and waits for the end of the job.
    func start(_ unit: String, limit: Duration) throws

    /// Lets systemd read the unit files anew.
    func reload() throws

    /// Reboots the machine; returns when systemd has taken the order.
    func reboot() throws
}
