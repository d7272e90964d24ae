import ArgumentParser
import Configuration
import RecoveryPoints
import Reporting

extension NodeBackup {
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a recovery point holds.",
            discussion: """
                With --json prints the manifest itself, with what a newer program wrote into it.

                  $ node-backup show 7

                \(exitStatuses(
                    (.done, "shown"),
                    (.dataError, "its manifest is damaged"),
                    (.noInput, "there is no such recovery point"),
                    (.newerProgram, "only a newer program can read it")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Argument(help: "The recovery point's number, or 'latest' (the default).")
        var point: PointChoice?

        func run() async throws {
            let settings = try common.settings()
            let store = try RecoveryStore(path: common.directory(settings))
            let chosen = try store.chosen(point)
            guard !common.json else { return Streams.printResult(try chosen.manifestText()) }
            let others = try store.all().compactMap { try? $0.point.get() }.filter {
                $0.generation != chosen.generation
            }
            Streams.printResult(PointDescription.text(of: chosen, among: others))
        }
    }
}
