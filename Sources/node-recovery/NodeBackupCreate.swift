import ArgumentParser
import Backup
import Configuration
import Files
import Reporting
import SystemPackage

extension NodeBackup {
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a recovery point.",
            discussion: """
                Reads the node and writes a new directory below DIR/points; nothing on the node itself changes, but \
                for the pin on the booted ostree deployment. What has not changed is shared with an earlier recovery \
                point, and read back like the rest. Earlier ones stay until the new one is verified. With --component \
                or --skip the recovery point is a partial one: it never replaces a whole one. Needs root, and a file \
                system of its own at DIR.

                  $ node-backup create --dry-run
                  $ node-backup create --keep 3 --timeout 8min

                \(exitStatuses(
                    (.done, "the recovery point is complete and was read back"),
                    (.dataError, "what etcd sent, or what was written, is damaged"),
                    (.noInput, "a component cannot be found on this node"),
                    (.unavailable, "etcd or the container runtime does not answer"),
                    (.cantCreate, "no space, or DIR is not a file system of its own"),
                    (.ioError, "reading or writing failed"),
                    (.tempFail, "stopped by a signal, by --timeout, or another run is working"),
                    (.noPermission, "not root"),
                    (.config, "the configuration cannot be used")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Flag(name: [.customShort("n"), .long], help: "Print what would be done, and do nothing.")
        var dryRun = false

        @Option(help: ArgumentHelp("Keep the newest N recovery points (default: 2).", valueName: "n"))
        var keep: Int?

        @Option(help: ArgumentHelp("Give up after this long: 90s, 8min, 1h.", valueName: "duration"))
        var timeout: DurationOption?

        @Option(help: ArgumentHelp("Take only this component; may be repeated.", valueName: "name"))
        var component: [String] = []

        @Option(help: ArgumentHelp("Leave this component out; may be repeated.", valueName: "name"))
        var skip: [String] = []

        @Option(help: ArgumentHelp("Leave this path or pattern out; may be repeated.", valueName: "pattern"))
        var exclude: [String] = []

        @Option(help: ArgumentHelp("Compress at this level, 1 to 19 (default: follow the disk).", valueName: "level"))
        var level: Int?

        @Option(help: ArgumentHelp("Compress with this many threads (default: one per processor).", valueName: "n"))
        var jobs: Int?

        @Flag(help: "Accept a DIR on the root file system.")
        var allowRootfs = false

        @Flag(help: "List files that cannot be read and leave them out, instead of failing.")
        var skipUnreadable = false

        @Flag(help: "Do not read the recovery point back before it counts.")
        var noVerify = false

        @Option(help: ArgumentHelp("etcd's client URL (default: found on the node).", valueName: "url"))
        var etcdEndpoint: String?

        @Option(
            help: ArgumentHelp("The authority that signed etcd's certificate.", valueName: "file"),
            completion: .file()
        )
        var etcdCacert: String?

        @Option(help: ArgumentHelp("Our certificate for etcd.", valueName: "file"), completion: .file())
        var etcdCert: String?

        @Option(help: ArgumentHelp("Our private key for etcd.", valueName: "file"), completion: .file())
        var etcdKey: String?

        @Option(help: ArgumentHelp("Write figures for node_exporter into FILE.", valueName: "file"))
        var metrics: String?

        @Option(help: .hidden)
        var terminationLog = HostEntry.terminationLog.string

        func validate() throws {
            if let keep, !(1...1000).contains(keep) { throw ValidationError("--keep takes a number from 1 to 1000") }
            if let level, !(1...19).contains(level) { throw ValidationError("--level takes a number from 1 to 19") }
            if let jobs, !(1...64).contains(jobs) { throw ValidationError("--jobs takes a number from 1 to 64") }
            for pattern in exclude where PathPattern(text: pattern) == nil {
                throw ValidationError("--exclude '\(pattern)' is not a path or pattern below the root")
            }
        }

        func run() async throws {
            let settings = try common.settings()
            let request = try request(settings)
            let limit = timeout?.duration ?? settings.timeout
            guard !dryRun else { return try await BackupCommand.printPlan(request, common, settings, limit: limit) }
            try await BackupCommand.run(request, common, settings, limit: limit, metrics: metrics ?? settings.metrics)
        }

        /// What is asked for: these options over the configuration.
        func request(_ settings: Settings) throws(BackupError) -> BackupRequest {
            var request = try BackupRequest(settings, common)
            if !component.isEmpty {
                request.onlyComponents = try component.map(BackupRequest.component(named:))
            }
            request.skippedComponents += try skip.map(BackupRequest.component(named:))
            request.exclusions += exclude.compactMap { PathPattern(text: $0) }
            request.keep = keep ?? request.keep
            request.level = level ?? request.level
            request.jobs = jobs ?? request.jobs
            request.allowsRootFileSystem = allowRootfs || request.allowsRootFileSystem
            request.skipsUnreadable = skipUnreadable || request.skipsUnreadable
            request.verifies = !noVerify
            request.etcd.endpoint = etcdEndpoint ?? request.etcd.endpoint
            request.etcd.authority = etcdCacert ?? request.etcd.authority
            request.etcd.certificate = etcdCert ?? request.etcd.certificate
            request.etcd.key = etcdKey ?? request.etcd.key
            request.terminationLog = FilePath(terminationLog)
            return request
        }
    }
}
