/// What a recovery consists of, in order.
public enum RecoverySequence {
    /// The steps; their names are on disk in the field: never renamed, never reused.
    ///
    /// Until the last step of `prove` is done, not one byte or unit of the node has changed.
    static let steps: [Step] = [
        Step(.prove, "verify", "Read the whole recovery point back", ProveSteps.verify),
        Step(.prove, "identity", "Compare the recovery point's node with this one", ProveSteps.identity),
        Step(.prove, "certificates", "Look whether certificates in it have expired", ProveSteps.certificates),
        Step(.prove, "images", "Look whether the images of its static pods are here", ProveSteps.images),
        Step(.prove, "bootable", "Look whether its deployment can be booted", ProveSteps.bootable),
        Step(.prove, "space", "Compare the space that is needed with what is free", ProveSteps.space),
        Step(.prove, "rehearse-etcd", "Restore etcd beside its data", ProveSteps.rehearseEtcd),

        Step(.files, "keep-failed-state", "Take a recovery point of the failed state", FileSteps.keepFailedState),
        Step(.files, "deployment", "Boot the recorded deployment", FileSteps.deployment),
        Step(.files, "hold-kubelet", "Keep the kubelet from starting at boot", FileSteps.holdKubelet),
        Step(.files, "stop-kubelet", "Stop the kubelet", FileSteps.stopKubelet),
        Step(.files, "stop-pods", "Stop all pods", FileSteps.stopPods),
        Step(.files, "stop-runtime", "Stop the container runtime", FileSteps.stopRuntime),
        Step(.files, "restore-usr-local", "Restore /usr/local", FileSteps.restoreUsrLocal),
        Step(.files, "restore-etc", "Restore /etc", FileSteps.restoreEtc),
        Step(.files, "restore-machine-config", "Restore files of the machine config", FileSteps.restoreMachineConfig),
        Step(.files, "reload-units", "Let systemd read its units anew", FileSteps.reloadUnits),
        Step(.files, "reboot", "Reboot into the restored files", FileSteps.reboot),

        Step(.cluster, "restore-kubelet", "Restore /var/lib/kubelet", ClusterSteps.restoreKubelet),
        Step(
            .cluster,
            "restore-etcd",
            "Put the restored etcd in the place of the failed one",
            ClusterSteps.restoreEtcd
        ),
        Step(.cluster, "restore-static-pods", "Restore all static pods as one set", ClusterSteps.restoreStaticPods),
        Step(.cluster, "start-runtime", "Start the container runtime", ClusterSteps.startRuntime),
        Step(.cluster, "start-kubelet", "Start the kubelet", ClusterSteps.startKubelet),
        Step(.cluster, "wait-etcd", "Wait for etcd", ClusterSteps.waitForEtcd),
        Step(.cluster, "wait-api", "Wait for the API server", ClusterSteps.waitForAPI),

        Step(.settle, "wait-node", "Wait until the node is ready", SettleSteps.waitForNode),
        Step(.settle, "redeploy", "Have the control plane rolled out anew", SettleSteps.redeploy),
        Step(.settle, "wait-operators", "Wait for the cluster operators", SettleSteps.waitForOperators),
        Step(.settle, "tidy", "Remove what the recovery has put on the node", SettleSteps.tidy),
    ]

    /// Phase, name and summary of every step, for `--list-steps` and the runbook.
    public static var listing: [RecoveryPlan.StepEntry] {
        steps.map { RecoveryPlan.StepEntry(phase: $0.phase.rawValue, name: $0.name, summary: $0.summary) }
    }
}
