import Archives
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

    private func journalHeader(named sequence: String) -> StepJournal.Header {
        var header = Self.header
        header.sequence = sequence
        return header
    }

    private static let records = [
        StepJournal.Record(step: "verify", event: .started, at: "2026-11-21T02:41:11Z", boot: "b1"),
        StepJournal.Record(step: "verify", event: .done, at: "2026-11-21T02:41:12Z", boot: "b1", note: "sound"),
        StepJournal.Record(
            step: "reboot",
            event: .paused,
            at: "2026-11-21T02:41:13Z",
            boot: "b1",
            values: JournalValues(JournalKeys.changes(of: .etc), 1)
        ),
        StepJournal.Record(
            step: "reboot",
            event: .started,
            at: "2026-11-21T02:43:13Z",
            values: JournalValues(JournalKeys.changes(of: .etc), 2)
        ),
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
        for step in RecoverySequence.twoReboots.steps {
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
        #expect(read.header == journalHeader(named: "two-reboots"))
        #expect(read.records == Self.records)
        #expect(read.isOver("verify"))
        #expect(!read.isOver("reboot"))
        #expect(!read.isOver("restore-etc"))
        #expect(read.pause(at: "reboot") == Self.records[2])
        #expect(read.value(JournalKeys.changes(of: .etc)) == 2)
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

    // MARK: Journals of other programs

    /// Lines as the program before sequences had names has written them.
    private static let old = [
        #"{"begun_at":"2026-11-21T02:41:10Z","carried":{"files.changed":"true","marks.made":"motd.d"},"format_version":1,"generation":7,"keeps_failed_state":true,"kept_paths":[],"manifest_sha256":"aa","reboots_by_itself":false,"recovery":"00112233445566ff","skipped_checks":["images"],"tool_version":"node-recovery 0.1","undoes":false}"#,
        #"{"at":"2026-11-21T02:41:12Z","boot":"b1","event":"done","note":"restored","step":"rehearse-etcd","values":{"etcd.cluster":"cafe","etcd.revision":"1000000012"}}"#,
        #"{"at":"2026-11-21T02:41:13Z","boot":"b1","event":"started","step":"hold-kubelet","values":{"marks.made":"systemd/system/kubelet.service.d,systemd/system/multi-user.target.wants"}}"#,
        #"{"at":"2026-11-21T02:41:13Z","boot":"b1","event":"started","step":"stop-pods","values":{"pods.left":"true"}}"#,
        #"{"at":"2026-11-21T02:41:14Z","boot":"b1","event":"started","step":"restore-etc","values":{"selinux":"enforcing"}}"#,
        #"{"at":"2026-11-21T02:41:14Z","boot":"b1","event":"done","step":"restore-etc","values":{"changes.etc":"3"}}"#,
    ]

    private func write(lines: [String], _ directory: TemporaryDirectory) throws {
        let text = lines.map { line in
            var checksum = CRC32C()
            Array(line.utf8).withUnsafeBytes { checksum.update($0) }
            let digits = String(checksum.value, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits + " " + line + "\n"
        }
        try write(text.joined().utf8, directory)
    }

    @Test("of an earlier program is read with every value that it left, and is about the two reboots") func earlier()
        throws
    {
        let directory = try TemporaryDirectory()
        try write(lines: Self.old, directory)
        let journal = try #require(try StepJournal.open(in: directory.path))
        #expect(journal.sequence.name == "two-reboots")
        #expect(journal.value(JournalKeys.etcdCluster) == HexadecimalNumber(0xCAFE))
        #expect(
            journal.values(JournalKeys.madeDirectories) == [
                ["motd.d"], ["systemd/system/kubelet.service.d", "systemd/system/multi-user.target.wants"],
            ]
        )
        #expect(journal.mayHavePodsLeft && journal.hasChangedFiles && journal.hasChangedTheNode)
        #expect(journal.value(JournalKeys.selinux) == .suspended)
        #expect(journal.value(JournalKeys.changes(of: .etc)) == 3)
        #expect(journal.lasting[JournalKeys.filesChanged] == true)
    }

    @Test("of a newer program, with steps that this one does not know, is not continued, and says with what it is")
    func newer() async throws {
        let node = try await RecoveryNode()
        _ = try await node.begin()
        let journal = try #require(try StepJournal.open(in: node.store))
        let lines = try Shell.output("cut -c 10- '\(node.store)/journal'").split(separator: "\n").map {
            String($0).replacing(#""sequence":"two-reboots""#, with: #""sequence":"one-reboot""#)
        }
        let copy = try TemporaryDirectory()
        try write(lines: lines, copy)
        try Shell.output("cp '\(copy.path)/journal' '\(node.store)/journal'")
        let error = await #expect(throws: RecoveryError.self) { try await node.resume() }
        #expect(error?.summary.contains("newer program, with the sequence 'one-reboot'") == true)
        #expect(error?.hint?.contains("'\(node.store)/upgrade-recovery --resume'") == true)
        #expect(error?.exitStatus == .config)
        // A restart forgets its steps, not who it is.
        _ = try await node.restart()
        #expect(try StepJournal.open(in: node.store)?.header.recovery == journal.header.recovery)
        #expect(try RecoveryStore(path: node.store).generations() == [1, 2])
    }
}
