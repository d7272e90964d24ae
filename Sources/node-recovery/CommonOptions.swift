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
        help: ArgumentHelp("The directory with the recovery points (default: /var/recovery).", valueName: "dir"),
        completion: .directory
    )
    var dir: String?

    @Option(help: ArgumentHelp("Treat DIR as the node's '/'.", valueName: "dir"), completion: .directory)
    var root = "/"

    @Option(
        help: ArgumentHelp(
            "Read the configuration from FILE alone (default: /etc/node-recovery/config.toml below the root).",
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
        NodeProfile(rawValue: settings.profile).map { .fixed($0) } ?? .detect
    }

    /// Where the recovery points are: the option as it is, else the folder of the program when that is the copy beside
    /// recovery points, else what the configuration says below the root.
    func directory(_ settings: Settings) -> FilePath {
        if let dir { return FilePath(dir) }
        if let own = Self.ownFolderOfPoints { return own }
        return rootPath.appending(FilePath(settings.directory).components)
    }

    /// The folder of the program that runs, when recovery points are in it.
    private static var ownFolderOfPoints: FilePath? {
        guard let path = realpath("/proc/self/exe", nil) else { return nil }
        defer { free(path) }
        let folder = FilePath(platformString: path).removingLastComponent()
        // ignored: a folder that cannot be looked at is not used
        return (try? RootDirectory(path: folder).stat("points").kind) == .directory ? folder : nil
    }

    /// The settings in force: what ``layers()`` says of each.
    func settings() throws -> Settings { try layers().settings }

    /// The configuration files laid over each other, and over them the options of every command.
    ///
    /// The default files may be missing; one that was named may not, and then it is the only one.
    func layers() throws -> LayeredSettings {
        var layers = LayeredSettings()
        if let config {
            try layers.read(FilePath(config))
        } else {
            try layers.read(WellKnownPaths.configuration, in: RootDirectory(path: rootPath))
        }
        if let dir { layers.apply(option: "--dir", to: "dir") { $0.directory = dir } }
        if let profile { layers.apply(option: "--profile", to: "profile") { $0.profile = profile.rawValue } }
        return layers
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
