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

        /// Before anything was done.
        public init() {}
    }

    private let reading = Mutex(Reading())

    /// A run that has not begun.
    public init() {}

    /// Sets the number of components and the bytes that they hold together.
    public func plan(components: Int, totalBytes: Int64) {
        reading.withLock { reading in
            reading.componentCount = components
            reading.allTotalBytes = totalBytes
            reading.allDoneBytes = 0
            reading.componentNumber = 0
        }
    }

    /// Goes on to the next component.
    public func begin(_ component: String, activity: String, totalBytes: Int64) {
        reading.withLock { reading in
            reading.component = component
            reading.componentNumber += 1
            reading.activity = activity
            reading.doneBytes = 0
            reading.totalBytes = totalBytes
        }
    }

    /// Adds bytes that are done.
    public func advance(bytes: Int64) {
        reading.withLock { reading in
            reading.doneBytes += bytes
            reading.allDoneBytes += bytes
        }
    }

    /// The present moment.
    public var current: Reading { reading.withLock { $0 } }
}
