import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Reporting

@Suite("Progress") struct ProgressLineTests {
    private let half = ProgressLine(
        component: "etc",
        doneBytes: 512 << 20,
        totalBytes: 1 << 30,
        bytesPerSecond: 64 * 1024 * 1024
    )

    @Test("as a line has everything that is known")
    func plain() {
        #expect(half.plain == "etc: 50 %, 512.0 MiB of 1.0 GiB, 64.0 MiB/s, 8.0 s left")
        let unknown = ProgressLine(component: "etcd", doneBytes: 10, totalBytes: nil, bytesPerSecond: nil)
        #expect(unknown.plain == "etcd: 10 B")
        #expect(unknown.fraction == nil)
    }

    @Test("as a bar fits the terminal, whatever its width", arguments: 0..<200)
    func fits(width: Int) {
        var line = half
        #expect(line.bar(width: width).count <= width)
        line.totalBytes = nil
        #expect(line.bar(width: width).count <= width)
        line.component = "machine-config"
        line.totalBytes = 1
        #expect(line.bar(width: width).count <= width)
    }

    @Test("as a bar gives up details first, the bar last")
    func shrinks() {
        #expect(
            half.bar(width: 120)
                == "etc  [====================>                   ]   50 %  512.0 MiB of 1.0 GiB  64.0 MiB/s  8.0 s left"
        )
        #expect(half.bar(width: 60) == "etc  [======>     ]   50 %  512.0 MiB of 1.0 GiB  64.0 MiB/s")
        #expect(half.bar(width: 30) == "etc  [========>       ]   50 %")
        #expect(half.bar(width: 12) == "etc   50 %")
        #expect(half.bar(width: 2) == "et")
    }

    @Test("never says more than all, and all only when it is")
    func bounds() {
        var line = half
        line.doneBytes = (1 << 30) - 1
        #expect(line.plain.hasPrefix("etc: 99 %"))
        line.doneBytes = 2 << 30
        #expect(line.plain.hasPrefix("etc: 100 %"))
        #expect(line.timeLeft == .zero)
        #expect(!line.bar(width: 80).contains(">"))
        line.totalBytes = 0
        #expect(line.fraction == 1)
        line.bytesPerSecond = 0
        #expect(line.timeLeft == nil)
        line = ProgressLine(component: "x", doneBytes: .min, totalBytes: .max, bytesPerSecond: .leastNonzeroMagnitude)
        #expect(line.timeLeft == nil)
        #expect(line.bar(width: 40).count <= 40)
        line.bytesPerSecond = .infinity
        #expect(!line.plain.contains("/s"))
    }

    @Test("is a bar for a person at a terminal, lines everywhere else")
    func style() {
        #expect(ProgressStyle(isTerminal: true, environment: ["TERM": "xterm"]) == .bar)
        #expect(ProgressStyle(isTerminal: true, environment: ["NO_COLOR": ""]) == .bar)
        #expect(ProgressStyle(isTerminal: false, environment: ["TERM": "xterm"]) == .lines)
        for (name, value) in ["TERM": "dumb", "NO_COLOR": "1", "KUBERNETES_SERVICE_HOST": "10.0.0.1"] {
            #expect(ProgressStyle(isTerminal: true, environment: [name: value]) == .lines)
        }
    }

    @Test("in lines is one for each component and one every 30 seconds")
    func pace() throws {
        let directory = try TemporaryDirectory()
        let file = try FileDescriptor.open(
            directory / "out",
            .writeOnly,
            options: [.create],
            permissions: [.ownerReadWrite]
        )
        let now = Mutex(Duration.zero)
        let display = ProgressDisplay(
            label: "node-backup",
            terminal: Terminal(descriptor: file, environment: [:]),
            style: .lines
        ) { now.withLock { $0 } }
        for second in 0..<70 {
            now.withLock { $0 = .seconds(second) }
            display.update(reading("backing up", second < 65 ? "etc" : "kubelet", second << 10, of: 100 << 10))
        }
        display.clear()
        try file.close()
        #expect(
            try Shell.output("cat \(directory / "out")") == """
                node-backup: backing up etc: 30 %, 30.0 KiB of 100.0 KiB, 1.0 KiB/s, 1 min 10 s left
                node-backup: backing up etc: 60 %, 60.0 KiB of 100.0 KiB, 1.0 KiB/s, 40 s left

                """
        )
    }

    @Test("of a wait is its time, its limit and what was seen last, as a line and as a bar")
    func waits() throws {
        let directory = try TemporaryDirectory()
        let now = Mutex(Duration.zero)
        let clock: @Sendable () -> Duration = { now.withLock { $0 } }
        for (style, file) in [(ProgressStyle.lines, "lines"), (.bar, "bar")] {
            now.withLock { $0 = .zero }
            let meter = ProgressMeter(clock: clock)
            let out = try FileDescriptor.open(
                directory / file,
                .writeOnly,
                options: [.create],
                permissions: [.ownerReadWrite]
            )
            let terminal = Terminal(descriptor: out, environment: [:])
            let display = ProgressDisplay(label: "upgrade-recovery", terminal: terminal, style: style, clock: clock)
            meter.beginWait(for: "etcd to answer", limit: .seconds(1200))
            display.update(meter.current)
            meter.saw("connection\nrefused")
            now.withLock { $0 = .milliseconds(30_700) }
            display.update(meter.current)
            #expect(meter.current.wait?.waited == .seconds(30))
            meter.endWait()
            now.withLock { $0 = .seconds(70) }
            display.update(meter.current)
            display.update(meter.current)
            try out.close()
        }
        #expect(
            try Shell.output("cat \(directory / "lines")")
                == "upgrade-recovery: waiting for etcd to answer: 30 s of 20 min, last: connection\\012refused\n"
        )
        let clear = "\r\u{1B}[K"
        #expect(
            try Shell.output("cat \(directory / "bar")")
                == "\(clear)waiting for etcd to answer: 0 s of 20 min"
                + "\(clear)waiting for etcd to answer: 30 s of 20 min, last: connection\\012refused\(clear)"
        )
    }

    @Test("is the time where no byte is counted")
    func elapsed() {
        var line = ProgressLine(
            component: "stopping default/web",
            doneBytes: 0,
            totalBytes: nil,
            bytesPerSecond: 0,
            elapsed: .milliseconds(3900)
        )
        #expect(line.plain == "stopping default/web: 3 s")
        #expect(line.bar(width: 80) == "stopping default/web  3 s")
        line.elapsed = .seconds(125)
        #expect(line.plain == "stopping default/web: 2 min 5 s")
        line.doneBytes = 2048
        #expect(line.plain == "stopping default/web: 2.0 KiB, 0 B/s")
    }

    private func reading(_ activity: String, _ component: String, _ done: Int, of total: Int) -> ProgressMeter.Reading {
        var reading = ProgressMeter.Reading()
        reading.activity = activity
        reading.component = component
        reading.doneBytes = Int64(done)
        reading.totalBytes = Int64(total)
        return reading
    }
}
