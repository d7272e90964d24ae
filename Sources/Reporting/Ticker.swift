import Glibc

/// Calls a closure at regular intervals on a thread of its own until it is stopped: progress lines, status files.
public final class Ticker: Sendable {
    private final class Shared: Sendable {
        let interval: Duration
        let action: @Sendable () -> Void
        let wake: Cancellation

        init(interval: Duration, action: @escaping @Sendable () -> Void) {
            self.interval = interval
            self.action = action
            wake = Cancellation()
        }

        func run() {
            while true {
                var descriptor = pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)
                let milliseconds = Int32(clamping: Int64(interval.seconds * 1000))
                // Looked at whatever woke us: a wish to stop must never depend on the descriptor alone.
                _ = poll(&descriptor, 1, milliseconds)
                if wake.reason != nil { return }
                action()
            }
        }
    }

    private let shared: Shared
    /// `nil` when the system gave none: no ticks then, as what ticks only tells and never decides.
    private let thread: WorkerThread?

    /// Starts ticking; the first call comes after one interval.
    public init(every interval: Duration, _ action: @escaping @Sendable () -> Void) {
        shared = Shared(interval: interval, action: action)
        let shared = shared
        // ignored: no thread, no ticks
        thread = try? WorkerThread { shared.run() }
    }

    deinit {
        stop()
    }

    /// Ends the ticking and waits for a call that is under way.
    ///
    /// Calling it again does nothing.
    public func stop() {
        shared.wake.cancel(.signal(0))
        thread?.join()
    }
}
