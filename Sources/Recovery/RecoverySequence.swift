import RecoveryPoints

/// What a recovery consists of, in order: a value, so that there can be more than one.
public struct RecoverySequence: Sendable {
    /// Its name, by which a journal remembers it.
    ///
    /// Never renamed, never reused.
    public let name: String
    /// The steps; their names are on disk in the field: never renamed, never reused.
    let steps: [Step]

    /// Every sequence that this program can continue.
    static let all: [RecoverySequence] = [twoReboots]

    /// One reboot into the recorded deployment, one into the restored files.
    public static let twoReboots = RecoverySequence(name: "two-reboots", steps: twoRebootSteps)

    /// Phase, name, what it does, when it is run, how.
    ///
    /// Until the last step of `prove` is done, not one byte or unit of the node has changed.
    private static let twoRebootSteps: [Step] = [
        Step(.prove, "verify", "Read the whole recovery point and compare its digests", [], ProveSteps.verify),
        Step(.prove, "identity", "Compare its node with this one", [.check(.identity)], ProveSteps.identity),
        Step(.prove, "certificates", "Check its certificates for expiry", [.controlPlane], ProveSteps.certificates),
        Step(
            .prove,
            "images",
            "Check for the images that it needs",
            [.controlPlane, .check(.images)],
            ProveSteps.images
        ),
        Step(.prove, "bootable", "Check that its deployment can boot", [.recordedDeployment], ProveSteps.bootable),
        Step(.prove, "space", "Compare the space needed with what is free", [.check(.space)], ProveSteps.space),
        Step(.prove, "rehearse-etcd", "Restore etcd beside its data", [.component(.etcd)], ProveSteps.rehearseEtcd),

        Step(.files, "keep-failed-state", "Keep the failed state", [.undoPoint], FileSteps.keepFailedState),
        Step(.files, "deployment", "Boot the recorded deployment", [.recordedDeployment], FileSteps.deployment),
        Step(.files, "hold-kubelet", "Hold the kubelet at boot", [.runningSystem], FileSteps.holdKubelet),
        Step(.files, "stop-kubelet", "Stop the kubelet", [.runningSystem], FileSteps.stopKubelet),
        Step(.files, "stop-pods", "Stop and remove all pods", [.runningSystem], FileSteps.stopPods),
        Step(.files, "stop-runtime", "Stop the container runtime", [.runningSystem], FileSteps.stopRuntime),
        Step(.files, "restore-usr-local", "Restore /usr/local", restoring: .usrLocal),
        Step(.files, "restore-etc", "Restore /etc", restoring: .etc),
        Step(.files, "restore-machine-config", "Restore the machine config's files", restoring: .machineConfig),
        Step(.files, "reload-units", "Reload systemd units", [.runningSystem], FileSteps.reloadUnits),
        Step(.files, "reboot", "Reboot into the restored files", [.runningSystem], FileSteps.reboot),

        Step(
            .cluster,
            "images-again",
            "Check for the images again, as a boot can have lost them",
            [.runningSystem, .controlPlane, .check(.images)],
            repeatedAfterBootsUntil: "restore-etcd",
            ClusterSteps.imagesAgain
        ),
        Step(.cluster, "restore-kubelet", "Restore /var/lib/kubelet", restoring: .kubelet),
        Step(.cluster, "restore-etcd", "Put the restored etcd in place", [.etcdState], ClusterSteps.restoreEtcd),
        Step(.cluster, "restore-static-pods", "Restore all static pods as one set", restoring: .staticPods),
        Step(.cluster, "start-runtime", "Start the container runtime", [.runningSystem], ClusterSteps.startRuntime),
        Step(.cluster, "start-kubelet", "Start the kubelet", [.runningSystem], ClusterSteps.startKubelet),
        Step(.cluster, "wait-etcd", "Wait for etcd", [.runningSystem, .component(.etcd)], ClusterSteps.waitForEtcd),
        Step(
            .cluster,
            "wait-api",
            "Wait for the API server",
            [.runningSystem, .controlPlane],
            ClusterSteps.waitForAPI
        ),

        Step(.settle, "wait-node", "Wait for the node", [.runningSystem, .controlPlane], SettleSteps.waitForNode),
        Step(.settle, "redeploy", "Roll out the control plane", [.runningSystem, .openShift], SettleSteps.redeploy),
        Step(.settle, "wait-operators", "Wait for operators", [.runningSystem, .openShift], SettleSteps.waitOperators),
        Step(.settle, "tidy", "Remove the recovery's own files", [], SettleSteps.tidy),
    ]

    /// The sequence of a journal; the journals of programs that had only one do not name it.
    static func named(_ name: String?) -> RecoverySequence? {
        guard let name else { return twoReboots }
        return all.first { $0.name == name }
    }

    /// Phase, name, summary and conditions of every step, for `--list-steps` and the runbook.
    public var listing: [RecoveryPlan.StepEntry] { steps.map { RecoveryPlan.StepEntry($0, skipped: nil) } }
}
