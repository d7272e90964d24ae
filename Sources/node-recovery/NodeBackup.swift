import ArgumentParser
import Backup
import Configuration
import Files
import Glibc
import Logging
import NodeInterface
import Recovery
import RecoveryPoints
import Reporting
import SystemPackage

/// `node-backup`: takes recovery points and looks after them.
struct NodeBackup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node-backup",
        abstract: "Take recovery points of this node, and look after them.",
        discussion: """
            A recovery point is what 'upgrade-recovery' brings the node back to: an etcd snapshot, the static pods, \
            /etc, /usr/local, /var/lib/kubelet, the files of the machine config, the booted ostree deployment and the \
            list of container images. Take one before every upgrade:

              $ node-backup create
            """,
        version: "node-backup \(Program.version)",
        subcommands: [
            Create.self, List.self, Show.self, Verify.self, Diff.self, Extract.self,
            Restore.self, Prune.self, Doctor.self, Config.self,
        ]
    )
}

/// The exit statuses at the end of a subcommand's help, `usage` among them, which all have.
func exitStatuses(_ rows: (ExitStatus, String)...) -> String {
    let usage: [(ExitStatus, String)] =
        rows.contains { $0.0 == .usage } ? [] : [(.usage, "the command line cannot be understood")]
    let lines = (rows + usage).sorted { $0.0.rawValue < $1.0.rawValue }.map { status, meaning in
        "  \(status.rawValue < 10 ? " " : "")\(status.rawValue)  \(meaning)"
    }
    return "EXIT STATUS:\n" + lines.joined(separator: "\n")
}

extension NodeBackup {
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a recovery point.",
            discussion: """
                Reads the node and writes a new directory below DIR/points; nothing on the node itself changes, but \
                for the pin on the booted ostree deployment. Earlier recovery points stay until the new one is \
                verified. Needs root, and a file system of its own at DIR.

                  $ node-backup create --dry-run
                  $ node-backup create --keep 3 --timeout 8min

                \(exitStatuses(
                    (.done, "the recovery point is there and was read back"),
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

        @Option(help: ArgumentHelp("Compress with this many threads (default: one a processor).", valueName: "n"))
        var jobs: Int?

        @Flag(help: "Keep the recovery points on the root file system if DIR lies there.")
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
            let session = try Session(common, settings: settings, limit: timeout?.duration ?? settings.timeout)
            let request = request(settings)
            let run = BackupRun(request, on: session.node, meter: session.meter)
            if dryRun {
                let forecast = try await run.forecast()
                Streams.printResult(common.json ? try JSONText.of(forecast) : forecast.text)
                return
            }
            let result: (point: RecoveryPoint, pruned: [Retention.Decision])
            do {
                result = try await session.showingProgress { try await run.create() }
            } catch {
                // ignored: why there is no recovery point matters more than why there are no figures of it
                if let file = metrics ?? settings.metrics {
                    try? MetricsFile.write(to: FilePath(file), of: request.directory)
                }
                throw error
            }
            if let file = metrics ?? settings.metrics {
                do {
                    try MetricsFile.write(to: FilePath(file), of: request.directory)
                } catch {
                    session.node.log.warning("no figures were written: \(error), continuing")
                }
            }
            let summary = PointSummary(result.point)
            session.finish(
                summary.sentence,
                .backupDone,
                [
                    "recovery_point": "\(summary.generation)",
                    "duration_usec": "\(Int64(summary.durationSeconds * 1_000_000))",
                    "stored_bytes": "\(summary.storedBytes)",
                ],
                printing: common.json ? try JSONText.of(summary) : common.quiet ? nil : summary.sentence
            )
        }

        /// What is asked for: options over the configuration.
        func request(_ settings: Settings) -> BackupRequest {
            var request = BackupRequest(
                directory: common.directory(settings),
                jobs: jobs ?? settings.jobs ?? Session.processors,
                toolVersion: "node-recovery \(Program.version)"
            )
            request.profile = common.profileChoice(settings)
            request.onlyComponents = component.isEmpty ? nil : component
            request.skippedComponents = skip + settings.skippedComponents
            request.exclusions = (exclude + settings.excludedPaths).compactMap { PathPattern(text: $0) }
            request.keep = keep ?? settings.keep
            request.level = level ?? settings.level
            request.allowsRootFileSystem = allowRootfs || settings.allowRootFileSystem
            request.skipsUnreadable = skipUnreadable || settings.skipUnreadable
            request.verifies = !noVerify
            request.etcd.endpoint = etcdEndpoint ?? settings.etcdEndpoint
            request.etcd.authority = etcdCacert ?? settings.etcdAuthority
            request.etcd.certificate = etcdCert ?? settings.etcdCertificate
            request.etcd.key = etcdKey ?? settings.etcdKey
            request.etcd.stallLimit = settings.etcdStallLimit
            request.executable = "/proc/self/exe"
            request.terminationLog = FilePath(terminationLog)
            return request
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the recovery points.",
            discussion: """
                Reads the manifests only; 'node-backup verify' reads everything.

                  $ node-backup list

                \(exitStatuses((.done, "listed, even when there is none"), (.noInput, "DIR is not there")))
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

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read recovery points back and prove them.",
            discussion: """
                Reads everything: the manifest, each archive and each file in it against their SHA-256 digests, the \
                etcd snapshot's own digest and every page of it. Names the first bad file of each archive. Nothing on \
                the node changes; the result is recorded beside the manifest.

                  $ node-backup verify --all

                \(exitStatuses(
                    (.done, "all is as it was written"),
                    (.dataError, "something is damaged"),
                    (.noInput, "there is no such recovery point"),
                    (.cantCreate, "no room to unpack the etcd snapshot; nothing was found damaged by that"),
                    (.tempFail, "stopped by a signal")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Argument(help: "The recovery point's number (default: the newest).")
        var point: Int?

        @Flag(help: "Verify every recovery point.")
        var all = false

        @Option(help: ArgumentHelp("Decompress with this many threads (default: one a processor).", valueName: "n"))
        var jobs: Int?

        func validate() throws {
            if all, point != nil { throw ValidationError("--all and a recovery point exclude each other") }
            if let jobs, !(1...64).contains(jobs) { throw ValidationError("--jobs takes a number from 1 to 64") }
        }

        func run() async throws {
            let settings = try common.settings()
            let session = try Session(common, settings: settings, limit: nil)
            let store = try RecoveryStore(path: common.directory(settings))
            let jobs = jobs ?? settings.jobs ?? Session.processors
            let verifier = PointVerifier(node: session.node, jobs: jobs, meter: session.meter)
            let reports = try await session.showingProgress {
                try (all ? store.all() : [store.chosenEntry(point)]).map { entry -> VerificationReport in
                    switch entry.point {
                    case .failure(let error):
                        return VerificationReport(generation: entry.generation, unreadable: error.summary)
                    case .success(let point):
                        let results = try verifier.verify(point)
                        do throws(StoreError) {
                            try point.record(results)
                        } catch {
                            session.node.log.warning("\(error.summary), continuing without the record")
                        }
                        return VerificationReport(point, results)
                    }
                }
            }
            Streams.printResult(
                common.json ? try JSONText.of(reports) : reports.map(\.text).joined(separator: "\n")
            )
            let damaged = reports.filter { !$0.isGood }.map(\.generation)
            if !damaged.isEmpty { throw BackupError.damagedPoints(generations: damaged) }
        }
    }

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

        @Argument(help: "The recovery point's number (default: the newest).")
        var point: Int?

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
                    (.cantCreate, "the directory cannot be written, or a file is there already")
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

    struct Prune: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove old recovery points.",
            discussion: """
                The newest N stay, and the newest one that was verified stays however old it is. A damaged one is \
                neither counted nor removed. What a recovery under way goes to stays, and what a run that was cut has \
                left goes.

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
            // It is what makes room while a recovery is under way, too: that one must find its recovery point.
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
                decisions = try Pruning.run(store, keep: keep, inUse: inUse)
            }
            if common.json {
                Streams.printResult(try JSONText.of(decisions.map(PruneLine.init)))
            } else if !common.quiet {
                Streams.printResult(PruneLine.text(of: decisions, isDryRun: dryRun))
            }
        }
    }
}
