import Glibc
import Testing

@testable import Reporting

@Suite("Text for an operator") struct TextTests {
    @Test(
        "gives bytes in binary units with one decimal",
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1_048_575, "1.0 MiB"),
            (1 << 30, "1.0 GiB"), (10_737_418_240, "10.0 GiB"), (-2048, "-2.0 KiB"), (Int64.max, "8.0 EiB"),
            (Int64.min, "-8.0 EiB"),
        ] as [(Int64, String)]
    )
    func bytes(_ count: Int64, _ text: String) {
        #expect(ByteCount(count).description == text)
    }

    @Test(
        "gives durations in the two largest units",
        arguments: [
            (0.04, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (10, "10 s"), (59.4, "59 s"), (60, "1 min"),
            (245, "4 min 5 s"), (3600, "1 h"), (7380, "2 h 3 min"),
        ] as [(Double, String)]
    )
    func durations(_ seconds: Double, _ text: String) {
        #expect(Duration.milliseconds(Int64(seconds * 1000)).operatorText == text)
    }

    @Test(
        "reads durations as people type them",
        arguments: [
            ("90", 90), ("90s", 90), ("90 s", 90), ("8m", 480), ("8min", 480), ("1.5h", 5400), ("0.5", 0.5),
            ("7d", 604_800),
        ]
            as [(String, Double)]
    )
    func readsDurations(_ text: String, _ seconds: Double) {
        #expect(Duration(operatorText: text)?.seconds == seconds)
    }

    @Test("refuses what is no duration", arguments: ["", "0", "-5", "soon", "5x", "1h30m", "1e99", ".", "5 5"])
    func refusesDurations(_ text: String) {
        #expect(Duration(operatorText: text) == nil)
    }

    @Test("lines columns up, numbers to the right, and ends no line in spaces") func table() {
        var table = TextTable(("NAME", .left), ("SIZE", .right), ("NOTE", .left))
        table.add("etc", "12", "")
        table.add("usr-local", "1234", "shared")
        #expect(table.text == "NAME       SIZE  NOTE\netc          12\nusr-local  1234  shared")
    }

    @Test("folds the last column of a table that is wider than its terminal, then the rows") func folds() {
        var table = TextTable(("STEP", .left), ("STATE", .left), ("NOTE", .left))
        table.add("stop-kubelet", "done", "kubelet.service has stopped")
        table.add("etc", "", "")
        #expect(
            table.text(width: 40) == """
                STEP          STATE  NOTE
                stop-kubelet  done   kubelet.service has
                                     stopped
                etc
                """
        )
        #expect(
            table.text(width: 30) == """
                STEP   stop-kubelet
                STATE  done
                NOTE   kubelet.service has
                       stopped

                STEP   etc
                """
        )
        #expect(table.text(width: 48) == table.text)
        for width in 16..<60 {
            let lines = table.text(width: width).split(separator: "\n")
            #expect(lines.allSatisfy { $0.count <= width && !$0.hasSuffix(" ") }, "width \(width)")
        }
        #expect(TextTable.folded("a  b", width: 10) == ["a  b"])
        #expect(TextTable.folded("abcdefgh ij", width: 3) == ["abc", "def", "gh", "ij"])
        #expect(TextTable.folded("", width: 3) == [""])
        #expect(!TextTable(("A", .right)).text(width: 0).contains("B"))
    }

    @Test("escapes what steers a terminal, and nothing else") func printable() {
        let name = "a\u{1B}]0;x\u{7}\u{9B}\u{202E}\n\r\té ü\u{301} ✓"
        #expect(name.printable == "a\\033]0;x\\007\\233\\u{202E}\\012\\015\\011é ü\u{301} ✓")
        #expect("a\nb\r\nc".printableLines == "a\nb\\015\nc")
        #expect("{\n\"a\": \"\u{9B}\u{2028}\"}".printableJSON == "{\n\"a\": \"\\u009B\\u2028\"}")
        #expect("plain".printable == "plain")
        var table = TextTable(("NAME", .left))
        table.add("a\n\u{1B}b")
        #expect(table.text == "NAME\na\\012\\033b")
    }

    @Test("counts in singular and plural") func plurals() {
        #expect(counted(1, "page") == "1 page")
        #expect(counted(0, "page") == "0 pages")
        #expect(counted(Int64(2), "entry", "entries") == "2 entries")
    }

    @Test("numbers exit statuses as sysexits.h does") func exitStatuses() {
        let numbers: [Int32] = [0, 64, 65, 66, 69, 70, 71, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82]
        #expect(ExitStatus.allCases.map(\.rawValue) == numbers)
    }
}

@Suite("The wish to stop") struct CancellationTests {
    @Test("keeps its first reason, throws it, and shows on its descriptor for good") func firstReason() {
        let cancellation = Cancellation()
        #expect(throws: Never.self) { try cancellation.check() }
        #expect(!isReadable(cancellation.descriptor))
        cancellation.cancel(.signal(SIGTERM))
        cancellation.cancel(.deadline(.seconds(480)))
        #expect(cancellation.reason == .signal(SIGTERM))
        #expect(throws: Stopped(reason: .signal(SIGTERM))) { try cancellation.check() }
        #expect(isReadable(cancellation.descriptor))
        #expect(isReadable(cancellation.descriptor))
    }

    @Test("is told by name") func summaries() {
        #expect(Stopped(reason: .signal(SIGTERM)).summary == "stopped by SIGTERM before it was done")
        #expect(Stopped(reason: .signal(64)).summary == "stopped by signal 64 before it was done")
        #expect(Stopped(reason: .deadline(.seconds(480))).summary == "stopped: not done within the limit of 8 min")
        #expect(Stopped(reason: .signal(SIGINT)).exitStatus == .tempFail)
    }

    private func isReadable(_ descriptor: Int32) -> Bool {
        var set = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&set, 1, 0) == 1
    }
}

@Suite("The progress meter") struct ProgressMeterTests {
    @Test("adds up over components") func sums() {
        let meter = ProgressMeter()
        meter.plan(components: 2, totalBytes: 30)
        meter.begin("etcd", activity: "backing up", totalBytes: 10)
        meter.advance(bytes: 10)
        meter.begin("etc", activity: "backing up", totalBytes: 20)
        meter.advance(bytes: 5)
        let reading = meter.current
        #expect(reading.component == "etc")
        #expect(reading.componentNumber == 2)
        #expect(reading.componentCount == 2)
        #expect(reading.doneBytes == 5)
        #expect(reading.totalBytes == 20)
        #expect(reading.allDoneBytes == 15)
        #expect(reading.allTotalBytes == 30)
    }
}
