import Reporting
import Synchronization
import Testing

@Suite("A worker thread") struct WorkerThreadTests {
    @Test("has run to its end when it is joined, once or twice")
    func join() throws {
        let count = Atomic(0)
        let counter = Counter(count)
        let thread = try WorkerThread { counter.count.add(1, ordering: .relaxed) }
        thread.join()
        thread.join()
        #expect(counter.count.load(ordering: .relaxed) == 1)
    }

    @Test("that cannot be started is a limit of the system, with a status of its own")
    func failure() {
        let failure = ThreadFailure(errno: 11)
        #expect(failure.summary == "could not start a thread: Resource temporarily unavailable")
        #expect(failure.exitStatus.rawValue == 71)
        #expect(failure.isForWantOfResources)
        #expect(failure.hint?.contains("TasksMax") == true)
    }

    @Test("is there as often as is asked for") func room() throws { try WorkerThread.requireRoom(for: 20) }

    private final class Counter: Sendable {
        let count: Atomic<Int>
        init(_ count: consuming Atomic<Int>) { self.count = count }
    }
}
