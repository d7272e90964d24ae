public import Reporting
internal import SystemPackage

/// systemd does not answer, refuses, or could not do what a unit was asked for.
public struct SystemdError: OperatorError, Equatable {
    /// What went wrong.
    public enum Fault: Sendable, Hashable {
        /// No socket of systemd's can be reached; the number is an `errno`.
        case unreachable(Int32)
        /// The connection ended in the middle; the number is an `errno`.
        case broken(Int32)
        /// systemd answered with an error of D-Bus: its name and its text.
        case refused(name: String, text: String)
        /// systemd did not answer in time.
        case silent(Duration)
        /// An answer that is not what systemd documents.
        case malformed
        /// The job ended otherwise than well: `failed`, `timeout`, `canceled`, `dependency`, `assert`, …
        case job(result: String)
        /// The job was not done in time; the unit's state then.
        case unfinished(Duration, state: String)
        /// The unit still runs though all of its processes were killed; its state then.
        case survived(state: String)
    }

    /// What was being done, as in `stop`.
    public let action: String
    /// The unit that it was done to; `nil` when it concerned all of them.
    public let unit: String?
    /// What went wrong.
    public let fault: Fault

    init(_ action: String, _ unit: String?, _ fault: Fault) {
        self.action = action
        self.unit = unit
        self.fault = fault
    }

    /// The unit, and what systemd made of it.
    public var summary: String {
        let what = "could not \(action)" + (unit.map { " '\($0)'" } ?? "")
        return switch fault {
        case .unreachable(let number): "\(what): systemd cannot be reached: \(Errno(rawValue: number))"
        case .broken(let number): "\(what): the connection to systemd broke: \(Errno(rawValue: number))"
        case .refused(let name, let text): "\(what): \(text.isEmpty ? name : text)"
        case .silent(let limit): "\(what): systemd did not answer within \(limit.operatorText)"
        case .malformed: "\(what): systemd sent an unexpected answer"
        case .job(let result): "\(what): systemd's job ended with '\(result)'"
        case .unfinished(let limit, let state): "\(what) within \(limit.operatorText): the unit is \(state)"
        case .survived(let state): "\(what): the unit is \(state), though all of its processes were killed"
        }
    }

    /// The command that shows more.
    public var hint: String? {
        if case .unreachable = fault { return "check whether systemd runs this machine: systemctl is-system-running" }
        guard let unit else { return "see what systemd says: journalctl -b _PID=1 -n 20" }
        return "see why: systemctl status \(unit)"
    }

    /// `77` for what we may not do, `66` for a unit that is not there, `69` otherwise.
    public var exitStatus: ExitStatus {
        switch fault {
        case .unreachable(let number) where number == Errno.permissionDenied.rawValue: .noPermission
        case .refused(let name, _) where name.hasSuffix(".AccessDenied") || name.hasSuffix("AuthorizationRequired"):
            .noPermission
        case .refused(SystemdUnits.noSuchUnit, _): .noInput
        default: .unavailable
        }
    }
}
