import Archives
import NodeInterface
import RecoveryPoints
import SystemPackage

/// What a backup would do, as `--dry-run` shows it: for people as text, for machines as JSON.
public struct BackupForecast: Codable, Sendable, Equatable {
    /// One component.
    public struct Entry: Codable, Sendable, Equatable {
        /// Its name.
        public var name: String
        /// `write`, `share` or `skip`.
        public var action: String
        /// Why it is skipped, or with which recovery point it is shared.
        public var note: String?
        /// What is taken: subtrees relative to the node's root, or etcd's client URL, or a deployment.
        public var sources: [String]
        /// What is left out of them.
        public var exclusions: [String]
        /// Bytes of content.
        public var sourceBytes: Int64
        /// Files, directories and links.
        public var sourceFiles: Int64
        /// Bytes on disk, as estimated.
        public var storedBytes: Int64
    }

    /// The profile, and the path that gave it away when it was found out.
    public var profile: String
    /// The path that gave the profile away.
    public var profileEvidence: String?
    /// The node's name.
    public var node: String
    /// Where the recovery point would lie.
    public var directory: String
    /// Space that must be free for it.
    public var neededBytes: Int64
    /// Space that is free.
    public var freeBytes: Int64
    /// The components in order.
    public var components: [Entry]

    init(_ plan: ResolvedPlan) {
        profile = plan.profile.profile.rawValue
        profileEvidence = plan.profile.evidence
        node = plan.identity.name
        directory = plan.directory.string
        neededBytes = plan.neededBytes
        freeBytes = plan.freeBytes
        components = plan.entries.map { entry in
            var action = "write"
            var note: String?
            var sources: [String] = []
            var exclusions: [String] = []
            switch entry.work {
            case .etcd(let endpoint, let status):
                sources = ["\(endpoint)"]
                note = "etcd \(status.serverVersion) at revision \(status.revision)"
            case .shareSnapshot(let endpoint, let point, _, _):
                action = "share"
                sources = ["\(endpoint)"]
                note = "unchanged since recovery point \(point.generation)"
            case .tree(let selection):
                sources = selection.subtrees.map { "/\($0)" }
                exclusions = selection.exclusions.map { "\($0)" }
            case .share(let selection, let point, _, _):
                action = "share"
                note = "unchanged since recovery point \(point.generation)"
                sources = selection.subtrees.map { "/\($0)" }
                exclusions = selection.exclusions.map { "\($0)" }
            case .deployment(_, let pinned):
                sources = ["\(pinned.checksum).\(pinned.serial)"]
                note = pinned.isPinned ? "pinned already" : "will be pinned"
            case .images(_, let runtime):
                sources = [runtime]
            case .skip(let reason, _):
                action = "skip"
                note = reason
            }
            return Entry(
                name: entry.component.name.rawValue,
                action: action,
                note: note,
                sources: sources,
                exclusions: exclusions,
                sourceBytes: entry.sourceBytes,
                sourceFiles: entry.sourceFiles,
                storedBytes: entry.storedBytes
            )
        }
    }
}
