internal import Glibc

/// A thread of our own that runs a closure to its end.
///
/// It takes no signals: those belong to the thread that waits for them. Every thread must be joined.
struct WorkerThread: ~Copyable {
    private let handle: pthread_t

    /// Starts the thread.
    /// - Throws: the errno of `pthread_create(3)`, `EAGAIN` when the node has no thread left to give.
    init(_ body: @escaping @Sendable () -> Void) throws(ThreadFailure) {
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
        self.handle = handle
    }

    /// Waits until the closure has returned.
    consuming func join() {
        pthread_join(handle, nil)
    }

    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

/// The system gave no thread.
struct ThreadFailure: Error {
    let errno: Int32
}

/// A lock with a condition: threads wait in it until another one changes what they wait for.
///
/// One condition serves all waiters, since every pipeline here has a handful of threads and passes about a thousand
/// pieces a second at most.
final class Monitor: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` with the lock held.
    func locked<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Lets go of the lock until somebody calls ``wakeAll()``; holds it again on return.
    func wait() {
        pthread_cond_wait(condition, mutex)
    }

    /// Wakes everybody who waits.
    func wakeAll() {
        pthread_cond_broadcast(condition)
    }
}
