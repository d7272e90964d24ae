import NodeInterface
import Reporting

/// A snapshot's status as `etcdutl snapshot status` prints it: the same keys in the same order, the same values.
struct SnapshotStatusView {
    private let status: SnapshotStatus

    init(_ status: SnapshotStatus) {
        self.status = status
    }

    /// `{"hash":…,"revision":…,"totalKey":…,"totalSize":…}`, and `version` where the snapshot has one.
    var json: String {
        var fields = [
            "\"hash\":\(status.hash)", "\"revision\":\(status.revision)", "\"totalKey\":\(totalKey)",
            "\"totalSize\":\(status.totalSizeBytes)",
        ]
        // The tools before 3.6 know no version, and their snapshots have none.
        if !status.version.isEmpty { fields.append("\"version\":\"\(status.version)\"") }
        return "{\(fields.joined(separator: ","))}"
    }

    /// The count that the tools of the snapshot's own release print: every pair before 3.6, live keys since then.
    private var totalKey: Int64 { status.version.isEmpty ? status.totalPairs : status.totalKeys }

    /// For people.
    var text: String {
        var lines = [
            "hash      \(String(status.hash, radix: 16))",
            "revision  \(status.revision)",
            "keys      \(status.totalKeys)",
            "size      \(ByteCount(status.totalSizeBytes))",
        ]
        if !status.version.isEmpty { lines.append("version   \(status.version)") }
        if status.currentRevision != status.revision { lines.append("store at  \(status.currentRevision)") }
        for alarm in status.alarms { lines.append("alarm     \(alarm)") }
        return lines.joined(separator: "\n")
    }

    func text(asJSON: Bool) -> String { asJSON ? json : text }
}
