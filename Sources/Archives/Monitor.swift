internal import Glibc

/// A lock with conditions: a thread waits for one of them until another thread says that it may have come true.
final class Monitor<Condition: RawRepresentable & CaseIterable>: @unchecked Sendable where Condition.RawValue == Int {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let conditions = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: Condition.allCases.count)

    /// A lock that nobody holds; the conditions' raw values count from 0.
    init() {
        pthread_mutex_init(mutex, nil)
        for index in 0..<Condition.allCases.count { pthread_cond_init(conditions + index, nil) }
    }

    deinit {
        for index in 0..<Condition.allCases.count { pthread_cond_destroy(conditions + index) }
        pthread_mutex_destroy(mutex)
        conditions.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` with the lock held.
    func locked<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Lets go of the lock until somebody wakes this condition; holds it again on return.
    func wait(for condition: Condition) {
        pthread_cond_wait(conditions + condition.rawValue, mutex)
    }

    /// Wakes everybody who waits for a condition.
    func wake(_ condition: Condition) {
        pthread_cond_broadcast(conditions + condition.rawValue)
    }

    /// Wakes everybody: something has ended.
    func wakeAll() {
        for condition in Condition.allCases { wake(condition) }
    }
}
