internal import Glibc

extension Duration {
    /// How long the calling thread has had a processor since it began.
    static var processorTimeOfThread: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
