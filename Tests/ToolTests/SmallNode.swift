import SystemPackage
import TestSupport
import Testing

/// A node of a few dozen files without Kubernetes, with one recovery point on a recovery partition of its own.
final class SmallNode: Sendable {
    let directory: TemporaryDirectory
    let tool: Tool

    /// - Parameter size: of the recovery partition, as mount takes it.
    init(copyOfProgram: Bool = false, partition: String = "size=1g", takesPoint: Bool = true) throws {
        directory = try TemporaryDirectory()
        tool = try Tool(in: directory, copy: copyOfProgram)
        try Shell.output(
            """
            set -e
            cd '\(directory.path)'
            mkdir -p node/etc/kubernetes node/usr/local/bin node/var/lib/kubelet/pki
            cd node
            echo node-7 > etc/hostname
            for i in $(seq 12); do
                echo "file $i" > etc/file-$i
                seq 500 > usr/local/bin/program-$i
                head -c 3000 /dev/urandom > var/lib/kubelet/pki/key-$i
            done
            ln etc/file-1 etc/file-1.link
            mkfifo etc/pipe
            """
        )
        _ = try directory.mount("recovery", options: partition)
        if takesPoint {
            let result = try create()
            try #require(result.status == 0, "\(result)")
        }
    }

    var root: FilePath { directory / "node" }
    var store: FilePath { directory / "recovery" }

    /// The words of a command on this node.
    func words(_ command: String, _ arguments: [String] = []) -> [String] {
        [command, "--root", root.string, "--dir", store.string, "--profile", "plain"] + arguments
    }

    func create(_ arguments: String..., under wrapper: [String] = []) throws -> Tool.Result {
        try tool.run("node-backup", words("create", arguments), under: wrapper)
    }

    func backup(_ command: String, _ arguments: String..., under wrapper: [String] = []) throws -> Tool.Result {
        try tool.run("node-backup", words(command, arguments), under: wrapper)
    }

    /// Changes one file of each component, so that nothing is shared with the point before.
    func touchEverything() throws {
        try Shell.output(
            """
            cd '\(root)'
            for file in etc/file-2 usr/local/bin/program-2 var/lib/kubelet/pki/key-2; do echo more >> $file; done
            """
        )
    }

    /// Everything about the recovery points that a run that fails must leave as it was, as text.
    func points() throws -> String {
        try Shell.output(
            """
            cd '\(store)'
            find points latest -name '*.partial' -prune -o -printf '%p %y %m %U:%G %s %l %T@\\n' | grep -v '^points d' | sort
            find points -name '*.partial' -prune -o -type f -print0 | sort -z | xargs -0r sha256sum
            """
        )
    }

    /// What the last run says in `status.json`.
    func status() throws -> JSON {
        try JSON(parsing: try Shell.output("cat '\(store)/status.json'"))
    }
}
