import Backup
import Files
import Recovery
import Reporting
import SystemPackage

/// The file for node_exporter's textfile collector, replaced whole.
enum MetricsFile {
    /// Writes the figures of the backups; what the doctor said last stays.
    ///
    /// Two files with the same metrics would be refused by node_exporter, so that both write the same one.
    static func write(to path: FilePath, of directory: FilePath) throws {
        var metrics = BackupFigures.metrics(of: directory)
        // ignored: a file that is not there, or cannot be read, has nothing to keep
        if let file = try? OwnedDescriptor(reading: path),
            let bytes = try? file.descriptor.readAll(limitBytes: 1 << 20, path: path.string)
        {
            let earlier = MetricsText(reading: String(decoding: bytes, as: UTF8.self), prefix: BackupFigures.prefix)
            metrics.keep(from: earlier.without(prefix: BackupFigures.prefix + "backup_"))
        }
        try write(metrics, to: path)
    }

    /// Writes what the doctor has found, and the figures of the backups.
    static func write(_ readiness: Readiness, to path: FilePath, of directory: FilePath) throws {
        var metrics = BackupFigures.metrics(of: directory)
        let prefix = BackupFigures.prefix
        metrics.add(
            prefix + "doctor_check",
            "What each check has found: 0 green, 1 amber, 2 red.",
            by: "check",
            readiness.findings.map { ($0.check, Double($0.state.number)) }
        )
        metrics.add(
            prefix + "doctor_last_run_timestamp_seconds",
            "When the doctor looked at the node.",
            Double(readiness.at)
        )
        metrics.add(
            prefix + "recoverable",
            "1 when the node can be recovered, 0 when a recovery would be refused.",
            readiness.isRecoverable ? 1 : 0
        )
        if let until = readiness.until {
            metrics.add(
                prefix + "recoverable_until_timestamp_seconds",
                "When the first certificate of the recovery point expires.",
                Double(until)
            )
        }
        try write(metrics, to: path)
    }

    private static func write(_ metrics: MetricsText, to path: FilePath) throws {
        guard let name = path.lastComponent else {
            throw FilesError(operation: "write", path: path.string, errno: .isDirectory)
        }
        let parent = path.removingLastComponent()
        let directory = try Directory(path: parent.isEmpty ? "." : parent)
        // node_exporter does not run as root
        try AtomicFile.write(metrics.text.utf8, to: name, in: directory, mode: 0o644)
    }
}
