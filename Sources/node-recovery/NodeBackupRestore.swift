import ArgumentParser
import Backup
import Configuration
import Files
import NodeInterface
import Recovery
import RecoveryPoints
import Reporting
import SystemPackage

extension NodeBackup {
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make files of this node equal to a recovery point again.",
            discussion: """
                Restores the files of one component or several (\(ComponentRestore.components.joined(separator: ", "))) \
                and nothing else: only what differs is written, and what the recovery point does not have is removed. \
                No service is stopped, and etcd is left alone: to undo a failed upgrade, use 'upgrade-recovery'.

                  $ node-backup restore latest etc --dry-run
                  $ node-backup restore 7 etc --keep-path etc/hosts

                \(exitStatuses(
                    (.done, "the files are equal to the recovery point, or what would change was shown"),
                    (.dataError, "the recovery point is damaged"),
                    (.noInput, "there is no such recovery point or component"),
                    (.cantCreate, "no space, or a mount point or an immutable file is in the way"),
                    (.ioError, "reading or writing failed"),
                    (.tempFail, "stopped by a signal, or another run is working"),
                    (.newerProgram, "a newer program wrote the component"),
                    (.noPermission, "not root"),
                    (.config, "the configuration cannot be used"),
                    (.recoveryUnderWay, "a recovery is under way")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Argument(help: "The recovery point's number, or 'latest'.")
        var point: PointChoice

        @Argument(help: "The components.")
        var component: [String]

        @Flag(name: [.customShort("n"), .long], help: "Print what would change, file by file, and do nothing.")
        var dryRun = false

        @Option(help: ArgumentHelp("Leave this path or pattern as it is; may be repeated.", valueName: "pattern"))
        var keepPath: [String] = []

        func validate() throws {
            for pattern in keepPath where PathPattern(text: pattern) == nil {
                throw ValidationError("--keep-path '\(pattern)' is not a path or pattern below the root")
            }
        }

        func run() async throws {
            let settings = try common.settings()
            let session = try Session(common, settings: settings, limit: nil)
            var request = RecoveryRequest(try BackupRequest(settings, common))
            request.generation = try RecoveryStore(path: request.directory).chosen(point).generation
            request.keptPaths = keepPath.compactMap { PathPattern(text: $0) }
            let restore = ComponentRestore(request, on: session.node)
            if dryRun {
                var lines = DifferenceLines(asJSON: common.json)
                try restore.plan(component) { try lines.print($0, $1) }
                return lines.finish(isQuiet: common.quiet)
            }
            for (component, sentence) in try restore.run(component) where !common.quiet {
                Streams.printResult("\(component): \(sentence)")
            }
        }
    }
}
