public import SystemPackage

/// What `scripts/testbed/job-container` takes for a host.
public enum JobHost {
    /// Makes one without Kubernetes, and the file for the container's last words beside it.
    ///
    /// In its root lies what no directory below `/host` shows.
    /// - Returns: its root, `root` in the directory; the last words are `last-words`.
    public static func make(in directory: TemporaryDirectory) throws -> FilePath {
        let root = directory / "root"
        try Shell.output(
            """
            set -e
            mkdir -p '\(root)'/{etc/node-recovery,usr/local/bin,var/lib/kubelet,var/recovery,opt,tmp}
            cd '\(root)'
            echo 'allow_rootfs = true' > etc/node-recovery/config.toml
            echo 'host' > etc/whose
            echo 'tool' > usr/local/bin/tool
            : > '\(directory / "last-words")'
            """
        )
        return root
    }
}
