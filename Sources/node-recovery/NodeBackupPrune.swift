import ArgumentParser
import Backup
import Configuration
import NodeInterface
import Recovery
import RecoveryPoints
import Reporting

extension NodeBackup {
    struct Prune: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove old recovery points.",
            discussion: """
                The newest N whole ones stay, and the newest N partial ones that are newer than these. Whatever their \
                age, the newest verified one and the newest one with etcd stay. A damaged one is neither counted nor \
                removed. The one in use by a recovery is kept. What an interrupted run has left is removed, and the \
                pins of deployments that no recovery point needs any more.

                  $ node-backup prune --keep 1 --dry-run

                \(exitStatuses(
                    (.done, "removed, or nothing to remove"),
                    (.dataError, "the journal of the recovery under way is damaged; nothing was removed"),
                    (.tempFail, "another run is working")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Option(help: ArgumentHelp("Keep the newest N recovery points (default: 2).", valueName: "n"))
        var keep: Int?

        @Flag(name: [.customShort("n"), .long], help: "Print what would be removed, and remove nothing.")
        var dryRun = false

        func validate() throws {
            if let keep, !(1...1000).contains(keep) { throw ValidationError("--keep takes a number from 1 to 1000") }
        }

        func run() async throws {
            let settings = try common.settings()
            let store = try RecoveryStore(path: common.directory(settings))
            let keep = keep ?? settings.keep
            // It also makes room while a recovery is under way, which must find its recovery point afterwards.
            func inUse() throws -> Int? {
                guard try store.hasRecoveryUnderWay() else { return nil }
                return try RecoveryProgress(in: store.path, root: common.rootPath).generation
            }
            let decisions: [Retention.Decision]
            if dryRun {
                decisions = try Pruning.plan(store, keep: keep, inUse: try inUse())
            } else {
                let lock = try store.lock(command: "node-backup prune")
                defer { withExtendedLifetime(lock) {} }
                // Asked for before anything is removed.
                let inUse = try inUse()
                _ = try store.removeLeftovers()
                let session = try Session(common, settings: settings, limit: nil)
                decisions = try await Pruning.run(store, keep: keep, inUse: inUse, on: session.node)
            }
            if common.json {
                Streams.printResult(try JSONText.of(decisions.map(PruneLine.init)))
            } else if !common.quiet {
                Streams.printResult(PruneLine.text(of: decisions, isDryRun: dryRun))
            }
        }
    }
}
