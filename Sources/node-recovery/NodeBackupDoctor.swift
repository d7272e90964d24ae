import ArgumentParser
import Backup
import Configuration
import Files
import Recovery
import Reporting
import SystemPackage

extension NodeBackup {
    struct Doctor: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check whether this node can be recovered right now, and until when.",
            discussion: """
                Looks at the recovery partition, the newest recovery point, the certificates in it, the deployment, \
                the images, the space, etcd and the clock, by the checks that a recovery makes before it starts. One \
                line per check: green, amber (the node can be recovered, but something is to be done, or could not be \
                checked) or red (a recovery would be refused), with what to type. Changes nothing.

                  $ node-backup doctor
                  $ node-backup doctor --quiet --metrics /run/node-exporter/recovery.prom

                \(exitStatuses(
                    (.done, "all is green"),
                    (.noInput, "the root does not exist"),
                    (.cantCreate, "the file of --metrics cannot be written"),
                    (.tempFail, "stopped by a signal"),
                    (.noPermission, "not root"),
                    (.config, "the configuration cannot be used"),
                    (.needsAttention, "the node can be recovered, but something is amber"),
                    (.notRecoverable, "something is red: the node cannot be recovered")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Option(help: ArgumentHelp("Look at recovery point N (default: the newest).", valueName: "n"))
        var point: Int?

        @Flag(help: "Accept that DIR is on the root file system.")
        var allowRootfs = false

        @Flag(help: "Read the whole recovery point back, too, and record the result.")
        var verify = false

        @Option(help: ArgumentHelp("Write figures for node_exporter into FILE.", valueName: "file"))
        var metrics: String?

        func run() async throws {
            let settings = try common.settings()
            let session = try Session(common, settings: settings, limit: nil)
            var recovery = RecoveryRequest(try BackupRequest(settings, common))
            recovery.generation = point
            if allowRootfs { recovery.backup.allowsRootFileSystem = true }
            var request = ReadinessRequest(
                recovery: recovery,
                maxAge: settings.doctorMaxAge,
                expiryWarning: settings.doctorExpiryWarning
            )
            request.verifies = verify
            let readiness = try await session.showingProgress {
                try await Readiness.examine(request, on: session.node, meter: session.meter)
            }
            let view = ReadinessView(readiness)
            if common.json {
                Streams.printResult(try JSONText.of(view))
            } else if !common.quiet {
                Streams.printResult(view.text(hasColor: session.resultHasColor))
            } else if readiness.state != .green {
                Streams.printResult(view.text(hasColor: session.resultHasColor, onlyOpen: true))
            }
            if let file = metrics ?? settings.metrics {
                try MetricsFile.write(readiness, to: FilePath(file), of: recovery.directory)
            }
            switch readiness.state {
            case .green: break
            case .amber: throw ExitCode(ExitStatus.needsAttention.rawValue)
            case .red: throw ExitCode(ExitStatus.notRecoverable.rawValue)
            }
        }
    }
}

/// What the doctor has found: for people as text, for machines as JSON.
struct ReadinessView: Encodable {
    var state: Readiness.Colour
    var recoverable: Bool
    var generation: Int?
    /// UTC, ISO 8601; absent when no certificate limits it.
    var recoverableUntil: String?
    var daysLeft: Int64?
    var summary: String
    var checks: [Readiness.Finding]

    init(_ readiness: Readiness) {
        state = readiness.state
        recoverable = readiness.isRecoverable
        generation = readiness.generation
        recoverableUntil = readiness.untilText
        daysLeft = readiness.daysLeft
        summary = readiness.summary
        let given = GivenOptions(CommandLine.arguments)
        checks = readiness.findings.map { finding in
            var finding = finding
            finding.next = finding.next.map(given.applied)
            return finding
        }
    }

    /// A line a check, what to type under it, and the summary.
    func text(hasColor: Bool, onlyOpen: Bool = false) -> String {
        let width = checks.map(\.check.count).max() ?? 0
        var lines: [String] = []
        for finding in checks where !onlyOpen || finding.state != .green {
            let word = finding.state.rawValue + String(repeating: " ", count: 5 - finding.state.rawValue.count)
            let name = finding.check + String(repeating: " ", count: width - finding.check.count)
            let colour: TerminalColour =
                switch finding.state {
                case .green: .green
                case .amber: .yellow
                case .red: .red
                }
            lines.append("\(hasColor ? colour.around(word) : word)  \(name)  \(finding.text.printable)")
            if let next = finding.next {
                lines.append(String(repeating: " ", count: 9 + width) + "type: \(next.printable)")
            }
        }
        return (lines + [summary]).joined(separator: "\n")
    }
}
