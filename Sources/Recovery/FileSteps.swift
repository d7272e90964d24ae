import Files
import Glibc
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// The steps up to the reboot: the failed state is kept, the operating system rolled back, files restored.
enum FileSteps {
    static let kubelet = "kubelet.service"
    /// Units of container runtimes, in the order in which they are looked for.
    static let runtimes = ["crio.service", "containerd.service"]

    @Sendable static func keepFailedState(_ context: RecoveryContext) async throws -> StepOutcome {
        let (generation, existed) = try await FailedState.keep(context)
        return .done(
            existed
                ? "already kept as recovery point \(generation)"
                : "kept as recovery point \(generation); 'upgrade-recovery --undo' goes back to it"
        )
    }

    @Sendable static func deployment(_ context: RecoveryContext) async throws -> StepOutcome {
        let (wanted, deployments) = try await context.recordedDeployment()
        if try await context.proof.bootRepair(of: wanted).isPossible {
            let files = try await context.node.deployments.repairBoot(of: wanted)
            context.node.log.notice("Put back what '\(wanted.label)' needs to boot: \(files.joined(separator: ", "))")
        }
        if wanted.isBooted { return .done("'\(wanted.label)' is booted") }
        if let pause = context.journal.pause(at: "deployment"), context.node.units != nil {
            guard try context.bootID() != pause.boot else { throw RecoveryError.notRebooted }
            let booted = deployments.first { $0.isBooted }
            throw RecoveryError.wrongDeployment(wanted: wanted.label, booted: booted?.label ?? "none of ostree's")
        }
        guard context.node.units != nil else {
            try await context.node.deployments.makeDefault(wanted)
            return .done("'\(wanted.label)' is what the node boots next")
        }
        // Containers that are still known at the boot of another version cost their images with CRI-O up to 1.24.
        try context.units.stop(kubelet, limit: context.request.stopLimit)
        try context.holdOffWipe(during: "deployment")
        _ = try await removePods(context)
        try await context.node.deployments.makeDefault(wanted)
        let made = context.prepareNextBoot(of: wanted)
        return .needsReboot(
            "the node must boot '\(wanted.label)', which is the default now",
            values: made.isEmpty ? .none : JournalValues(JournalKeys.madeDirectories, made)
        )
    }

    @Sendable static func holdKubelet(_ context: RecoveryContext) async throws -> StepOutcome {
        let units = context.units
        guard try units.state(of: kubelet).exists else { return .skipped("\(kubelet) does not exist") }
        try context.mark(during: "hold-kubelet") { marks throws(FilesError) in try marks.hold() }
        try context.holdOffWipe(during: "hold-kubelet")
        try units.reload()
        return .done("it does not start until the recovery has restored etcd and the static pods")
    }

    @Sendable static func stopKubelet(_ context: RecoveryContext) async throws -> StepOutcome {
        let outcome = try context.units.stop(kubelet, limit: context.request.stopLimit)
        let sentence = outcome.sentence(about: kubelet)
        return outcome == .absent || outcome == .masked ? .skipped(sentence) : .done(sentence)
    }

    @Sendable static func stopPods(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let pods = try await removePods(context) else {
            // What a runtime has started outlives it; only a reboot is sure to end it.
            try context.note(JournalValues(JournalKeys.podsLeft, true), of: "stop-pods")
            return .skipped("no container runtime answers; running pods will end at the reboot")
        }
        guard pods.stuck.isEmpty else {
            try context.note(JournalValues(JournalKeys.podsLeft, true), of: "stop-pods")
            for unit in try installedRuntimes(context.units) {
                try context.units.stop(unit, limit: context.request.stopLimit)
            }
            return .done(
                "\(counted(pods.removed, "pod")) stopped and removed; \(pods.stuck.joined(separator: ", ")) did not stop: "
                    + "the container runtime was stopped, the reboot ends it"
            )
        }
        // An earlier try may have found no runtime.
        return .done(
            "\(counted(pods.removed, "pod")) stopped and removed",
            values: context.journal.mayHavePodsLeft ? JournalValues(JournalKeys.podsLeft, false) : .none
        )
    }

    /// Stops and removes every pod.
    /// - Returns: how many, and the names of those that do not stop although they are killed; `nil` when no runtime
    ///   answers.
    private static func removePods(_ context: RecoveryContext) async throws -> (removed: Int, stuck: [String])? {
        let pods = context.pods
        // After a boot a runtime refuses every call until it has looked at what it has.
        var answer: [PodSandbox]?
        _ = try await context.wait(
            for: "the container runtime to list its pods",
            limit: context.request.stopLimit,
            look: "'crictl pods' and 'journalctl -u containerd -u crio -n 50'"
        ) {
            answer = try pods.pods()
            return .there("it answers, or does not run")
        }
        guard let all = answer else { return nil }
        // etcd last: what still writes to it would only log that it is gone
        let order = all.sorted { !$0.name.hasPrefix("etcd") && $1.name.hasPrefix("etcd") }
        var stuck: [String] = []
        for pod in order {
            try context.node.cancellation.check()
            let name = "\(pod.namespace)/\(pod.name)"
            context.meter.begin(name, activity: "stopping", totalBytes: 0)
            do {
                try pods.stopPod(pod.id, limit: context.request.stopLimit)
                try pods.removePod(pod.id, limit: context.request.stopLimit)
            } catch let error as StuckPod {
                context.node.log.warning("\(name): \(error.summary), continuing; the reboot ends it")
                stuck.append(name)
            }
        }
        return (all.count - stuck.count, stuck)
    }

    /// The units of container runtimes that the node has.
    static func installedRuntimes(_ units: any UnitInterface) throws -> [String] {
        try runtimes.filter { try units.state(of: $0).exists }
    }

    /// The unit of the node's container runtime; `nil` when none is installed.
    ///
    /// Of two runtimes the masked one is not the node's; a single one that is masked fails at its start and says so.
    static func runtime(_ units: any UnitInterface) throws -> String? {
        let installed = try installedRuntimes(units)
        return try installed.first { try units.state(of: $0).canStart } ?? installed.first
    }

    @Sendable static func stopRuntime(_ context: RecoveryContext) async throws -> StepOutcome {
        let units = context.units
        let present = try installedRuntimes(units)
        guard !present.isEmpty else {
            return .skipped("neither \(runtimes.joined(separator: " nor ")) is installed")
        }
        let stops = try present.map { (unit: $0, stop: try units.stop($0, limit: context.request.stopLimit)) }
        let sentence = stops.map { $0.stop.sentence(about: $0.unit) }.joined(separator: "; ")
        return stops.allSatisfy { $0.stop == .masked } ? .skipped(sentence) : .done(sentence)
    }

    @Sendable static func reloadUnits(_ context: RecoveryContext) async throws -> StepOutcome {
        try context.units.reload()
        return .done("systemd has loaded the restored units")
    }

    @Sendable static func reboot(_ context: RecoveryContext) async throws -> StepOutcome {
        if let pause = context.journal.pause(at: "reboot") {
            guard try context.bootID() != pause.boot else { throw RecoveryError.notRebooted }
            return .done("the node was rebooted")
        }
        let reason: String
        if context.journal.hasChangedFiles {
            reason = "services are still running on files of the failed state"
        } else if context.journal.mayHavePodsLeft {
            reason = "pods of the failed state may still be running"
        } else {
            return .skipped("no file has changed")
        }
        let made = try context.prepareNextBoot()
        return .needsReboot(
            reason,
            values: made.isEmpty ? .none : JournalValues(JournalKeys.madeDirectories, made)
        )
    }
}

extension StepJournal {
    /// The record of a step's pause; `nil` when it never paused.
    func pause(at step: String) -> Record? { records.last { $0.step == step && $0.event == .paused } }
}

extension StepJournal {
    /// The components that the phase `files` restores.
    private static let restoredByFiles: [ComponentName] = [.usrLocal, .etc, .machineConfig]

    /// Whether a restore of files has, or may have, changed any, also before a restart: one that was interrupted and
    /// started again counts.
    var hasChangedFiles: Bool {
        header.carried?[JournalKeys.filesChanged] == true
            || Self.restoredByFiles.contains { component in
                attempts(at: "restore-\(component)") > 1
                    || (value(JournalKeys.changes(of: component)).map { $0 != 0 } ?? false)
            }
    }

    /// Whether pods of the failed state may run that no runtime has stopped.
    var mayHavePodsLeft: Bool { value(JournalKeys.podsLeft) == true }

    /// What must not be forgotten with the steps: what was put on the node, and what a reboot has not made good yet.
    var lasting: JournalValues {
        var lasting = header.carried ?? .none
        lasting[JournalKeys.madeDirectories] = values(JournalKeys.madeDirectories).flatMap { $0 }
        lasting[JournalKeys.selinux] = value(JournalKeys.selinux)
        let mayHaveChanged =
            hasChangedFiles || Self.restoredByFiles.contains { last(of: "restore-\($0)")?.event == .started }
        lasting[JournalKeys.filesChanged] = mayHaveChanged && !isOver("reboot") ? true : nil
        lasting[JournalKeys.podsLeft] = mayHavePodsLeft && !isOver("reboot") ? true : nil
        return lasting
    }
}

extension RecoveryContext {
    /// The directory with the recovery points, whatever directory a unit is started in.
    private var absoluteStore: FilePath {
        guard store.path.isRelative, let here = getcwd(nil, 0) else { return store.path }
        defer { free(here) }
        return FilePath(platformString: here).pushing(store.path).lexicallyNormalized()
    }

    /// How the recovery continues after the reboot, as a unit's command line.
    private var resumeCommand: String {
        // The copy beside the points exists whatever deployment boots; without one there is only this program.
        var words = [absoluteStore.appending("upgrade-recovery").string]
        if (try? RootDirectory(path: store.path).exists("upgrade-recovery")) != true,
            let executable = request.executable
        {
            words = [executable.string] + (executable.lastComponent == "node-recovery" ? ["upgrade-recovery"] : [])
        }
        words += ["--resume", "--reboot", "--dir", absoluteStore.string]
        return ([UnitText.path(FilePath(words[0]))] + words.dropFirst().map { UnitText.argument($0) })
            .joined(separator: " ")
    }

    /// Puts the marks for the next boot into `/etc`.
    /// - Returns: directories that were made for them.
    func prepareNextBoot() throws(FilesError) -> [String] {
        guard rebootsByItself else { return [] }
        var marks = try marks()
        try marks.installResumeUnit(resumeCommand, store: absoluteStore)
        return marks.made
    }

    /// Puts the marks into the `/etc` of a deployment that is booted next, so that its kubelet does not start on the
    /// data of the failed one, and its CRI-O keeps its images.
    ///
    /// Where that cannot be written the recovery continues: the kubelet is stopped before its files change.
    /// - Returns: directories that were made for them.
    func prepareNextBoot(of deployment: Deployment) -> [String] {
        do {
            var marks = NodeMarks(etc: try root.directory(node.deployments.configuration(of: deployment)))
            try marks.hold()
            if try hasCRIO(in: marks.etc) { try marks.holdOffWipe() }
            if rebootsByItself { try marks.installResumeUnit(resumeCommand, store: absoluteStore) }
            return marks.made
        } catch {
            let error = RecoveryError.wrapping(error)
            node.log.warning("\(error.summary): the kubelet of '\(deployment.label)' is not held at boot, continuing")
            return []
        }
    }

    /// Keeps CRI-O from removing its images at the next boots, where it is installed.
    func holdOffWipe(during step: String) throws {
        guard try hasCRIO(in: root.directory("/etc")) else { return }
        try mark(during: step) { marks throws(FilesError) in try marks.holdOffWipe() }
    }

    /// Puts marks into the node's own `/etc`.
    ///
    /// What is made for them is written down before: a run that is interrupted right after must not forget it.
    func mark(during step: String, _ body: (inout NodeMarks) throws(FilesError) -> Void) throws {
        var marks = try marks()
        let missing = try marks.missing()
        if !missing.isEmpty { try note(JournalValues(JournalKeys.madeDirectories, missing), of: step) }
        try body(&marks)
    }

    /// Whether a system has CRI-O: its unit, or its configuration.
    private func hasCRIO(in etc: Directory) throws -> Bool {
        if try etc.stat("crio") != nil { return true }
        return try node.units?.state(of: FileSteps.runtimes[0]).exists ?? false
    }
}
