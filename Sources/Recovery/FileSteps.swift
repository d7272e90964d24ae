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
    static let noUnits = "the root is not that of the running system, whose units are left alone"

    @Sendable static func keepFailedState(_ context: RecoveryContext) async throws -> StepOutcome {
        guard context.journal.header.keepsFailedState else { return .skipped("left out with --without-undo") }
        let (generation, wasThere) = try await FailedState.keep(context)
        return .done(
            wasThere
                ? "recovery point \(generation) is there already"
                : "it is recovery point \(generation); 'upgrade-recovery --undo' goes back to it"
        )
    }

    @Sendable static func deployment(_ context: RecoveryContext) async throws -> StepOutcome {
        let wanted: Deployment
        let deployments: [Deployment]
        switch try await context.recordedDeployment() {
        case .over(let outcome): return outcome
        case .toBoot(let deployment, let all): (wanted, deployments) = (deployment, all)
        }
        if let pause = context.journal.pause(at: "deployment"), context.node.units != nil {
            guard try context.bootID() != pause.boot else { throw RecoveryError.notRebooted }
            let booted = deployments.first { $0.isBooted }
            throw RecoveryError.wrongDeployment(wanted: wanted.label, booted: booted?.label ?? "none of ostree's")
        }
        try await context.proof.refuseUnlessBootable(wanted)
        try await context.node.deployments.makeDefault(wanted)
        guard context.node.units != nil else {
            return .done("'\(wanted.label)' is what the node boots next")
        }
        let made = context.prepareNextBoot(of: wanted)
        return .needsReboot(
            "the node must boot '\(wanted.label)', which is the default now",
            values: made.isEmpty ? [:] : ["marks.made": made.joined(separator: ",")]
        )
    }

    @Sendable static func holdKubelet(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let units = context.node.units else { return .skipped(noUnits) }
        guard try units.state(of: kubelet).exists else { return .skipped("\(kubelet) does not exist") }
        var marks = try context.marks()
        // Written down before they are made: a run that is cut right after must not forget them.
        let missing = try marks.missing()
        if !missing.isEmpty { try context.note(["marks.made": missing.joined(separator: ",")], of: "hold-kubelet") }
        try marks.hold()
        try units.reload()
        return .done("it does not start until the recovery is done")
    }

    @Sendable static func stopKubelet(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let units = context.node.units else { return .skipped(noUnits) }
        let outcome = try units.stop(kubelet, limit: context.request.stopLimit)
        let sentence = outcome.sentence(about: kubelet)
        return outcome == .absent || outcome == .masked ? .skipped(sentence) : .done(sentence)
    }

    @Sendable static func stopPods(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let pods = context.node.pods else { return .skipped(noUnits) }
        // After a boot a runtime refuses every call until it has looked at what it has.
        var answer: [PodSandbox]?
        _ = try await context.wait(
            for: "the container runtime to tell its pods",
            limit: context.request.stopLimit,
            look: "'crictl pods' and 'journalctl -u containerd -u crio -n 50'"
        ) {
            answer = try pods.pods()
            return .there("it answers, or is not there")
        }
        guard let all = answer else {
            // What a runtime has started outlives it; only a reboot is sure to end it.
            try context.note(["pods.left": "true"], of: "stop-pods")
            return .skipped("no container runtime answers; pods that still run end with the reboot")
        }
        // etcd last: what still writes to it would only log that it is gone
        let order = all.sorted { !$0.name.hasPrefix("etcd") && $1.name.hasPrefix("etcd") }
        for pod in order {
            try context.node.cancellation.check()
            context.meter.begin("\(pod.namespace)/\(pod.name)", activity: "stopping", totalBytes: 0)
            try pods.stopPod(pod.id, limit: context.request.stopLimit)
            try pods.removePod(pod.id, limit: context.request.stopLimit)
        }
        // An earlier try may have found no runtime.
        return .done(
            "\(all.count) pods have stopped",
            values: context.journal.mayHavePodsLeft ? ["pods.left": "false"] : [:]
        )
    }

    @Sendable static func stopRuntime(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let units = context.node.units else { return .skipped(noUnits) }
        let present = try runtimes.filter { try units.state(of: $0).exists }
        guard !present.isEmpty else {
            return .skipped("neither \(runtimes.joined(separator: " nor ")) is installed")
        }
        let stops = try present.map { (unit: $0, stop: try units.stop($0, limit: context.request.stopLimit)) }
        let sentence = stops.map { $0.stop.sentence(about: $0.unit) }.joined(separator: "; ")
        return stops.allSatisfy { $0.stop == .masked } ? .skipped(sentence) : .done(sentence)
    }

    @Sendable static func restoreUsrLocal(_ context: RecoveryContext) async throws -> StepOutcome {
        try context.restore("usr-local")
    }

    @Sendable static func restoreEtc(_ context: RecoveryContext) async throws -> StepOutcome {
        try context.restore("etc")
    }

    @Sendable static func restoreMachineConfig(_ context: RecoveryContext) async throws -> StepOutcome {
        try context.restore("machine-config")
    }

    @Sendable static func reloadUnits(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let units = context.node.units else { return .skipped(noUnits) }
        try units.reload()
        return .done("systemd knows the restored units")
    }

    @Sendable static func reboot(_ context: RecoveryContext) async throws -> StepOutcome {
        guard context.node.units != nil else { return .skipped(noUnits) }
        if let pause = context.journal.pause(at: "reboot") {
            guard try context.bootID() != pause.boot else { throw RecoveryError.notRebooted }
            return .done("the node was rebooted")
        }
        let reason: String
        if context.hasChangedFiles {
            reason = "services still run on files of the failed state"
        } else if context.journal.mayHavePodsLeft {
            reason = "pods of the failed state may still run"
        } else {
            return .skipped("no file has changed")
        }
        let made = try context.prepareNextBoot()
        return .needsReboot(
            reason,
            values: made.isEmpty ? [:] : ["marks.made": made.joined(separator: ",")]
        )
    }
}

extension StepJournal {
    /// The record of a step's pause; `nil` when it never paused.
    func pause(at step: String) -> Record? { records.last { $0.step == step && $0.event == .paused } }
}

extension RecoveryContext {
    /// Whether a restore of files has, or may have, changed any: one that was cut and begun again counts.
    var hasChangedFiles: Bool { journal.hasChangedFiles }
}

extension StepJournal {
    /// The same, also by what was forgotten.
    var hasChangedFiles: Bool {
        header.carried?["files.changed"] != nil
            || ["usr-local", "etc", "machine-config"].contains { component in
                attempts(at: "restore-\(component)") > 1
                    || (value("changes.\(component)").map { $0 != "0" } ?? false)
            }
    }

    /// Whether pods of the failed state may run that no runtime has stopped.
    var mayHavePodsLeft: Bool { value("pods.left") == "true" }

    /// What must not be forgotten with the steps: what was put on the node, and what a reboot has not made good yet.
    var lasting: [String: String] {
        var values = header.carried ?? [:]
        let made = records.compactMap { $0.values?["marks.made"] } + [values["marks.made"] ?? ""]
        values["marks.made"] = made.filter { !$0.isEmpty }.joined(separator: ",")
        values["selinux"] = value("selinux")
        let restores = ["usr-local", "etc", "machine-config"].map { "restore-\($0)" }
        let mayHaveChanged = hasChangedFiles || restores.contains { last(of: $0)?.event == .started }
        values["files.changed"] = mayHaveChanged && !isOver("reboot") ? "true" : nil
        values["pods.left"] = mayHavePodsLeft && !isOver("reboot") ? "true" : nil
        return values
    }
}

extension RecoveryContext {
    /// Where the recovery points lie, whatever directory a unit is started in.
    private var absoluteStore: FilePath {
        guard store.path.isRelative, let here = getcwd(nil, 0) else { return store.path }
        defer { free(here) }
        return FilePath(platformString: here).pushing(store.path).lexicallyNormalized()
    }

    /// How the recovery goes on after the reboot, as a unit's command line.
    private var resumeCommand: String {
        // The copy beside the points is there whatever deployment boots; without one there is only ourselves.
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
    /// data of the failed one.
    ///
    /// Where that cannot be written the recovery goes on all the same: the kubelet is stopped before its files change.
    func prepareNextBoot(of deployment: Deployment) -> [String] {
        let etc = FilePath("/ostree/deploy/\(deployment.osName)/deploy/\(deployment.name)/etc")
        do {
            let file = try root.open(etc)
            // resolved inside the root; the path below is only for messages
            let place = try Directory(path: FilePath("/proc/self/fd/\(file.descriptor.rawValue)/."))
            var marks = NodeMarks(etc: place)
            try marks.hold()
            if rebootsByItself { try marks.installResumeUnit(resumeCommand, store: absoluteStore) }
            return marks.made
        } catch {
            node.log.warning("\(error.summary): the kubelet of '\(deployment.label)' is not held at boot, continuing")
            return []
        }
    }
}
