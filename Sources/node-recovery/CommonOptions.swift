import ArgumentParser
import Backup
import Configuration
import Files
import Glibc
import NodeInterface
import Reporting
import SystemPackage

/// The options that every subcommand of `node-backup` takes.
struct CommonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Keep the recovery points in DIR (default: /var/recovery).", valueName: "dir"),
        completion: .directory
    )
    var dir: String?

    @Option(help: ArgumentHelp("Treat DIR as the node's '/'.", valueName: "dir"), completion: .directory)
    var root = "/"

    @Option(
        help: ArgumentHelp(
            "Read the configuration from FILE (default: /etc/node-recovery/config.toml below the root).",
            valueName: "file"
        ),
        completion: .file(extensions: ["toml"])
    )
    var config: String?

    @Option(help: ArgumentHelp("What kind of node this is: auto, openshift, kubeadm or plain.", valueName: "profile"))
    var profile: ProfileOption?

    @Flag(help: "Print the result as JSON.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print errors only.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Print every step.")
    var verbose = false

    func validate() throws {
        if quiet, verbose { throw ValidationError("--quiet and --verbose exclude each other") }
    }

    /// The root as it was given.
    var rootPath: FilePath { FilePath(root) }

    /// What kind of node it is: the option, else the configuration, else what the node looks like.
    func profileChoice(_ settings: Settings) -> BackupRequest.ProfileChoice {
        guard let name = profile?.rawValue ?? settings.profile, let known = NodeProfile(rawValue: name) else {
            return .detect
        }
        return .fixed(known)
    }

    /// Where the recovery points lie: the option, else the configuration, else `/var/recovery` below the root.
    func directory(_ settings: Settings) -> FilePath {
        if let dir { return FilePath(dir) }
        return rootPath.appending(FilePath(settings.directory ?? WellKnownPaths.recovery.string).components)
    }

    /// The configuration files in force, read and laid over each other.
    ///
    /// The default file may be missing; one that was named may not. Drop-ins `config.d/*.toml` beside the file follow
    /// in the order of their names.
    func settings() throws -> Settings {
        var settings = Settings()
        let root = try RootDirectory(path: rootPath)
        let limit = 1 << 20
        if let config {
            let bytes: [UInt8]
            do throws(FilesError) {
                let file = try OwnedDescriptor(reading: FilePath(config))
                bytes = try file.descriptor.readAll(limitBytes: limit, path: config)
            } catch {
                throw ConfigurationError(file: config, line: nil, reason: "could not be read: \(error.errno)")
            }
            try settings.apply(String(decoding: bytes, as: UTF8.self), file: config)
            return settings
        }
        if try root.exists(WellKnownPaths.configuration) {
            let bytes = try root.readFile(WellKnownPaths.configuration, limitBytes: limit)
            try settings.apply(
                String(decoding: bytes, as: UTF8.self),
                file: root.fullPath(of: WellKnownPaths.configuration).string
            )
        }
        if try root.exists(WellKnownPaths.configurationDropIns) {
            for name in try root.names(in: WellKnownPaths.configurationDropIns) where name.extension == "toml" {
                let path = WellKnownPaths.configurationDropIns.appending(name)
                let bytes = try root.readFile(path, limitBytes: limit)
                try settings.apply(String(decoding: bytes, as: UTF8.self), file: root.fullPath(of: path).string)
            }
        }
        return settings
    }
}

/// `--profile`.
enum ProfileOption: String, ExpressibleByArgument, CaseIterable {
    case auto, openshift, kubeadm, plain
}

/// A duration as an operator types it: `90s`, `8min`, `1.5h`.
struct DurationOption: ExpressibleByArgument {
    var duration: Duration

    init?(argument: String) {
        guard let duration = Duration(operatorText: argument) else { return nil }
        self.duration = duration
    }
}
