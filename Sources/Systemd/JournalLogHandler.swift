internal import CSystemd
internal import Glibc
public import Logging
internal import Reporting
internal import SystemPackage

/// Writes log lines to journald, with the metadata as fields that `journalctl STEP=restore-etc` finds.
///
/// The metadata key `message_id` (32 hexadecimal digits, one constant for each kind of event) becomes `MESSAGE_ID`.
/// A logger of it is made with `Logger(label:factory:)`; the label is the `SYSLOG_IDENTIFIER`.
public struct JournalLogHandler: LogHandler {
    private let label: String

    /// The lowest level that is written.
    public var logLevel: Logger.Level
    /// Metadata of every line.
    public var metadata: Logger.Metadata = [:]
    /// Metadata from the task's surroundings.
    public var metadataProvider: Logger.MetadataProvider?

    /// A handler for the program that is called `label`.
    public init(label: String, logLevel: Logger.Level) {
        self.label = label
        self.logLevel = logLevel
    }

    /// One value of the metadata of every line.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Sends one entry; when journald does not take it, its text goes to standard error.
    public func log(event: LogEvent) {
        let fields = fields(for: event)
        let lengths = fields.map(\.count)
        let bytes = fields.flatMap { $0 }
        let status = bytes.withUnsafeBytes { buffer in
            var offset = 0
            let vectors = lengths.map { length in
                defer { offset += length }
                return iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress.map { $0 + offset }),
                    iov_len: length
                )
            }
            return sd_journal_sendv(vectors, Int32(vectors.count))
        }
        if status < 0 {
            // ignored: there is nowhere else to write to
            _ = try? FileDescriptor.standardError.writeAll("\(label): \(event.message.description.printable)\n".utf8)
        }
    }

    /// The entry's fields, each `NAME=value`; a name is there once.
    func fields(for event: LogEvent) -> [[UInt8]] {
        var message = event.message.description
        if let error = event.error { message += ": \(error)" }
        var fields = [
            ("MESSAGE", message),
            ("PRIORITY", "\(Self.priority(of: event.level))"),
            ("SYSLOG_IDENTIFIER", label),
        ]
        let values = (metadataProvider?.get() ?? [:]).merging(metadata) { $1 }.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            guard let name = Self.fieldName(key), !fields.contains(where: { $0.0 == name }) else { continue }
            fields.append((name, "\(value)"))
        }
        return fields.map { Array("\($0.0)=\($0.1)".utf8) }
    }

    /// A metadata key as a field name: upper-case letters, digits and underscores, a letter first, 64 at most.
    ///
    /// journald drops an entry with any other name. `nil` when nothing is left.
    static func fieldName(_ key: String) -> String? {
        let letters = UInt8(ascii: "A")...UInt8(ascii: "Z")
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        var name = key.utf8.map { byte in
            let upper = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte - 32 : byte
            return letters.contains(upper) || digits.contains(upper) ? upper : UInt8(ascii: "_")
        }[...]
        // A leading underscore is for fields that journald itself vouches for.
        name = name.drop { !letters.contains($0) }
        return name.isEmpty ? nil : String(decoding: name.prefix(64), as: UTF8.self)
    }

    /// The level in syslog's numbers.
    static func priority(of level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
