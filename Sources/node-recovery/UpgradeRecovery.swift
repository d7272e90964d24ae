import ArgumentParser
import Reporting

/// `upgrade-recovery`: the name and the options that TALM's script had.
///
/// This version takes recovery points; bringing a node back to one by itself comes with a later version.
struct UpgradeRecovery: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade-recovery",
        abstract: "Bring this node back to a recovery point after a failed upgrade.",
        discussion: """
            This version only knows --take-backup, which is 'node-backup create'. It cannot recover the node by \
            itself: the recovery points can be restored by hand, as docs/recovery-point-format.md shows.

              $ upgrade-recovery --take-backup

            \(exitStatuses(
                (.done, "the recovery point is there and was read back"),
                (.unavailable, "recovery was asked for, or etcd does not answer"),
                (.tempFail, "stopped by a signal, by --timeout, or another run is working")
            ))
            Of the others 'node-backup create --help' tells.
            """,
        version: "upgrade-recovery \(Program.version)"
    )

    @Flag(help: "Take a recovery point, as 'node-backup create' does.")
    var takeBackup = false

    @OptionGroup var create: NodeBackup.Create

    func run() async throws {
        guard takeBackup else { throw RecoveryNotIncluded() }
        try await create.run()
    }
}

/// The recovery was asked for, and this version does not have it.
struct RecoveryNotIncluded: OperatorError {
    var summary: String { "this version takes and proves recovery points, but does not bring a node back by itself" }
    var hint: String? { "restore by hand: 'node-backup extract POINT COMPONENT --to DIR' takes the files out" }
    var exitStatus: ExitStatus { .unavailable }
}
