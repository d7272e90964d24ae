import ArgumentParser
import Etcd
import Files
import Glibc
import NodeInterface
import Reporting
import SystemPackage

/// `etcd-snapshot`: a lone snapshot file, without etcd's own tools.
struct EtcdSnapshot: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "etcd-snapshot",
        abstract: "Save, verify and restore etcd snapshots without etcd's own tools.",
        version: "etcd-snapshot \(Program.version)",
        subcommands: [Save.self, Status.self, Verify.self, Restore.self]
    )
}

extension EtcdSnapshot {
    struct Save: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stream a snapshot from an etcd member into FILE.",
            discussion: """
                The file appears under its name only when every byte has arrived, its digest is right and every page \
                of it was checked. One member is asked; it need not have a leader.

                  $ etcd-snapshot save --cacert ca.crt --cert etcd.crt --key etcd.key snapshot.db

                \(exitStatuses(
                    (.done, "saved and verified"),
                    (.dataError, "what etcd sent is damaged"),
                    (.unavailable, "etcd does not answer, or refuses the call"),
                    (.cantCreate, "no space, or FILE already exists"),
                    (.tempFail, "stopped by a signal or by --timeout")
                ))
                """
        )

        @Option(
            name: [.long, .customLong("etcd-endpoint")],
            help: ArgumentHelp("The member's client URL.", valueName: "url")
        )
        var endpoint = "https://127.0.0.1:2379"

        // The second spellings are those of 'node-backup create', which hints about etcd name.
        @Option(
            name: [.long, .customLong("etcd-cacert")],
            help: ArgumentHelp("The authority that signed etcd's certificate.", valueName: "file"),
            completion: .file()
        )
        var cacert: String?

        @Option(
            name: [.long, .customLong("etcd-cert")],
            help: ArgumentHelp("Our certificate.", valueName: "file"),
            completion: .file()
        )
        var cert: String?

        @Option(
            name: [.long, .customLong("etcd-key")],
            help: ArgumentHelp("Our private key.", valueName: "file"),
            completion: .file()
        )
        var key: String?

        @Option(help: ArgumentHelp("Give up after this long: 90s, 8min, 1h.", valueName: "duration"))
        var timeout: DurationOption?

        @Flag(help: "Print the snapshot's status as JSON.")
        var json = false

        @Argument(help: "Where to save.", completion: .file())
        var file: String

        func run() async throws {
            let cancellation = Cancellation()
            try SignalWatch.start(cancellation, limit: timeout?.duration)
            let endpoint = try member()
            let status = try EtcdService(cancellation: cancellation).save(from: endpoint, to: FilePath(file))
            Streams.printResult(SnapshotStatusView(status).text(asJSON: json))
        }

        /// The member that the options name.
        private func member() throws -> EtcdEndpoint {
            guard let url = ClientURL(endpoint) else {
                throw ValidationError("--endpoint '\(endpoint)' is not a client URL of etcd")
            }
            guard url.isSecure else { return EtcdEndpoint(host: url.host, port: url.port, tls: nil) }
            guard let cacert, let cert, let key else {
                throw ValidationError("'\(endpoint)' takes --cacert, --cert and --key")
            }
            let files = EtcdEndpoint.TLSFiles(
                authority: FilePath(cacert),
                certificate: FilePath(cert),
                key: FilePath(key)
            )
            return EtcdEndpoint(host: url.host, port: url.port, tls: files)
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print what a snapshot holds, as 'etcdutl snapshot status' does.",
            discussion: """
                Checks all of FILE, digest included, which etcd's own tools do not.

                  $ etcd-snapshot status --json /var/recovery/latest/etcd.snapshot.zst

                \(exitStatuses((.done, "printed"), (.dataError, "the snapshot is damaged"), (.noInput, "no such file")))
                """
        )

        @Flag(help: "Print JSON with the keys of 'etcdutl snapshot status -w json'.")
        var json = false

        @Flag(help: "Accept a copy of a database file, which has no digest behind it.")
        var skipHashCheck = false

        @Argument(help: "The snapshot; one that is packed with zstd is unpacked on the way.", completion: .file())
        var file: String

        func run() async throws {
            let cancellation = Cancellation()
            try SignalWatch.start(cancellation, limit: nil)
            let report = try SnapshotInput.inspect(file, skipHashCheck: skipHashCheck, cancellation: cancellation)
            guard report.faults.isEmpty, let status = report.status else {
                if report.lacksOnlyDigest { throw NotASnapshot(name: file, is: .databaseCopy) }
                throw SnapshotDamaged(name: file, faults: report.faults)
            }
            Streams.printResult(SnapshotStatusView(status).text(asJSON: json))
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Verify a snapshot: digest, every page, key order, free list, every record.",
            discussion: """
                Lists every fault that it finds.

                  $ etcd-snapshot verify snapshot.db

                \(exitStatuses((.done, "good"), (.dataError, "the snapshot is damaged"), (.noInput, "no such file")))
                """
        )

        @Flag(help: "Accept a copy of a database file, which has no digest behind it.")
        var skipHashCheck = false

        @Argument(help: "The snapshot; one that is packed with zstd is unpacked on the way.", completion: .file())
        var file: String

        func run() async throws {
            let cancellation = Cancellation()
            try SignalWatch.start(cancellation, limit: nil)
            let report = try SnapshotInput.inspect(file, skipHashCheck: skipHashCheck, cancellation: cancellation)
            guard report.faults.isEmpty, let status = report.status else {
                for fault in report.faults { Streams.printResult("\(file): \(fault)".printable) }
                if report.lacksOnlyDigest { throw NotASnapshot(name: file, is: .databaseCopy) }
                throw SnapshotDamaged(name: file, faults: report.faults)
            }
            Streams.printResult(
                "\(file): good, revision \(status.revision), \(status.totalKeys) keys, \(ByteCount(status.totalSizeBytes))"
            )
            for alarm in status.alarms { Streams.printResult("\(file): the alarm \(alarm) is stored in it") }
        }
    }
}
