internal import Archives
internal import Files
internal import FoundationEssentials
internal import Glibc
internal import RecoveryPoints
internal import SystemPackage

/// Which steps of the recovery under way are done: the file `journal` beside the recovery points.
///
/// ```
/// 1c291ca3 {"format_version":1,"recovery":"5f0c…","generation":7,"manifest_sha256":"…", …}
/// e3069283 {"at":"2026-11-21T02:41:10Z","boot":"7d…","event":"started","step":"verify"}
/// ```
/// One line a record: the CRC-32C of the JSON in eight hexadecimal digits, a space, the JSON. The first line is the
/// header: it binds the journal to one recovery point. Every line is synced before the next thing happens. A last line
/// that is cut off or does not fit its checksum never happened.
final class StepJournal {
    /// The first line.
    struct Header: Codable, Equatable {
        var formatVersion = 1
        /// Identity of this recovery: 16 hexadecimal digits.
        var recovery: String
        /// The recovery point, and the SHA-256 of its manifest.
        var generation: Int
        var manifestSHA256: String
        var begunAt: String
        var toolVersion: String
        /// The options that count until the recovery is done.
        var undoes: Bool
        var skippedChecks: [RecoveryRequest.Check]
        var keptPaths: [String]
        var keepsFailedState: Bool
        var rebootsByItself: Bool
        /// What still counts of a journal that was forgotten; absent when none was.
        var carried: JournalValues?
        /// The name of the ``RecoverySequence``; absent in journals of programs that had only `two-reboots`.
        var sequence: String?

        enum CodingKeys: String, CodingKey {
            case recovery, generation, undoes, carried, sequence
            case formatVersion = "format_version"
            case manifestSHA256 = "manifest_sha256"
            case begunAt = "begun_at"
            case toolVersion = "tool_version"
            case skippedChecks = "skipped_checks"
            case keptPaths = "kept_paths"
            case keepsFailedState = "keeps_failed_state"
            case rebootsByItself = "reboots_by_itself"
        }
    }

    /// What can be said of a step.
    enum Event: String, Codable {
        case started, done, skipped, paused, failed
    }

    /// Any other line.
    struct Record: Codable, Equatable {
        var step: String
        var event: Event
        /// UTC, ISO 8601.
        var at: String
        /// The kernel's id of the boot in which it was written; absent where there is none.
        var boot: String?
        /// For the operator: what was done, why it was skipped, what is to be done next, what went wrong.
        var note: String?
        /// What later steps need to know.
        var values: JournalValues?
    }

    /// The journal's name when the recovery is done.
    static let lastName: FilePath.Component = "journal.last"

    let header: Header
    /// The steps that its records are about.
    let sequence: RecoverySequence
    private(set) var records: [Record]
    /// Where it is written; `nil` for one that is kept in memory only.
    private let directory: Directory?

    /// A journal in memory, for a proof that leaves no trace.
    convenience init(inMemory header: Header, _ sequence: RecoverySequence) {
        self.init(header: header, sequence: sequence, records: [], directory: nil)
    }

    /// Whether it is in memory only.
    var isInMemory: Bool { directory == nil }

    private init(header: Header, sequence: RecoverySequence, records: [Record], directory: Directory?) {
        self.header = header
        self.sequence = sequence
        self.records = records
        self.directory = directory
    }

    // MARK: Files

    /// Room for every step of a recovery, twice over: one that has started continues when the partition is full.
    private static let reservedBytes: Int64 = 64 << 10

    /// Writes a new journal with its header; what an earlier one said is gone.
    static func begin(
        _ header: Header,
        _ sequence: RecoverySequence = .twoReboots,
        in store: FilePath
    ) throws(RecoveryError) -> StepJournal {
        var header = header
        header.sequence = sequence.name
        do {
            let directory = try Directory(path: store)
            try AtomicFile.write(
                Self.line(header),
                to: RecoveryStore.journalName,
                in: directory,
                reservedBytes: Self.reservedBytes
            )
            return StepJournal(header: header, sequence: sequence, records: [], directory: directory)
        } catch {
            throw .inStore(error)
        }
    }

    /// Reads the journal of the recovery under way; `nil` when there is none.
    /// - Parameter name: ``RecoveryStore/journalName``, or ``lastName`` for the recovery that was done last.
    static func open(
        in store: FilePath,
        name: FilePath.Component = RecoveryStore.journalName
    ) throws(RecoveryError) -> StepJournal? {
        do {
            let directory = try Directory(path: store)
            guard try directory.stat(name) != nil else { return nil }
            let file = try directory.open(name)
            let path = store.appending(name).string
            let bytes = try file.descriptor.readAll(limitBytes: 16 << 20, path: path)
            let (header, records, _) = try Self.parse(bytes, path: path)
            guard let sequence = RecoverySequence.named(header.sequence) else {
                throw RecoveryError.sequenceUnknown(header.sequence ?? "", directory: store.string)
            }
            return StepJournal(header: header, sequence: sequence, records: records, directory: directory)
        } catch {
            throw .wrapping(error)
        }
    }

    /// The identity of the recovery in a journal that is damaged, or of another program, as far as its first line is
    /// legible.
    static func legibleIdentity(in store: FilePath) throws(FilesError) -> String? {
        let directory = try Directory(path: store)
        guard try directory.stat(RecoveryStore.journalName) != nil else { return nil }
        let file = try directory.open(RecoveryStore.journalName)
        let path = store.appending(RecoveryStore.journalName).string
        let bytes = try file.descriptor.readAll(limitBytes: 16 << 20, path: path)
        let line = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        return line.firstMatch(of: #/"recovery":"([0-9a-f]{16})"/#).map { String($0.output.1) }
    }

    /// Appends a record and waits until it is on the disk.
    func append(_ record: Record) throws(RecoveryError) {
        guard let directory else { return records.append(record) }
        let path = directory.path.appending(RecoveryStore.journalName)
        do {
            let file = try FileDescriptor.open(path, .readWrite, options: [.noFollow, .closeOnExec])
            defer { try? file.close() }  // ignored: what counts was synced
            let bytes = try file.readAll(limitBytes: 16 << 20, path: path.string)
            let (_, _, length) = try Self.parse(bytes, path: path.string)
            // what follows the last good line never happened
            if length < bytes.count { try file.resize(to: Int64(length)) }
            try file.seek(offset: Int64(length), from: .start)
            try file.writeAll(try Self.line(record)[...], path: path.string)
            guard fdatasync(file.rawValue) == 0 else { throw FilesError.last("sync", path.string) }
            records.append(record)
        } catch let error as Errno {
            throw .inStore(FilesError(operation: "write", path: path.string, errno: error))
        } catch {
            throw .inStore(error)
        }
    }

    /// Lets the journal be the one of the recovery that was done last.
    func close() throws(RecoveryError) {
        guard let directory else { return }
        do {
            try directory.rename(RecoveryStore.journalName, to: Self.lastName)
            try directory.sync()
        } catch {
            throw .wrapping(error)
        }
    }

    /// Removes the journal: what it stood for has not changed anything, or is to be forgotten.
    static func remove(in store: FilePath) throws(RecoveryError) {
        do {
            let directory = try Directory(path: store)
            try directory.remove(RecoveryStore.journalName)
            try directory.sync()
        } catch {
            throw .wrapping(error)
        }
    }

    /// Removes what earlier versions of this program unpacked beside the recovery points for a recovery.
    static func removeUnpackedFiles(of recovery: String, from store: RecoveryStore) throws(FilesError) {
        guard let name = FilePath.Component("recovery.\(recovery)") else { return }
        try Directory(path: store.path).removeTree(name)
    }

    // MARK: Content

    /// The last thing that was said of a step; `nil` when it was never started.
    func last(of step: String) -> Record? { records.last { $0.step == step } }

    /// Whether a step has ended.
    func isOver(_ step: String) -> Bool {
        guard let event = last(of: step)?.event else { return false }
        return event == .done || event == .skipped
    }

    /// Whether a step need not run again.
    ///
    /// One that is repeated after boots ended in this boot, or is of no more use.
    /// - Parameter boot: the kernel's id of this boot.
    func isOver(_ step: Step, inBoot boot: String?) -> Bool {
        guard let until = step.isRepeatedUntil else { return isOver(step.name) }
        return isOver(until) || (isOver(step.name) && last(of: step.name)?.boot == boot)
    }

    /// How often a step was started.
    func attempts(at step: String) -> Int { records.count { $0.step == step && $0.event == .started } }

    /// The value that a step left last under a key.
    func value<Value>(_ key: JournalKey<Value>) -> Value? {
        for record in records.reversed() {
            if let value = record.values?[key] { return value }
        }
        return header.carried?[key]
    }

    /// Every value that was left under a key, what was carried first.
    func values<Value>(_ key: JournalKey<Value>) -> [Value] {
        ([header.carried] + records.map(\.values)).compactMap { $0?[key] }
    }

    /// Whether a step behind the phase `prove` was ever started, in this journal or in one that was forgotten for it.
    var hasChangedTheNode: Bool {
        if header.carried != nil { return true }
        let proving = Set(sequence.steps.filter { $0.phase == .prove }.map(\.name))
        return records.contains { !proving.contains($0.step) }
    }

    // MARK: Lines

    private static func line(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let json = Array(try encoder.encode(value))
        return Array("\(checksum(json[...])) ".utf8) + json + [UInt8(ascii: "\n")]
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> String {
        var checksum = CRC32C()
        bytes.withUnsafeBytes { checksum.update($0) }
        let digits = String(checksum.value, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// - Returns: what it says, and how many bytes of it are good.
    private static func parse(
        _ bytes: [UInt8],
        path: String
    ) throws -> (header: Header, records: [Record], length: Int) {
        var header: Header?
        var records: [Record] = []
        var start = 0
        while start < bytes.count {
            guard let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")),
                let json = content(of: bytes[start..<end])
            else {
                // Only the last line can have been interrupted; a bad one with others behind it is damage.
                let rest = bytes[start...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count
                if rest < bytes.count || header == nil { throw RecoveryError.journalDamaged(path) }
                break
            }
            do {
                if header == nil {
                    header = try JSONDecoder().decode(Header.self, from: Data(json))
                } else {
                    records.append(try JSONDecoder().decode(Record.self, from: Data(json)))
                }
            } catch {
                throw RecoveryError.journalDamaged(path)
            }
            start = end + 1
        }
        guard let header, header.formatVersion == 1 else { throw RecoveryError.journalDamaged(path) }
        return (header, records, start)
    }

    /// The JSON of a line whose checksum fits.
    private static func content(of line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard line.count > 9, line[line.startIndex + 8] == UInt8(ascii: " ") else { return nil }
        let json = line.dropFirst(9)
        return checksum(json).utf8.elementsEqual(line.prefix(8)) ? json : nil
    }
}
