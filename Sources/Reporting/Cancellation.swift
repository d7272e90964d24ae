internal import CLinux
import Glibc
import Synchronization

/// The wish of the outside to stop: a signal arrived, or the time limit is over.
///
/// One value goes through a whole run. Loops call ``check()`` between pieces of work; code that waits in `poll(2)`
/// adds ``descriptor`` to its set. Cancelling twice keeps the first reason. Safe to use from every thread.
public final class Cancellation: Sendable {
    /// Why the run is to stop.
    public enum Reason: Sendable, Equatable {
        /// A signal, by its number (`SIGTERM` is 15).
        case signal(Int32)
        /// The time limit that the caller set.
        case deadline(Duration)
    }

    private let state = Mutex<Reason?>(nil)
    private let flag = Atomic<Bool>(false)

    /// Becomes readable (`POLLIN`) when the run is to stop, and stays so.
    ///
    /// Owned by this value. -1, which `poll(2)` passes over, when the system had no descriptor left: then only
    /// ``check()`` and ``reason`` tell.
    public let descriptor: Int32

    /// A run that nobody has stopped yet.
    public init() {
        descriptor = CLinux_eventfd()
    }

    deinit {
        if descriptor >= 0 { _ = close(descriptor) }
    }

    /// Asks the run to stop.
    ///
    /// Not for use inside a signal handler: a thread that waits for signals calls it.
    public func cancel(_ reason: Reason) {
        state.withLock { current in
            if current == nil { current = reason }
        }
        flag.store(true, ordering: .releasing)
        var one: UInt64 = 1
        // ignored: the counter can only be full, and then the descriptor is readable already
        _ = write(descriptor, &one, 8)
    }

    /// Why the run is to stop; `nil` while it may go on.
    public var reason: Reason? {
        guard flag.load(ordering: .acquiring) else { return nil }
        return state.withLock { $0 }
    }

    /// Waits for `duration`; returns early when the run is to stop.
    public func wait(_ duration: Duration) {
        let end = ContinuousClock.now + duration
        while reason == nil {
            let left = end - .now
            guard left > .zero else { return }
            let milliseconds = min(left / .milliseconds(1), Double(Int32.max)).rounded(.up)
            var set = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // ignored: a wait that is cut short is taken up again
            _ = poll(&set, 1, Int32(milliseconds))
        }
    }

    /// Returns at once while the run may go on.
    ///
    /// Costs one atomic load.
    /// - Throws: ``Stopped`` with the reason.
    public func check() throws(Stopped) {
        if let reason { throw Stopped(reason: reason) }
    }
}

/// The run was stopped from outside before it was done.
public struct Stopped: OperatorError, Equatable {
    /// What stopped it.
    public let reason: Cancellation.Reason

    /// Stopped for `reason`.
    public init(reason: Cancellation.Reason) {
        self.reason = reason
    }

    /// Names the signal or the limit.
    public var summary: String {
        switch reason {
        case .signal(let number): "stopped by \(Self.name(ofSignal: number)) before it was done"
        case .deadline(let limit): "stopped: not done within the limit of \(limit.operatorText)"
        }
    }

    /// `75`: nothing is broken, run it again.
    public var exitStatus: ExitStatus { .tempFail }

    private static func name(ofSignal number: Int32) -> String {
        switch number {
        case SIGTERM: "SIGTERM"
        case SIGINT: "SIGINT"
        case SIGHUP: "SIGHUP"
        default: "signal \(number)"
        }
    }
}
