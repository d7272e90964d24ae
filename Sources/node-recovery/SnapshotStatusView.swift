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
        // The tools before 3.6 know no version; those since then print an empty one too.
        if status.isOfRelease36 { fields.append("\"version\":\"\(status.version)\"") }
        return "{\(fields.joined(separator: ","))}"
    }

    /// The count that the tools of the snapshot's own release print: every pair before 3.6, live keys since then.
    private var totalKey: Int64 { status.isOfRelease36 ? status.totalKeys : status.totalPairs }

    /// For people.
    var text: String {
        var lines = [
            "hash      \(String(status.hash, radix: 16))",
            "revision  \(status.revision)",
            "keys      \(status.totalKeys)",
            "size      \(ByteCount(status.totalSizeBytes))",
        ]
        if !status.version.isEmpty { lines.append("version   \(status.version)") }
        if !status.clusterVersion.isEmpty { lines.append("cluster   \(status.clusterVersion)") }
        if let target = status.downgradeTarget { lines.append("downgrade to \(target) in progress") }
        if !status.members.isEmpty {
            lines.append("members   \(status.members.map(\.label).joined(separator: ", "))")
        }
        if status.restoredSizeBytes > 0 { lines.append("restored  \(ByteCount(status.restoredSizeBytes))") }
        if status.currentRevision != status.revision { lines.append("store at  \(status.currentRevision)") }
        for alarm in status.alarms { lines.append("alarm     \(alarm)") }
        return lines.joined(separator: "\n")
    }

    func text(asJSON: Bool) -> String { asJSON ? json : text }
}
