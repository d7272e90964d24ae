internal import COSTree
internal import Reporting
internal import Synchronization

/// A thread with mounts that nobody else sees, in which `/sysroot` and `/boot` are writable: what `ostree admin` does
/// before it writes to them.
enum OwnMounts {
    /// Runs `body` on such a thread and gives what it gives.
    ///
    /// Where the namespace is refused it runs with the mounts as they are, and fails where they are read-only.
    static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) throws -> Value {
        let result = Mutex<Value?>(nil)
        let thread = try WorkerThread {
            // ignored: what cannot be written then says so itself
            _ = COSTree_own_mounts()
            let value = body()
            result.withLock { $0 = value }
        }
        thread.join()
        guard let value = result.withLock({ $0 }) else {
            throw UnexpectedError(reason: "a thread ended without a result")
        }
        return value
    }
}
