import Synchronization

/// How far a run is: written by the code that does the work, read by whoever shows it.
///
/// Safe from every thread.
public final class ProgressMeter: Sendable {
    /// One moment of a run.
    public struct Reading: Sendable, Equatable {
        /// The component that is being worked on; empty before the first.
        public var component = ""
        /// Its number, from 1.
        public var componentNumber = 0
        /// How many there are in all.
        public var componentCount = 0
        /// What is being done with it: `backing up`, `verifying`.
        public var activity = ""
        /// Bytes of the component done so far.
        public var doneBytes: Int64 = 0
        /// Bytes of the component in all, as estimated; 0 when not known.
        ///
        /// `doneBytes` may go past it.
        public var totalBytes: Int64 = 0
        /// Bytes of all components done so far.
        public var allDoneBytes: Int64 = 0
        /// Bytes of all components together, as estimated; 0 when not known.
        public var allTotalBytes: Int64 = 0

        /// How long the wait that is under way has lasted; `nil` when nothing is waited for.
        public var wait: WaitLine?

        /// Before anything was done.
        public init() {}

        /// What is being done, with what: `backing up etc`; empty before the first component.
        public var title: String { component.isEmpty ? "" : "\(activity) \(component)" }
    }

    private struct State {
        var reading = Reading()
        var waitStart = Duration.zero
    }

    private let clock: @Sendable () -> Duration
    private let state = Mutex(State())

    /// A run that has not begun.
    public convenience init() {
        let start = ContinuousClock.now
        self.init { ContinuousClock.now - start }
    }

    /// The same with the clock given, which never goes back.
    init(clock: @escaping @Sendable () -> Duration) {
        self.clock = clock
    }

    /// Sets the number of components and the bytes that they hold together.
    public func plan(components: Int, totalBytes: Int64) {
        state.withLock { state in
            state.reading.componentCount = components
            state.reading.allTotalBytes = totalBytes
            state.reading.allDoneBytes = 0
            state.reading.componentNumber = 0
        }
    }

    /// Goes on to the next component.
    public func begin(_ component: String, activity: String, totalBytes: Int64) {
        state.withLock { state in
            state.reading.component = component
            state.reading.componentNumber += 1
            state.reading.activity = activity
            state.reading.doneBytes = 0
            state.reading.totalBytes = totalBytes
            state.reading.wait = nil
        }
    }

    /// Starts a wait, which shows its time instead of bytes, until something else begins or ``endWait()``.
    ///
    /// A wait is no component of its own: the number of components stays.
    /// - Parameter what: what is waited for, as it follows "waiting for": `etcd to answer`.
    public func beginWait(for what: String, limit: Duration) {
        let now = clock()
        state.withLock { state in
            state.reading.component = what
            state.reading.activity = "waiting for"
            state.reading.doneBytes = 0
            state.reading.totalBytes = 0
            state.waitStart = now
            state.reading.wait = WaitLine(title: state.reading.title, waited: .zero, limit: limit, lastSeen: nil)
        }
    }

    /// Tells what a look of the wait has seen: `connection refused`.
    public func saw(_ lastSeen: String) {
        state.withLock { $0.reading.wait?.lastSeen = lastSeen }
    }

    /// Ends a wait; nothing is being done then until the next ``begin(_:activity:totalBytes:)``.
    public func endWait() {
        state.withLock { state in
            state.reading.wait = nil
            state.reading.component = ""
            state.reading.activity = ""
        }
    }

    /// Adds bytes that are done.
    public func advance(bytes: Int64) {
        state.withLock { state in
            state.reading.doneBytes = state.reading.doneBytes.addingSaturated(bytes)
            state.reading.allDoneBytes = state.reading.allDoneBytes.addingSaturated(bytes)
        }
    }

    /// The present moment.
    public var current: Reading {
        let now = clock()
        return state.withLock { state in
            var reading = state.reading
            // Whole seconds, so that two readings within one are equal.
            reading.wait?.waited = .seconds((now - state.waitStart).components.seconds)
            return reading
        }
    }
}
