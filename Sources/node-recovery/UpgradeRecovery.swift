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
            whatever interrupts the recovery, --resume continues it.

              $ upgrade-recovery --dry-run
              $ upgrade-recovery
              $ systemctl reboot
              $ upgrade-recovery --resume

            \(exitStatuses(
                (.done, "the node is recovered, or what was asked for was shown"),
                (.dataError, "the recovery point or the journal is damaged; nothing was changed"),
                (.noInput, "there is no such recovery point, or no recovery to continue"),
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

    @Option(help: ArgumentHelp("Go back to recovery point N, or to the latest (default).", valueName: "n"))
    var point: PointOption?

    @Flag(help: "Continue the recovery under way, after a reboot or a failure.")
    var resume = false

    @Flag(help: "Forget which steps are done, and start over.")
    var restart = false

    @Flag(help: "Go back to the failed state that the last recovery, or the one under way, has kept.")
    var undo = false

    @Flag(help: "End the recovery under way: go back to the failed state as far as anything was changed.")
    var abort = false

    @Flag(help: "Stop after each phase.")
    var step = false

    @Flag(help: "Show how far the recovery is, what comes next and what to type.")
    var status = false

    @Flag(
        name: [.customShort("n"), .long],
        help: "Print what would be done, file by file, and make the checks, and change nothing."
    )
    var dryRun = false

    @Flag(help: "List the steps.")
    var listSteps = false

    @Flag(help: "Stay on the deployment that is booted, whatever the recovery point recorded.")
    var force = false

    @Flag(
        help: "Make a cluster of one member, though the snapshot is of one with several: the others are lost for good."
    )
    var forceNewCluster = false

    @Flag(name: .shortAndLong, help: "Do not ask before starting.")
    var yes = false

    @Flag(help: "Reboot when needed, and continue automatically.")
    var reboot = false

    @Flag(help: "Take a recovery point, as 'node-backup create' does.")
    var takeBackup = false

    @Option(help: ArgumentHelp("Leave this path or pattern as it is; may be repeated.", valueName: "pattern"))
    var keepPath: [String] = []

    @Option(
        help: ArgumentHelp(
            "Leave this check out: identity, certificates, images or space; may be repeated.",
            valueName: "check"
        )
    )
    var skipCheck: [CheckOption] = []

    @Flag(help: "Do not keep the failed state; --undo is not possible then.")
    var withoutUndo = false

    @Option(help: ArgumentHelp("Wait this long for each thing (default: 20min).", valueName: "duration"))
    var waitLimit: DurationOption?

    @Argument(help: .hidden)
    var verb: Verb?

    /// What TALM's job gives as an argument; a number is what people try who mean `--point`.
    enum Verb: ExpressibleByArgument, Equatable {
        case launchBackup
        case point(PointOption)

        /// The word of TALM's job.
        static let launchBackupWord = "launchBackup"

        init?(argument: String) {
            if argument == Self.launchBackupWord {
                self = .launchBackup
            } else if let point = PointOption(argument: argument) {
                self = .point(point)
            } else {
                return nil
            }
        }
    }

    /// `--point`: a number, or `latest`.
    struct PointOption: ExpressibleByArgument, Equatable {
        /// `nil` for the latest one.
        var generation: Int?

        init?(argument: String) {
            guard argument != "latest" else { return }
            guard let number = Int(argument), number > 0 else { return nil }
            generation = number
        }
    }

    /// `--skip-check`; the deployment has an option of its own, `--force`.
    enum CheckOption: String, ExpressibleByArgument, CaseIterable {
        case identity, certificates, images, space
    }

    func validate() throws {
        if case .point(let wanted)? = verb {
            throw ValidationError("did you mean --point \(wanted.generation.map { "\($0)" } ?? "latest")?")
        }
        let modes = [resume, restart, undo, abort, status, dryRun && !undo, listSteps, takeBackup || verb != nil]
        if modes.count(where: { $0 }) > 1 {
            throw ValidationError(
                "--resume, --restart, --undo, --abort, --status, --dry-run, --list-steps and --take-backup exclude "
                    + "each other"
            )
        }
        if point != nil, resume || undo || abort {
            throw ValidationError("--point goes with none of --resume, --undo and --abort")
        }
        if resume, !keepPath.isEmpty || withoutUndo {
            throw ValidationError(
                "--resume continues with the --keep-path and --without-undo that the recovery was started with; "
                    + "'--restart' takes others"
            )
        }
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
        if dryRun { return try await session.showingProgress { try await printPlan(recovery) } }
        if !resume, !abort { try await confirm(recovery) }
        let ending: RecoveryEnding? = try await session.showingProgress {
            if abort { return try await recovery.abort() }
            if resume { return try await recovery.resume() }
            return restart ? try await recovery.restart() : try await recovery.begin()
        }
        switch ending {
        case nil:
            let sentence = "The recovery is over; it had changed nothing."
            session.finish(sentence, .recoveryDone, printing: common.quiet ? nil : sentence)
        case .completed?:
            let sentence = abort || undo ? "The node is back in its failed state." : "The node is recovered."
            session.finish(sentence, .recoveryDone, printing: common.quiet ? nil : sentence)
        case .needsReboot(_, let reason)?:
            throw Paused(reason: reason, reboots: reboot)
        case .phaseDone(let next)?:
            throw Paused(phase: next)
        }
    }

    /// Whether it is a backup that was asked for, in TALM's words.
    var takesBackup: Bool { takeBackup || verb == .launchBackup }

    private func request(_ settings: Settings) throws -> RecoveryRequest {
        var request = RecoveryRequest(try BackupRequest(settings, common))
        request.generation = point?.generation
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

    /// Prints what would be done, and ends as the run would: what refuses it refuses the dry run.
    private func printPlan(_ recovery: Recovery) async throws {
        var lines = DifferenceLines(asJSON: common.json)
        var failure: (any Error)?
        do {
            let plan = try await recovery.plan { component, difference in
                if !common.json { try lines.print(component, difference) }
            }
            Streams.printResult(common.json ? try JSONText.of(plan) : RecoveryViews.summary(of: plan))
        } catch {
            // A damaged archive ends the plan as well; the proof says which one it is.
            failure = error
        }
        try await recovery.prove()
        if let failure { throw failure }
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
            ? "the node reboots now and continues automatically; 'upgrade-recovery --status' shows how far it is"
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
