internal import Reporting

/// The keys of `config.toml`, one row each.
///
/// Names in these rows are in files in the field: never renamed.
enum SettingsSchema {
    static let keys: [Key] = [
        Key("dir", .path, "The directory that holds the recovery points") { $0.directory = $1.text },
        Key("profile", .oneOf("auto", "openshift", "kubeadm", "plain"), "What kind of node this is") {
            $0.profile = $1.text
        },
        Key("keep", .integer(1...1000), "How many of the newest recovery points stay") { $0.keep = $1.integer },
        Key("timeout", .duration, "The longest that one backup may take") { $0.timeout = $1.duration },
        Key("level", .integer(1...19), "Compression level; follows the disk when not set") { $0.level = $1.integer },
        Key("jobs", .integer(1...64), "How many threads compress") { $0.jobs = $1.integer },
        Key("allow_rootfs", .boolean, "Whether dir may lie on the root file system") {
            $0.allowRootFileSystem = $1.boolean
        },
        Key("skip_unreadable", .boolean, "List a file that cannot be read instead of failing") {
            $0.skipUnreadable = $1.boolean
        },
        Key("components.skip", .texts, "Components that are never taken") { $0.skippedComponents = $1.texts },
        Key("components.exclude", .texts, "Paths and patterns below the root that no component takes") {
            $0.excludedPaths = $1.texts
        },
        Key("etcd.endpoint", .text, "The etcd member's client URL") { $0.etcdEndpoint = $1.text },
        Key("etcd.cacert", .path, "Certificate of the authority that signed etcd's certificate") {
            $0.etcdAuthority = $1.text
        },
        Key("etcd.cert", .path, "Our certificate for etcd") { $0.etcdCertificate = $1.text },
        Key("etcd.key", .path, "Our private key for etcd") { $0.etcdKey = $1.text },
        Key("etcd.stall_limit", .duration, "How long the snapshot stream may stay silent") {
            $0.etcdStallLimit = $1.duration
        },
        Key("runtime.socket", .path, "The container runtime's CRI socket") { $0.runtimeSocket = $1.text },
    ]

    /// One key: its dotted name, what it takes, what it is for, where it goes.
    struct Key: Sendable {
        let name: String
        let kind: Kind
        let summary: String
        let store: @Sendable (inout Settings, Value) -> Void

        init(
            _ name: String,
            _ kind: Kind,
            _ summary: String,
            store: @escaping @Sendable (inout Settings, Value) -> Void
        ) {
            self.name = name
            self.kind = kind
            self.summary = summary
            self.store = store
        }
    }

    /// What a key takes.
    enum Kind: Sendable {
        case text
        case path
        case texts
        case boolean
        case duration
        case integer(ClosedRange<Int>)
        case choice([String])

        static func oneOf(_ choices: String...) -> Kind { .choice(choices) }

        /// Said in the message about a value that does not fit.
        var expectation: String {
            switch self {
            case .text: "text in quotes"
            case .path: "an absolute path in quotes"
            case .texts: "a list of texts in quotes"
            case .boolean: "true or false"
            case .duration: "a duration such as \"8min\" or \"30s\""
            case .integer(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
            case .choice(let choices): choices.map { "\"\($0)\"" }.joined(separator: ", ")
            }
        }
    }

    /// A value that was checked against its key's kind: exactly one member is set.
    struct Value {
        var text: String?
        var texts: [String]?
        var boolean: Bool?
        var integer: Int?
        var duration: Duration?
    }
}
