import ArgumentParser
import Configuration
import RecoveryPoints
import Reporting

extension NodeBackup {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a recovery point holds.",
            discussion: """
                With --json prints the manifest itself.

                  $ node-backup show 7

                \(exitStatuses(
                    (.done, "shown"),
                    (.dataError, "its manifest is damaged"),
                    (.noInput, "there is no such recovery point")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Argument(help: "The recovery point's number (default: the newest).")
        var point: Int?

        func run() async throws {
            let settings = try common.settings()
            let store = try RecoveryStore(path: common.directory(settings))
            let chosen = try store.chosen(point)
            Streams.printResult(common.json ? try JSONText.of(chosen.manifest) : PointDescription.text(of: chosen))
        }
    }
}
