import ArgumentParser
import Backup
import Configuration
import RecoveryPoints
import Reporting

extension NodeBackup {
    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what has changed on the node since a recovery point.",
            discussion: """
                One line a file: '+' added, '-' removed, 'M' changed and in what: type, size, content, mode, owner, \
                time, link target, attribute. Nothing is written.

                  $ node-backup diff 7 --component etc

                \(exitStatuses(
                    (.done, "compared, whatever was found"),
                    (.dataError, "the recovery point is damaged"),
                    (.noInput, "there is no such recovery point or component")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Argument(help: "The recovery point's number, or 'latest' (the default).")
        var point: PointChoice?

        @Option(help: ArgumentHelp("Compare only this component; may be repeated.", valueName: "name"))
        var component: [String] = []

        func run() async throws {
            let settings = try common.settings()
            let session = try Session(common, settings: settings, limit: nil)
            let store = try RecoveryStore(path: common.directory(settings))
            let comparison = PointComparison(node: session.node, directory: store.path)
            var lines = DifferenceLines(asJSON: common.json)
            try comparison.run(
                try store.chosen(point),
                components: component.isEmpty ? nil : component
            ) { name, difference in
                try lines.print(name, difference)
            }
            lines.finish(isQuiet: common.quiet)
        }
    }
}
