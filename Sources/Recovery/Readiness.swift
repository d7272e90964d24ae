import Backup
import Files
import Glibc
public import NodeInterface
import RecoveryPoints
public import Reporting
import SystemPackage

/// Whether a node can be recovered right now, until when, and what is to be done about it.
public struct Readiness: Sendable, Codable, Equatable {
    /// How a check ended; the numbers are those of the metrics.
    public enum Colour: String, Sendable, Codable, Comparable {
        /// As it should be.
        case green
        /// The node can be recovered all the same, but something is to be done; also what could not be looked at.
        case amber
        /// A recovery would be refused.
        case red

        /// 0, 1 or 2.
        public var number: Int {
            switch self {
            case .green: 0
            case .amber: 1
            case .red: 2
            }
        }

        /// Green is the smallest.
        public static func < (left: Colour, right: Colour) -> Bool { left.number < right.number }
    }

    /// What one check has found.
    public struct Finding: Sendable, Codable, Equatable {
        /// The check's name.
        public var check: String
        /// How it ended.
        public var state: Colour
        /// What was found, in a line.
        public var text: String
        /// What to type; absent when it is green.
        public var next: String?
    }

    /// The recovery point that a recovery would go to; absent when there is none.
    public internal(set) var generation: Int?
    /// The findings in the order of the checks.
    public internal(set) var findings: [Finding] = []
    /// When the first certificate of the recovery point expires, in seconds since 1970-01-01 UTC; absent when it has none.
    public internal(set) var until: Int64?
    /// When this was looked at, in seconds since 1970-01-01 UTC.
    public internal(set) var at: Int64

    /// The worst of the findings.
    public var state: Colour { findings.map(\.state).max() ?? .green }

    /// Whether a recovery can begin now.
    public var isRecoverable: Bool { state != .red }

    /// Whole days until ``until``.
    public var daysLeft: Int64? { until.map { ($0 - at) / 86_400 } }

    /// The moment of ``until`` as UTC, ISO 8601.
    public var untilText: String? { until.map { FileTime(seconds: $0, nanoseconds: 0).iso8601 } }

    /// All of it in one sentence.
    public var summary: String {
        guard isRecoverable, let generation else {
            let reason = findings.first { $0.state == .red }?.text ?? "there is no recovery point"
            return "This node cannot be recovered: \(reason)."
        }
        var text = "This node can be recovered to recovery point \(generation)"
        if let until, let daysLeft { text += " until \(UTCDay.text(of: until)) (\(UTCDay.count(daysLeft)))" }
        let open = findings.count { $0.state == .amber }
        return text + (open == 0 ? "." : "; \(open == 1 ? "1 check needs" : "\(open) checks need") attention.")
    }
}

/// What the doctor is asked.
public struct ReadinessRequest: Sendable {
    /// What a recovery would be asked, and in it what a backup would be.
    public var recovery: RecoveryRequest
    /// The age from which on the recovery point is too old.
    public var maxAge: Duration
    /// How long before the first expiry to warn.
    public var expiryWarning: Duration
    /// Whether to read the whole recovery point back, and record the result.
    public var verifies = false

    /// A request made of its parts.
    public init(recovery: RecoveryRequest, maxAge: Duration, expiryWarning: Duration) {
        self.recovery = recovery
        self.maxAge = maxAge
        self.expiryWarning = expiryWarning
    }
}

extension Readiness {
    /// Makes every check of ``ReadinessChecks``; nothing on the node or in the store changes, unless the recovery point
    /// is to be verified.
    /// - Throws: when the program is not root, cannot open the root, or is stopped; what a check finds is no error.
    public static func examine(
        _ request: ReadinessRequest,
        on node: Node,
        meter: ProgressMeter
    ) async throws(RecoveryError) -> Readiness {
        do {
            guard geteuid() == 0 else { throw RecoveryError.notRoot }
            let subject = ReadinessSubject(
                request: request,
                node: node,
                root: try RootDirectory(path: node.root),
                meter: meter
            )
            var readiness = Readiness(generation: subject.proof?.point.generation, at: node.now().seconds)
            for check in ReadinessChecks.all {
                try node.cancellation.check()
                readiness.findings.append(try await subject.finding(of: check))
            }
            readiness.until = subject.until
            return readiness
        } catch {
            throw .wrapping(error)
        }
    }
}

/// Days for people, in UTC.
enum UTCDay {
    /// `2027-01-03`.
    static func text(of seconds: Int64) -> String {
        String(FileTime(seconds: seconds, nanoseconds: 0).iso8601.prefix { $0 != "T" })
    }

    /// `1 day`, `42 days`.
    static func count(_ days: Int64) -> String { days == 1 ? "1 day" : "\(days) days" }
}
