import ArgumentParser
import Configuration
import RecoveryPoints
import Reporting

extension NodeBackup {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the recovery points.",
            discussion: """
                Reads only the manifests, and shows which components each has; 'node-backup verify' reads everything.

                  $ node-backup list

                \(exitStatuses((.done, "listed, even when there is none"), (.noInput, "DIR does not exist")))
                """
        )

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let settings = try common.settings()
            let store = try RecoveryStore(path: common.directory(settings))
            let all = try store.all()
            if common.json {
                Streams.printResult(try JSONText.of(all.map(PointListing.init)))
                return
            }
            guard !all.isEmpty else {
                if !common.quiet { Streams.printError("There is no recovery point in '\(store.path)'.") }
                return
            }
            Streams.printResult(PointListing.table(all.map(PointListing.init)))
        }
    }
}
