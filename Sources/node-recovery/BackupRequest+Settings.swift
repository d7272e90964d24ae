import Backup
import Configuration
import Files
import RecoveryPoints
import SystemPackage

extension BackupRequest {
    /// What the configuration and the options of every command ask of a backup.
    ///
    /// The one place where settings become a request: `create`, the doctor and a recovery all start from it.
    /// - Throws: ``BackupError/unknownComponent(_:)`` for a name in `components.skip`.
    init(_ settings: Settings, _ common: CommonOptions) throws(BackupError) {
        self.init(
            directory: common.directory(settings),
            jobs: settings.jobs ?? Session.processors,
            toolVersion: "node-recovery \(Program.version)"
        )
        profile = common.profileChoice(settings)
        excludedComponents = try settings.skippedComponents.map(Self.component(named:))
        exclusions = settings.excludedPaths.compactMap { PathPattern(text: $0) }
        keep = settings.keep
        level = settings.level
        allowsRootFileSystem = settings.allowRootFileSystem
        skipsUnreadable = settings.skipUnreadable
        etcd.endpoint = settings.etcdEndpoint
        etcd.authority = settings.etcdAuthority
        etcd.certificate = settings.etcdCertificate
        etcd.key = settings.etcdKey
        etcd.stallLimit = settings.etcdStallLimit
        executable = "/proc/self/exe"
        terminationLog = HostEntry.terminationLog
    }

    /// The component of a name that a person wrote.
    static func component(named name: String) throws(BackupError) -> ComponentName {
        guard let component = ComponentName(rawValue: name) else { throw .unknownComponent(name) }
        return component
    }
}
