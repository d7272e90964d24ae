import RecoveryPoints

/// A value that has a form in the journal.
protocol JournalValue: Sendable {
    /// Reads it; `nil` for a text that this program never writes.
    init?(journalText: String)
    /// How it is written.
    var journalText: String { get }
}

/// The name and the type of a value that a step leaves in the journal for later steps and runs.
struct JournalKey<Value: JournalValue>: Sendable {
    let name: String

    init(_ name: String) { self.name = name }
}

/// Every value that the journal knows; the names are on disk in the field: never renamed, never reused.
enum JournalKeys {
    /// Directories below `etc` that were made for ``NodeMarks``; those of all records count together.
    static let madeDirectories = JournalKey<[String]>("marks.made")
    /// How many files the restore of a component has changed.
    static func changes(of component: ComponentName) -> JournalKey<Int> { JournalKey("changes.\(component)") }
    /// Whether files were changed that no reboot has made good yet; only carried from a journal that was forgotten.
    static let filesChanged = JournalKey<Bool>("files.changed")
    /// Whether pods of the failed state may run that no runtime has stopped.
    static let podsLeft = JournalKey<Bool>("pods.left")
    /// What is to be done about SELinux's mode.
    static let selinux = JournalKey<SELinuxMode.Note>("selinux")
    /// The id of the cluster that was restored.
    static let etcdCluster = JournalKey<HexadecimalNumber>("etcd.cluster")
    /// The revision that the restored etcd starts at.
    static let etcdRevision = JournalKey<Int>("etcd.revision")
}

/// Values by key, as a record of the journal holds them: a JSON object of texts.
struct JournalValues: Sendable, Equatable, Codable {
    private var texts: [String: String] = [:]

    /// No value.
    static let none = JournalValues()

    init() {}

    /// One value.
    init<Value>(_ key: JournalKey<Value>, _ value: Value) { self[key] = value }

    init(from decoder: any Decoder) throws {
        texts = try decoder.singleValueContainer().decode([String: String].self)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(texts)
    }

    var isEmpty: Bool { texts.isEmpty }

    /// The value of a key; `nil` when there is none, or none that this program writes.
    subscript<Value>(key: JournalKey<Value>) -> Value? {
        get { texts[key.name].flatMap { Value(journalText: $0) } }
        set { texts[key.name] = newValue?.journalText }
    }
}

extension Bool: JournalValue {
    init?(journalText: String) { self.init(journalText) }
    var journalText: String { "\(self)" }
}

extension Int: JournalValue {
    init?(journalText: String) { self.init(journalText) }
    var journalText: String { "\(self)" }
}

extension [String]: JournalValue {
    init?(journalText: String) { self = journalText.split(separator: ",").map { String($0) } }
    var journalText: String { joined(separator: ",") }
}

/// A number that people see in hexadecimal digits, as etcd's ids.
struct HexadecimalNumber: JournalValue, Equatable, CustomStringConvertible {
    let value: UInt64

    init(_ value: UInt64) { self.value = value }

    init?(journalText: String) {
        guard let value = UInt64(journalText, radix: 16) else { return nil }
        self.value = value
    }

    var journalText: String { String(value, radix: 16) }
    var description: String { journalText }
}
