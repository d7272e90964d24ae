import Glibc
import Synchronization

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
    private let thread: Mutex<pthread_t?>

    /// Starts ticking; the first call comes after one interval.
    public init(every interval: Duration, _ action: @escaping @Sendable () -> Void) {
        shared = Shared(interval: interval, action: action)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(shared)
        let failure = pthread_create(&thread, nil, { Ticker.body($0) }, context.toOpaque())
        guard failure == 0 else {
            context.release()
            self.thread = Mutex(nil)  // no thread, no ticks: what ticks only tells, it never decides
            return
        }
        self.thread = Mutex(thread)
    }

    deinit {
        stop()
    }

    /// Ends the ticking and waits for a call that is under way.
    ///
    /// Calling it again does nothing.
    public func stop() {
        shared.wake.cancel(.signal(0))
        let running = thread.withLock { thread in
            let running = thread
            thread = nil
            return running
        }
        if let running { pthread_join(running, nil) }
    }

    private static func body(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let context else { return nil }
        Unmanaged<Shared>.fromOpaque(context).takeRetainedValue().run()
        return nil
    }
}
