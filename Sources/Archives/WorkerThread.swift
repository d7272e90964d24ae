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

/// A thread in a list, which a non-copyable value cannot be in.
final class JoinOnce {
    private var thread: WorkerThread?

    init(_ thread: consuming WorkerThread) { self.thread = consume thread }

    func join() {
        if let thread = thread.take() { thread.join() }
    }
}

/// The system gave no thread.
struct ThreadFailure: Error {
    let errno: Int32
}

extension Duration {
    /// How long the calling thread has had a processor since it began.
    static var processorTimeOfThread: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
