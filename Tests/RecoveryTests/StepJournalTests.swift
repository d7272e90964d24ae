import Files
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("The step journal") struct StepJournalTests {
    private static let header = StepJournal.Header(
        recovery: "00112233445566ff",
        generation: 7,
        manifestSHA256: String(repeating: "a", count: 64),
        begunAt: "2026-11-21T02:41:10Z",
        toolVersion: "node-recovery test",
        undoes: false,
        skippedChecks: [.images],
        keptPaths: ["etc/keep"],
        keepsFailedState: true,
        rebootsByItself: false
    )

    private static let records = [
        StepJournal.Record(step: "verify", event: .started, at: "2026-11-21T02:41:11Z", boot: "b1"),
        StepJournal.Record(step: "verify", event: .done, at: "2026-11-21T02:41:12Z", boot: "b1", note: "sound"),
        StepJournal.Record(step: "reboot", event: .paused, at: "2026-11-21T02:41:13Z", boot: "b1", values: ["a": "1"]),
        StepJournal.Record(step: "reboot", event: .started, at: "2026-11-21T02:43:13Z", values: ["a": "2"]),
    ]

    private func journal(in directory: TemporaryDirectory) throws -> StepJournal {
        let journal = try StepJournal.begin(Self.header, in: directory.path)
        for record in Self.records { try journal.append(record) }
        return journal
    }

    private func file(_ directory: TemporaryDirectory) -> FilePath { directory / "journal" }

    private func bytes(of path: FilePath) throws -> [UInt8] {
        let file = try OwnedDescriptor(reading: path)
        return try file.descriptor.readAll(limitBytes: 1 << 20, path: path.string)
    }

    private func write(_ bytes: some Collection<UInt8>, _ directory: TemporaryDirectory) throws {
        try AtomicFile.write(Array(bytes), to: "journal", in: Directory(path: directory.path))
    }

    @Test("has room of its own for every step, whatever fills the partition behind it")
    func fullPartition() throws {
        let directory = try TemporaryDirectory()
        let place = try directory.mount("full", options: "size=256k")
        let journal = try StepJournal.begin(Self.header, in: place)
        try Shell.output("dd if=/dev/zero of='\(place)/filler' bs=4k 2> /dev/null || true")
        let note = String(repeating: "n", count: 400)
        for step in RecoverySequence.steps {
            for event in [StepJournal.Event.started, .done] {
                try journal.append(StepJournal.Record(step: step.name, event: event, at: "now", boot: "b1", note: note))
            }
        }
        #expect(try StepJournal.open(in: place)?.records == journal.records)
        // And without that room it does not begin.
        let error = #expect(throws: RecoveryError.self) { try StepJournal.begin(Self.header, in: place) }
        #expect(error?.exitStatus == .cantCreate)
        #expect(error?.hint?.contains("'node-backup prune --keep 1'") == true)
        #expect(try StepJournal.open(in: place)?.records == journal.records)
    }

    @Test("says what was written into it, and the last word counts")
    func roundTrip() throws {
        let directory = try TemporaryDirectory()
        _ = try journal(in: directory)
        let read = try #require(try StepJournal.open(in: directory.path))
        #expect(read.header == Self.header)
        #expect(read.records == Self.records)
        #expect(read.isOver("verify"))
        #expect(!read.isOver("reboot"))
        #expect(!read.isOver("restore-etc"))
        #expect(read.pause(at: "reboot") == Self.records[2])
        #expect(read.value("a") == "2")
        #expect(read.attempts(at: "reboot") == 1)
        #expect(try Directory(path: directory.path).stat("journal")?.mode == 0o600)
    }

    @Test("cut at any byte has every line before the cut, and takes new lines behind them")
    func cutAnywhere() throws {
        let directory = try TemporaryDirectory()
        _ = try journal(in: directory)
        let whole = try bytes(of: file(directory))
        let ends = whole.indices.filter { whole[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        let headerEnd = try #require(ends.first)
        for length in 0...whole.count {
            try write(whole.prefix(length), directory)
            guard length >= headerEnd else {
                #expect(throws: RecoveryError.self, "cut at \(length)") { try StepJournal.open(in: directory.path) }
                continue
            }
            let lines = ends.count { $0 <= length } - 1
            let read = try #require(try StepJournal.open(in: directory.path))
            #expect(read.records == Array(Self.records.prefix(lines)), "cut at \(length)")
            try read.append(Self.records[0])
            let again = try #require(try StepJournal.open(in: directory.path))
            #expect(again.records == Array(Self.records.prefix(lines)) + [Self.records[0]], "cut at \(length)")
        }
    }

    @Test("with a bit flipped in its last line has not heard it; anywhere else it is damaged, and says so")
    func flips() throws {
        let directory = try TemporaryDirectory()
        _ = try journal(in: directory)
        let whole = try bytes(of: file(directory))
        let lastLine = try #require(whole.dropLast().lastIndex(of: UInt8(ascii: "\n"))) + 1
        for index in whole.indices {
            var flipped = whole
            flipped[index] ^= 0x10
            try write(flipped, directory)
            do {
                let read = try #require(try StepJournal.open(in: directory.path))
                // the end of the line before it makes one line of the two
                #expect(index >= lastLine - 1, "byte \(index)")
                let heard = Self.records.dropLast(index < lastLine ? 2 : 1)
                #expect(read.records == Array(heard), "byte \(index)")
            } catch let error as RecoveryError {
                #expect(index < lastLine - 1, "byte \(index)")
                #expect(error.exitStatus == .dataError)
                #expect(error.hint?.contains("upgrade-recovery --restart") == true)
            }
        }
    }

    @Test("of a recovery that is done keeps its lines under another name")
    func closes() throws {
        let directory = try TemporaryDirectory()
        let store = try RecoveryStore(path: directory.path)
        let journal = try journal(in: directory)
        #expect(try store.hasRecoveryUnderWay())
        try journal.close()
        #expect(try !store.hasRecoveryUnderWay())
        #expect(try StepJournal.open(in: directory.path) == nil)
        #expect(try StepJournal.open(in: directory.path, name: StepJournal.lastName)?.records == Self.records)
    }
}
