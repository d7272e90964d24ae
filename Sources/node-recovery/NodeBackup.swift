import ArgumentParser

/// `node-backup`: takes recovery points and looks after them.
struct NodeBackup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node-backup",
        abstract: "Take recovery points of this node, and manage them.",
        discussion: """
            A recovery point is what 'upgrade-recovery' brings the node back to: an etcd snapshot, the static pods, \
            /etc, /usr/local, /var/lib/kubelet, the files of the machine config, the booted ostree deployment and the \
            list of container images. Take one before every upgrade:

              $ node-backup create
            """,
        version: "node-backup \(Program.version)",
        subcommands: [
            Create.self, List.self, Show.self, Verify.self, Diff.self, Extract.self,
            Restore.self, Prune.self, Doctor.self, Config.self,
        ]
    )
}
