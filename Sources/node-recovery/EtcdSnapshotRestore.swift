import ArgumentParser
import Etcd
import Files
import Reporting
import SystemPackage

extension EtcdSnapshot {
    struct Restore: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an etcd data directory out of a snapshot, without etcd's own tools.",
            discussion: """
                The options and their defaults are those of 'etcdutl snapshot restore'. Everything is checked before \
                the first byte is written: digest, every page, every record, membership, space. A new, compact \
                database is written and compared with the snapshot pair by pair. The directory appears whole or not at all.

                  $ etcd-snapshot restore /var/recovery/latest/etcd.snapshot.zst --data-dir /var/lib/etcd.restored \
                --name node1 --initial-cluster node1=https://10.0.0.5:2380 \
                --initial-advertise-peer-urls https://10.0.0.5:2380 --bump-revision 1000000000 --mark-compacted

                \(exitStatuses(
                    (.done, "restored"),
                    (.usage, "an option cannot be used"),
                    (.dataError, "the snapshot is damaged"),
                    (.noInput, "no such file"),
                    (.cantCreate, "no space, or the directory is in use"),
                    (.tempFail, "stopped by a signal"),
                    (.config, "the data are newer than --server-version")
                ))
                """
        )

        @Argument(help: "The snapshot; one that is packed with zstd is unpacked on the way.", completion: .file())
        var file: String

        @Option(
            help: ArgumentHelp("Make the data directory DIR; it must not exist or be empty.", valueName: "dir"),
            completion: .directory
        )
        var dataDir: String

        @Option(help: ArgumentHelp("The member's name.", valueName: "name"))
        var name = "default"

        @Option(help: ArgumentHelp("The members of the new cluster, NAME=URL,…", valueName: "members"))
        var initialCluster = "default=http://localhost:2380"

        @Option(help: ArgumentHelp("Keeps clusters with the same URLs apart.", valueName: "token"))
        var initialClusterToken = "etcd-cluster"

        @Option(help: ArgumentHelp("The member's own peer URLs.", valueName: "urls"))
        var initialAdvertisePeerUrls = "http://localhost:2380"

        @Option(
            help: ArgumentHelp("Put the write-ahead log into DIR; it must not exist.", valueName: "dir"),
            completion: .directory
        )
        var walDir: String?

        @Option(help: ArgumentHelp("Raise the revision by N; with --mark-compacted.", valueName: "n"))
        var bumpRevision: UInt64 = 0

        @Flag(help: "Mark everything up to the raised revision as compacted, so that watchers list again.")
        var markCompacted = false

        @Flag(help: "Accept a copy of a database file, which has no digest behind it.")
        var skipHashCheck = false

        @Flag(help: "Leave NOSPACE alarms out; a CORRUPT alarm stays.")
        var clearAlarms = false

        @Option(
            help: ArgumentHelp("The etcd that will run on it; older than the data is refused.", valueName: "version")
        )
        var serverVersion: String?

        @Flag(help: "Restore for a server that is older than the data.")
        var allowOlderServer = false

        func run() async throws {
            let cancellation = Cancellation()
            try SignalWatch.start(cancellation, limit: nil)
            var options = SnapshotRestoreOptions()
            options.name = name
            options.initialCluster = initialCluster
            options.token = initialClusterToken
            options.advertisedPeerURLs = initialAdvertisePeerUrls.split(separator: ",").map { String($0) }
            options.walDirectory = walDir.map { FilePath($0) }
            options.bumpRevision = bumpRevision
            options.markCompacted = markCompacted
            options.skipHashCheck = skipHashCheck
            options.clearAlarms = clearAlarms
            options.serverVersion = serverVersion
            options.allowOlderServer = allowOlderServer
            let target = FilePath(dataDir)
            let input = try SnapshotInput(
                file,
                scratch: SnapshotInput.directory(of: target),
                isCopy: skipHashCheck,
                cancellation: cancellation
            )
            let restored: RestoredSnapshot
            do {
                restored = try SnapshotRestore(options, cancellation: cancellation)
                    .restore(input.descriptor, named: file, to: target)
            } catch let error as SnapshotDamaged where error.lacksOnlyDigest {
                throw NotASnapshot(name: file, is: .databaseCopy)
            }
            for warning in restored.warnings { Streams.printError("etcd-snapshot: warning: \(warning)") }
            Streams.printResult(
                "'\(restored.dataDirectory)': member \(String(restored.memberID, radix: 16)) of cluster "
                    + "\(String(restored.clusterID, radix: 16)) at revision \(restored.revision), "
                    + "\(ByteCount(restored.databaseSizeBytes))"
            )
        }
    }
}
