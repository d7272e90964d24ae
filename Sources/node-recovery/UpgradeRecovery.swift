import ArgumentParser
import Backup
import Configuration
import Files
import Glibc
import Logging
import NodeInterface
import Recovery
import Reporting
import SystemPackage

/// `upgrade-recovery`: the name and the options that TALM's script had, and what it lacked.
struct UpgradeRecovery: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade-recovery",
        abstract: "Bring this node back to a recovery point after a failed upgrade.",
        discussion: """
            First proves that the recovery point is sound and that the recovery can work; until then nothing on the \
            node changes. Then keeps the failed state, boots the recorded ostree deployment, restores files, asks for \
            a reboot, restores etcd and the static pods, and waits until the node is ready. Every step is journaled: \
            whatever cuts the recovery, --resume goes on.

              $ upgrade-recovery --dry-run
              $ upgrade-recovery
              $ systemctl reboot
              $ upgrade-recovery --resume

            \(exitStatuses(
                (.done, "the node is recovered, or what was asked for was shown"),
                (.dataError, "the recovery point or the journal is damaged; nothing was changed"),
                (.noInput, "there is no such recovery point, or no recovery to go on with"),
                (.unavailable, "something that must answer does not, or the deployment cannot be booted"),
                (.cantCreate, "not enough space; nothing was changed"),
                (.ioError, "reading or writing failed"),
                (.tempFail, "paused: reboot, then --resume; or stopped by a signal"),
                (.noPermission, "not root"),
                (.config, "the recovery point is of another node, or the configuration cannot be used"),
                (.recoveryUnderWay, "a recovery is under way: --resume, --status or --restart")
            ))
            """,
        version: "upgrade-recovery \(Program.version)"
    )

    @OptionGroup var common: CommonOptions

    @Option(help: ArgumentHelp("Go back to recovery point N (default: the newest).", valueName: "n"))
    var point: Int?

    @Flag(help: "Go on with the recovery under way, after a reboot or a failure.")
    var resume = false

    @Flag(help: "Forget which steps are done, and begin anew.")
    var restart = false

    @Flag(help: "Go back to the failed state that the last recovery has kept.")
    var undo = false

    @Flag(help: "Stop after each phase.")
    var step = false

    @Flag(help: "Show how far the recovery is, what comes next and what to type.")
    var status = false

    @Flag(name: [.customShort("n"), .long], help: "Print what would be done, file by file, and do nothing.")
    var dryRun = false

    @Flag(help: "List the steps.")
    var listSteps = false

    @Flag(help: "Stay on the deployment that is booted, whatever the recovery point recorded.")
    var force = false

    @Flag(help: "Make a cluster of one of an etcd member that has others, which ends those.")
    var forceNewCluster = false

    @Flag(name: .shortAndLong, help: "Do not ask before beginning.")
    var yes = false

    @Flag(help: "Reboot when it is time to, and go on by itself.")
    var reboot = false

    @Flag(help: "Take a recovery point, as 'node-backup create' does.")
    var takeBackup = false

    @Option(help: ArgumentHelp("Leave this path or pattern as it is; may be repeated.", valueName: "pattern"))
    var keepPath: [String] = []

    @Option(
        help: ArgumentHelp(
            "Go on without this check: identity, certificates, images, space or etcd; may be repeated.",
            valueName: "check"
        )
    )
    var skipCheck: [CheckOption] = []

    @Flag(help: "Do not keep the failed state: there is no --undo then.")
    var withoutUndo = false

    @Option(help: ArgumentHelp("Wait this long for each thing (default: 20min).", valueName: "duration"))
    var waitLimit: DurationOption?

    @Argument(help: .hidden)
    var verb: Verb?

    /// What TALM's job gives as an argument.
    enum Verb: String, ExpressibleByArgument, CaseIterable {
        case launchBackup
    }

    /// `--skip-check`; the deployment has an option of its own, `--force`.
    enum CheckOption: String, ExpressibleByArgument, CaseIterable {
        case identity, certificates, images, space, etcd
    }

    func validate() throws {
        let modes = [resume, restart, undo, status, dryRun && !undo, listSteps, takeBackup || verb != nil]
        if modes.count(where: { $0 }) > 1 {
            throw ValidationError(
                "--resume, --restart, --undo, --status, --dry-run, --list-steps and --take-backup exclude each other"
            )
        }
        if point != nil, resume || undo { throw ValidationError("--point goes with none of --resume and --undo") }
        for pattern in keepPath where PathPattern(text: pattern) == nil {
            throw ValidationError("--keep-path '\(pattern)' is not a path or pattern below the root")
        }
    }

    func run() async throws {
        if listSteps { return try printSteps() }
        if takesBackup { return try await createRecoveryPoint() }
        let settings = try common.settings()
        let session = try Session(common, settings: settings, limit: nil, name: "upgrade-recovery")
        let request = try request(settings)
        if status {
            return Streams.printResult(
                try RecoveryViews.status(
                    RecoveryProgress(in: request.directory, root: common.rootPath),
                    asJSON: common.json
                )
            )
        }
        let recovery = Recovery(request, on: session.node, meter: session.meter)
        if dryRun { return try await printPlan(recovery) }
        if !resume { try await confirm(recovery) }
        let ending = try await session.showingProgress {
            if resume {
                try await recovery.resume()
            } else if restart {
                try await recovery.restart()
            } else {
                try await recovery.begin()
            }
        }
        switch ending {
        case .completed:
            let sentence = "The node is recovered."
            session.finish(sentence, .recoveryDone, printing: common.quiet ? nil : sentence)
        case .needsReboot(_, let reason):
            throw Paused(reason: reason, reboots: reboot)
        case .phaseDone(let next):
            throw Paused(phase: next)
        }
    }

    /// Whether it is a backup that was asked for, in TALM's words.
    var takesBackup: Bool { takeBackup || verb == .launchBackup }

    private func request(_ settings: Settings) throws -> RecoveryRequest {
        var request = RecoveryRequest(try BackupRequest(settings, common))
        request.generation = point
        request.undoes = undo
        request.skippedChecks = Set(skipCheck.compactMap { RecoveryRequest.Check(rawValue: $0.rawValue) })
        if force { request.skippedChecks.insert(.deployment) }
        if forceNewCluster { request.skippedChecks.insert(.members) }
        request.keptPaths = keepPath.compactMap { PathPattern(text: $0) }
        request.keepsFailedState = !withoutUndo
        request.rebootsByItself = reboot
        request.stopsAfterPhase = step
        request.waitLimit = waitLimit?.duration ?? request.waitLimit
        request.executable = Self.ownPath
        return request
    }

    /// Where the program that runs lies.
    private static var ownPath: FilePath? {
        guard let path = realpath("/proc/self/exe", nil) else { return nil }
        defer { free(path) }
        return FilePath(platformString: path)
    }

    /// Asks a person; somebody who has said --yes, and a script, want no question.
    private func confirm(_ recovery: Recovery) async throws {
        guard !yes, isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return }
        let plan = try await recovery.plan()
        Streams.printError(RecoveryViews.summary(of: plan))
        Streams.printError("Bring the node back to this recovery point? [y/N]")
        guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else { throw NotConfirmed() }
    }

    private func printSteps() throws {
        let listing = RecoverySequence.twoReboots.listing
        Streams.printResult(common.json ? try JSONText.of(listing) : RecoveryViews.steps(listing))
    }

    private func printPlan(_ recovery: Recovery) async throws {
        var lines = DifferenceLines(asJSON: common.json)
        let plan = try await recovery.plan { component, difference in
            if !common.json { try lines.print(component, difference) }
        }
        Streams.printResult(common.json ? try JSONText.of(plan) : RecoveryViews.summary(of: plan))
    }

    /// `--take-backup` and `launchBackup`: a recovery point as the configuration asks for it.
    private func createRecoveryPoint() async throws {
        let settings = try common.settings()
        try await BackupCommand.run(
            try BackupRequest(settings, common),
            common,
            settings,
            limit: settings.timeout,
            metrics: settings.metrics
        )
    }
}

/// The recovery goes on later.
struct Paused: OperatorError {
    let summary: String
    let hint: String?

    /// For a reboot.
    init(reason: String, reboots: Bool) {
        summary = "paused for a reboot: \(reason)"
        hint =
            reboots
            ? "the node reboots now and goes on by itself; 'upgrade-recovery --status' tells how far it is"
            : "run 'systemctl reboot', then 'upgrade-recovery --resume'"
    }

    /// Between two phases.
    init(phase: Phase) {
        summary = "paused before the phase '\(phase.rawValue)'"
        hint = "run 'upgrade-recovery --resume', with --step to stop after it again"
    }

    var exitStatus: ExitStatus { .tempFail }
}

/// The operator said no.
struct NotConfirmed: OperatorError {
    var summary: String { "not confirmed: nothing was done" }
    var hint: String? { "'--dry-run' shows every file that would change" }
    var exitStatus: ExitStatus { .tempFail }
}
