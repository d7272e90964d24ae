import ArgumentParser
import Backup
import Configuration
import Logging
import NodeInterface
import RecoveryPoints
import Reporting

extension NodeBackup {
    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read recovery points back and prove them.",
            discussion: """
                Reads everything: the manifest, each archive and each file in it against their SHA-256 digests, the \
                etcd snapshot's own digest and every page of it. Names the first bad file of each archive, and what a \
                newer program wrote and this one cannot prove. Nothing on the node changes; the result is recorded \
                beside the manifest.

                  $ node-backup verify --all

                \(exitStatuses(
                    (.done, "all is as it was written"),
                    (.dataError, "something is damaged"),
                    (.noInput, "there is no such recovery point"),
                    (.cantCreate, "no room to unpack the etcd snapshot; that says nothing about damage"),
                    (.osError, "no descriptor, thread or memory left; that says nothing about damage"),
                    (.tempFail, "stopped by a signal"),
                    (.newerProgram, "nothing is damaged, but a newer program wrote something that was not verified")
                ))
                """
        )

        @OptionGroup var common: CommonOptions

        @Argument(help: "The recovery point's number, or 'latest' (the default).")
        var point: PointChoice?

        @Flag(help: "Verify every recovery point.")
        var all = false

        @Option(help: ArgumentHelp("Decompress with this many threads (default: one per processor).", valueName: "n"))
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
                        return VerificationReport(generation: entry.generation, unreadable: error)
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
            let damaged = reports.filter(\.isDamaged).map(\.generation)
            if !damaged.isEmpty { throw BackupError.damagedPoints(generations: damaged) }
            let unproved = reports.filter { !$0.isGood }.map(\.generation)
            if !unproved.isEmpty { throw BackupError.unprovedPoints(generations: unproved) }
        }
    }
}
