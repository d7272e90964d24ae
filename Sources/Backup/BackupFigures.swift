import Files
import FoundationEssentials
import RecoveryPoints
public import Reporting
public import SystemPackage

/// The figures of the backups in a directory, for machines that watch: what the recovery points and `status.json` say.
public enum BackupFigures {
    /// What the names of all metrics of the program start with.
    public static let prefix = "node_recovery_"

    /// The figures as they are now; a directory that cannot be read gives none.
    ///
    /// A figure that nobody knows is left out, so that an alert on its absence finds it.
    public static func metrics(of directory: FilePath) -> MetricsText {
        var metrics = MetricsText()
        guard let store = try? RecoveryStore(path: directory) else { return metrics }  // ignored: no figures tell
        // ignored: a store that cannot be listed has no figures either
        if let all = try? store.all() {
            let count = Double(all.count)
            metrics.add(prefix + "backup_recovery_points", "Recovery points, damaged ones among them.", count)
        }
        if let point = try? store.newest() {  // ignored: the same
            add(point, to: &metrics)
        }
        if let status = status(in: directory) {
            if let begun = FileTime(iso8601: status.startedAt) {
                metrics.add(
                    prefix + "backup_last_attempt_timestamp_seconds",
                    "When the last backup started.",
                    Double(begun.seconds)
                )
            }
            metrics.add(
                prefix + "backup_last_status",
                "1 when the last backup succeeded, 0 when it failed or runs.",
                status.state == .succeeded ? 1 : 0
            )
        }
        if let space = try? FileSystemSpace(at: directory) {  // ignored: the same
            metrics.add(
                prefix + "backup_space_available_bytes",
                "Free space in the directory with the recovery points.",
                Double(space.availableBytes)
            )
        }
        return metrics
    }

    private static func add(_ point: RecoveryPoint, to metrics: inout MetricsText) {
        let manifest = point.manifest
        metrics.add(prefix + "backup_generation", "The newest recovery point.", Double(point.generation))
        if let begun = manifest.taken {
            metrics.add(
                prefix + "backup_last_success_timestamp_seconds",
                "When the newest recovery point was done.",
                (Double(begun.seconds) + manifest.durationSeconds).rounded()
            )
        }
        metrics.add(
            prefix + "backup_duration_seconds",
            "How long the newest recovery point took.",
            manifest.durationSeconds
        )
        metrics.add(
            prefix + "backup_size_bytes",
            "What the newest recovery point takes, shared files counted in full.",
            Double(manifest.storedBytes)
        )
        metrics.add(
            prefix + "backup_source_bytes",
            "What the newest recovery point holds before compression.",
            Double(manifest.sourceBytes)
        )
        if let verified = point.verifiedAt.flatMap({ FileTime(iso8601: $0) }) {
            metrics.add(
                prefix + "backup_verified_timestamp_seconds",
                "When the newest recovery point was read back and found good.",
                Double(verified.seconds)
            )
        }
    }

    private static func status(in directory: FilePath) -> RunStatus? {
        // ignored: without a record of it nobody knows of a last run
        guard let root = try? RootDirectory(path: directory),
            let bytes = try? root.readFile(FilePath(RunStatus.fileName), limitBytes: 1 << 20)
        else { return nil }
        return try? RunStatus.decode(bytes, file: RunStatus.fileName)  // ignored: the same
    }
}
