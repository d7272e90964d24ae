import ArgumentParser
import Backup
import Configuration
import RecoveryPoints
import Reporting
import SystemPackage

extension NodeBackup {
    struct Extract: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy files out of a recovery point.",
            discussion: """
                Writes below --to with owners, modes, times, ACLs and attributes; nothing that exists is overwritten. \
                A path is relative to the node's root; a directory brings everything in it.

                  $ node-backup extract 7 etc etc/fstab etc/ssh --to /root/from-7
                  $ node-backup extract latest etcd --to /root/snapshot

                \(exitStatuses(
                    (.done, "extracted"),
                    (.dataError, "the recovery point is damaged"),
                    (.noInput, "there is no such recovery point, component or path"),
                    (.cantCreate, "the directory cannot be written, or a file exists already"),
                    (.newerProgram, "a newer program wrote the component"),
                    (.incomplete, "extracted, but without owners, attributes or links that cannot be kept there")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Argument(help: "The recovery point's number, or 'latest'.")
        var point: PointChoice

        @Argument(help: "The component.")
        var component: String

        @Argument(help: ArgumentHelp("Paths relative to the node's root (default: everything).", valueName: "path"))
        var paths: [String] = []

        @Option(
            help: ArgumentHelp("Write into DIR, which is made if it does not exist.", valueName: "dir"),
            completion: .directory
        )
        var to: String

        func run() async throws {
            let settings = try common.settings()
            let session = try Session(common, settings: settings, limit: nil)
            let store = try RecoveryStore(path: common.directory(settings))
            let written = try PointExtraction(node: session.node, jobs: settings.jobs ?? Session.processors).run(
                try store.chosen(point),
                component: component,
                paths: paths,
                into: FilePath(to)
            )
            guard !common.quiet else { return }
            var parts = ["\(written.files) \(written.files == 1 ? "file" : "files")"]
            if written.directories > 0 {
                parts.append("\(written.directories) \(written.directories == 1 ? "directory" : "directories")")
            }
            Streams.printResult("\(parts.joined(separator: " and ")) written to '\(to)'.")
        }
    }
}
