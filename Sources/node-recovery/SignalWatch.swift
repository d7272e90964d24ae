import CLinux
import Glibc
import Reporting

/// Turns signals and the time limit into a wish to stop.
///
/// The signals are blocked in every thread and one thread waits for them, so that no code runs inside a handler. The
/// first one asks the run to stop at the next safe point; a second one ends the program at once.
enum SignalWatch {
    /// Blocks the signals; to be called before the first thread is made.
    static func block() {
        var set = signals
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Starts the thread that waits for signals and for the limit.
    static func start(_ cancellation: Cancellation, limit: Duration?) throws(ThreadFailure) {
        let waiting = Waiting(cancellation: cancellation, limit: limit)
        // let go of: it waits for as long as the program runs
        _ = try WorkerThread { waiting.run() }
    }

    private static var signals: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, number) }
        return set
    }

    private final class Waiting: Sendable {
        let cancellation: Cancellation
        let limit: Duration?

        init(cancellation: Cancellation, limit: Duration?) {
            self.cancellation = cancellation
            self.limit = limit
        }

        func run() {
            var set = signals
            if let limit {
                let deadline = ContinuousClock.now + limit
                while cancellation.reason == nil {
                    let left = deadline - .now
                    guard left > .zero else {
                        cancellation.cancel(.deadline(limit))
                        break
                    }
                    let (seconds, attoseconds) = left.components
                    let nanoseconds = seconds &* 1_000_000_000 + attoseconds / 1_000_000_000
                    let number = CLinux_wait_for_signal(&set, nanoseconds)
                    if number > 0 { cancellation.cancel(.signal(number)) }
                }
            } else {
                var number: Int32 = 0
                while sigwait(&set, &number) != 0 {}
                cancellation.cancel(.signal(number))
            }
            var number: Int32 = 0
            while sigwait(&set, &number) != 0 {}
            _exit(128 + number)
        }
    }
}
