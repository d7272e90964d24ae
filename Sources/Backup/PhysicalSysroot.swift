package import Files
package import Reporting
package import SystemPackage

/// `--root` names the file system of an ostree system as it is on the disk, where `/etc`, `/var` and `/usr` are not yet
/// in their places: what would be taken for the node's files are none of them.
package struct PhysicalSysroot: OperatorError, Equatable {
    /// The root that was given.
    package var root: FilePath
    /// The deployment that boots by default, below the root; `nil` when no boot entry names one.
    package var deployment: FilePath?

    /// Refuses a root that is one.
    ///
    /// `ostree/repo` and `ostree/deploy` exist on every such file system; a running system has them as well, by a link
    /// and with an `/etc` beside it.
    package static func refuse(_ root: RootDirectory) throws {
        guard try root.exists("/ostree/deploy"), try root.exists("/ostree/repo"), try !root.exists("/etc"),
            try !root.exists("/usr/lib")
        else { return }
        throw PhysicalSysroot(root: root.path, deployment: try defaultDeployment(in: root))
    }

    /// Where the boot entry with the highest version leads.
    private static func defaultDeployment(in root: RootDirectory) throws -> FilePath? {
        let directory: FilePath = "/boot/loader/entries"
        var best: (version: Int, path: FilePath)?
        guard try root.exists(directory) else { return try onlyDeployment(in: root) }
        for name in try root.names(in: directory) where name.extension == "conf" {
            let text = String(
                decoding: try root.readFile(directory.appending(name), limitBytes: 1 << 16),
                as: UTF8.self
            )
            var version = 0
            var path: FilePath?
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ").map { String($0) }
                if words.first == "version", words.count > 1 { version = Int(words[1]) ?? 0 }
                if let option = words.first(where: { $0.hasPrefix("ostree=") }) {
                    path = FilePath(String(option.dropFirst(7)))
                }
            }
            guard let path, try root.exists(path), version >= best?.version ?? Int.min else { continue }
            best = (version, try root.place(of: path).path)
        }
        return try best?.path ?? onlyDeployment(in: root)
    }

    private static func onlyDeployment(in root: RootDirectory) throws -> FilePath? {
        var found: [FilePath] = []
        let systems: FilePath = "/ostree/deploy"
        for system in try root.names(in: systems) {
            let directory = systems.appending(system).appending("deploy")
            guard try root.exists(directory) else { continue }
            for name in try root.names(in: directory) where name.extension != "origin" {
                found.append(directory.appending(name))
            }
        }
        return found.count == 1 ? found[0] : nil
    }

    package var summary: String {
        "'\(root)' is the file system of an ostree system as it is on the disk: /etc, /usr and /var are not in their places"
    }

    package var hint: String? {
        let place =
            deployment.map { "\(root.appending($0.components))" } ?? "\(root)/ostree/deploy/OS/deploy/CHECKSUM.0"
        let system = deployment.map { root.appending($0.components.dropLast(2)) } ?? root.appending("ostree/deploy/OS")
        return "mount the parts in their places and name that with --root: 'mkdir -p /run/node; "
            + "mount --bind \(place) /run/node; mount --bind \(system)/var /run/node/var; "
            + "mount --bind \(root)/boot /run/node/boot; mount --bind \(root) /run/node/sysroot', "
            + "then '--root /run/node' (a /boot of its own is mounted at /run/node/boot instead)"
    }

    package var exitStatus: ExitStatus { .config }
}
