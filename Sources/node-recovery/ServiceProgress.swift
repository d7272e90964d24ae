import Reporting
import Synchronization
import Systemd

/// Tells the service manager how far a run is, once a second and only what is new.
///
/// Each message asks for more time as well: a service manager's limit then ends a run in which nothing moves, and never
/// one that `timeout` of the configuration allows.
final class ServiceProgress: Sendable {
    /// How long nothing may move before the service manager's own limit counts.
    static let patience = Duration.seconds(600)

    private struct Told {
        var reading = ProgressMeter.Reading()
        var at: ContinuousClock.Instant?
    }

    private let send: @Sendable (ServiceNotifier.Message, ServiceNotifier.Message) -> Void
    private let told = Mutex(Told())

    /// Progress for the service manager that the notifier knows.
    convenience init(_ notifier: ServiceNotifier) {
        self.init { notifier.send($0, $1) }
    }

    /// The same with what sends.
    init(send: @escaping @Sendable (ServiceNotifier.Message, ServiceNotifier.Message) -> Void) {
        self.send = send
    }

    /// Passes a reading on, when something has moved since the last one and that is a second ago.
    func tell(_ reading: ProgressMeter.Reading, now: ContinuousClock.Instant = .now) {
        let isDue = told.withLock { told in
            guard reading != told.reading else { return false }
            if let at = told.at, now - at < .seconds(1) { return false }
            told = Told(reading: reading, at: now)
            return true
        }
        if isDue { send(.status(Self.text(of: reading)), .extendTimeout(Self.patience)) }
    }

    /// `backing up etc (3 of 8), 12 MiB of 1.2 GiB`; `waiting for etcd to answer: 12 s of 20 min`; only what is known.
    static func text(of reading: ProgressMeter.Reading) -> String {
        if let wait = reading.wait { return wait.plain.printable }
        let isNumbered =
            (1...max(1, reading.componentCount)).contains(reading.componentNumber) && reading.componentCount > 0
        let number = isNumbered ? " (\(reading.componentNumber) of \(reading.componentCount))" : ""
        let bytes =
            reading.allTotalBytes > 0
            ? ", \(ByteCount(reading.allDoneBytes)) of \(ByteCount(reading.allTotalBytes))" : ""
        return "\(reading.title.printable)\(number)\(bytes)"
    }
}
