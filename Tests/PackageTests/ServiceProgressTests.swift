import Reporting
import Synchronization
import Systemd
import Testing

@testable import node_recovery

@Suite("What the service manager is told") struct ServiceProgressTests {
    private final class Messages: Sendable {
        let all = Mutex<[ServiceNotifier.Message]>([])
    }

    @Test("is how far the run is, once a second, with a wish for more time, and only while something moves")
    func pace() {
        let messages = Messages()
        let progress = ServiceProgress { first, second in messages.all.withLock { $0 += [first, second] } }
        var reading = ProgressMeter.Reading()
        reading.component = "etc"
        reading.activity = "backing up"
        reading.componentNumber = 3
        reading.componentCount = 8
        reading.allTotalBytes = 3 << 20
        let start = ContinuousClock.now
        progress.tell(reading, now: start)
        reading.allDoneBytes = 1 << 20
        progress.tell(reading, now: start + .milliseconds(999))
        #expect(messages.all.withLock { $0.count } == 2)
        progress.tell(reading, now: start + .milliseconds(1000))
        progress.tell(reading, now: start + .seconds(100))
        let all = messages.all.withLock { $0 }
        reading.allTotalBytes = 0
        reading.componentNumber = 9
        #expect(ServiceProgress.text(of: reading) == "backing up etc")
        reading.wait = WaitLine(title: "waiting for etcd", waited: .seconds(12), limit: .seconds(1200), lastSeen: "no")
        #expect(ServiceProgress.text(of: reading) == "waiting for etcd: 12 s of 20 min, last: no")
        #expect(
            all == [
                .status("backing up etc (3 of 8), 0 B of 3.0 MiB"), .extendTimeout(.seconds(600)),
                .status("backing up etc (3 of 8), 1.0 MiB of 3.0 MiB"), .extendTimeout(.seconds(600)),
            ]
        )
    }
}
