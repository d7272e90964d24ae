import ArgumentParser
import Backup
import Configuration
import RecoveryPoints
import Reporting
import SystemPackage

extension NodeBackup {
    struct Extract: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take files out of a recovery point.",
            discussion: """
                Writes below --to with owners, modes, times, ACLs and attributes; nothing that is there already is \
                overwritten. A path is relative to the node's root; a directory brings everything in it.

                  $ node-backup extract 7 etc etc/fstab etc/ssh --to /root/from-7

                \(exitStatuses(
                    (.done, "extracted"),
                    (.dataError, "the recovery point is damaged"),
                    (.noInput, "there is no such recovery point, component or path"),
                    (.cantCreate, "the directory cannot be written, or a file is there already"),
                    (.incomplete, "extracted, but without owners, attributes or links that cannot be kept there")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Argument(help: "The recovery point's number.")
        var point: Int

        @Argument(help: "The component.")
        var component: String

        @Argument(help: ArgumentHelp("Paths relative to the node's root (default: everything).", valueName: "path"))
        var paths: [String] = []

        @Option(
            help: ArgumentHelp("Write into DIR, which is made when it is not there.", valueName: "dir"),
            completion: .directory
        )
        var to: String

        func run() async throws {
            let settings = try common.settings()
            let session = try Session(common, settings: settings, limit: nil)
            let store = try RecoveryStore(path: common.directory(settings))
            let count = try PointExtraction(node: session.node, jobs: settings.jobs ?? Session.processors).run(
                try store.chosen(point),
                component: component,
                paths: paths,
                into: FilePath(to)
            )
            if !common.quiet { Streams.printResult("\(count) \(count == 1 ? "file" : "files") written to '\(to)'.") }
        }
    }
}
