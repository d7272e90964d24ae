import Backup
import Configuration
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// Takes a recovery point for a command, and reports the result: for `node-backup create` and `--take-backup`.
enum BackupCommand {
    /// Takes the recovery point that is asked for.
    /// - Parameters:
    ///   - limit: the longest that it may take; `nil` for no limit.
    ///   - metrics: the file for node_exporter; `nil` writes none.
    static func run(
        _ request: BackupRequest,
        _ common: CommonOptions,
        _ settings: Settings,
        limit: Duration?,
        metrics: String?
    ) async throws {
        let session = try Session(common, settings: settings, limit: limit)
        let run = BackupRun(request, on: session.node, meter: session.meter)
        let point: RecoveryPoint
        do {
            point = try await session.showingProgress { try await run.create().point }
        } catch {
            // ignored: why there is no recovery point matters more than why there are no figures of it
            if let metrics { try? MetricsFile.write(to: FilePath(metrics), of: request.directory) }
            throw error
        }
        if let metrics {
            do {
                try MetricsFile.write(to: FilePath(metrics), of: request.directory)
            } catch {
                session.node.log.warning("no figures were written: \(error), continuing")
            }
        }
        let summary = PointSummary(point)
        session.finish(
            summary.sentence,
            .backupDone,
            [
                "recovery_point": "\(summary.generation)",
                "duration_usec": "\(Int64(summary.durationSeconds * 1_000_000))",
                "stored_bytes": "\(summary.storedBytes)",
            ],
            printing: common.json ? try JSONText.of(summary) : common.quiet ? nil : summary.sentence
        )
    }

    /// Prints what would be done, and does nothing.
    static func printPlan(
        _ request: BackupRequest,
        _ common: CommonOptions,
        _ settings: Settings,
        limit: Duration?
    ) async throws {
        let session = try Session(common, settings: settings, limit: limit)
        let forecast = try await BackupRun(request, on: session.node, meter: session.meter).forecast()
        Streams.printResult(common.json ? try JSONText.of(forecast) : forecast.text)
    }
}
