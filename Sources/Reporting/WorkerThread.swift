import Glibc
import Synchronization

/// A thread of our own that runs a closure to its end.
///
/// It takes no signals: those belong to the thread that waits for them. It is to be joined; one that is let go of
/// runs on by itself.
public final class WorkerThread: Sendable {
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// `nil` once it has been joined.
    private let handle: Mutex<pthread_t?>

    /// Starts the thread.
    /// - Throws: when the system gives no thread: at a limit of tasks, or out of memory.
    public init(_ body: @escaping @Sendable () -> Void) throws(ThreadFailure) {
        var everySignal = sigset_t()
        var before = sigset_t()
        sigfillset(&everySignal)
        pthread_sigmask(SIG_SETMASK, &everySignal, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let work = Unmanaged.passRetained(Work(body))
        var handle = pthread_t()
        let status = pthread_create(
            &handle,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            },
            work.toOpaque()
        )
        guard status == 0 else {
            work.release()
            throw ThreadFailure(errno: status)
        }
        self.handle = Mutex(handle)
    }

    /// Proves that so many threads can run at once.
    ///
    /// For the start of a program: libdispatch, under Swift's tasks, waits for ever for a thread that it does not get.
    public static func requireRoom(for count: Int) throws(ThreadFailure) {
        final class Gate: Sendable {
            let mutex = Mutex(())
        }
        let gate = Gate()
        var threads: [WorkerThread] = []
        var failure: ThreadFailure?
        gate.mutex.withLock { _ in
            do throws(ThreadFailure) {
                for _ in 0..<count { threads.append(try WorkerThread { gate.mutex.withLock { _ in } }) }
            } catch {
                failure = error
            }
        }
        for thread in threads { thread.join() }
        if let failure { throw failure }
    }

    deinit {
        // ignored: a thread that exists can be let go of
        if let handle = handle.withLock({ $0.take() }) { _ = pthread_detach(handle) }
    }

    /// Waits until the closure has returned; a second call returns at once.
    public func join() {
        if let handle = handle.withLock({ $0.take() }) { pthread_join(handle, nil) }
    }
}

/// The system gave no thread.
public struct ThreadFailure: OperatorError, Hashable {
    /// The errno of `pthread_create(3)`: `EAGAIN` at a limit of tasks.
    public let errno: Int32

    /// A failure with its reason.
    public init(errno: Int32) { self.errno = errno }

    /// With the system's reason.
    public var summary: String { "could not start a thread: \(String(cString: strerror(errno)))" }
    /// Where the limits are.
    public var hint: String? {
        "a limit of the system was reached: see 'ulimit -a', and 'systemctl show -p TasksMax,LimitNOFILE UNIT'"
    }
    /// `osError`.
    public var exitStatus: ExitStatus { .osError }
}
