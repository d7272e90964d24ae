import Reporting

/// The keys of `config.toml`, one row each, in the order in which people read them.
///
/// Names in these rows are in files in the field: never renamed. A default is what ``Settings/init()`` has.
public enum SettingsSchema {
    /// Every key that there is.
    public static let keys: [Key] = [
        Key("", "dir", .path, \.directory, "The directory that holds the recovery points"),
        Key("", "profile", .oneOf("auto", "openshift", "kubeadm", "plain"), \.profile, "What kind of node this is"),
        Key("", "keep", .integer(1...1000), \.keep, "How many of the newest recovery points stay"),
        Key("", "timeout", .duration, \.timeout, "The longest that one backup may take", unset: "no limit", "8min"),
        Key("", "level", .integer(1...19), \.level, "Compression level of zstd", unset: "follows the disk", "3"),
        Key("", "jobs", .integer(1...64), \.jobs, "How many threads compress", unset: "one per processor", "2"),
        Key("", "allow_rootfs", .boolean, \.allowRootFileSystem, "Whether dir may be on the root file system"),
        Key("", "skip_unreadable", .boolean, \.skipUnreadable, "List a file that cannot be read instead of failing"),
        Key(
            "",
            "metrics",
            .path,
            \.metrics,
            "The file for node_exporter that create and doctor write",
            unset: "none is written",
            "/var/lib/prometheus/node-exporter/node-recovery.prom"
        ),

        Key("components", "skip", .texts, \.skippedComponents, "Components that are never taken"),
        Key(
            "components",
            "exclude",
            .patterns,
            \.excludedPaths,
            "Paths and patterns (* within a name) below the root that no component takes"
        ),

        Key("etcd", "endpoint", .text, \.etcdEndpoint, "etcd's client URL", unset: found, "https://127.0.0.1:2379"),
        Key(
            "etcd",
            "cacert",
            .path,
            \.etcdAuthority,
            "Certificate of the authority that signed etcd's certificate",
            unset: found,
            "/etc/kubernetes/pki/etcd/ca.crt"
        ),
        Key(
            "etcd",
            "cert",
            .path,
            \.etcdCertificate,
            "Our certificate for etcd",
            unset: found,
            "/etc/kubernetes/pki/etcd/healthcheck-client.crt"
        ),
        Key(
            "etcd",
            "key",
            .path,
            \.etcdKey,
            "Our private key for etcd",
            unset: found,
            "/etc/kubernetes/pki/etcd/healthcheck-client.key"
        ),
        Key("etcd", "stall_limit", .duration, \.etcdStallLimit, "How long the snapshot stream may stay silent"),

        Key(
            "runtime",
            "socket",
            .path,
            \.runtimeSocket,
            "The container runtime's CRI socket",
            unset: found,
            "/run/containerd/containerd.sock"
        ),

        Key("doctor", "max_age", .duration, \.doctorMaxAge, "The age from which a recovery point is too old"),
        Key("doctor", "expiry_warning", .duration, \.doctorExpiryWarning, "How long before an expiry to warn"),
    ]

    /// What holds for a key that is not set and looked for.
    private static let found = "found on the node"

    /// One key: where it stands, what it takes, what it is for, where its value goes.
    public struct Key: Sendable {
        /// The table that it stands in, `etcd`; empty for the top of the file.
        public let section: String
        /// Its name in the table.
        public let name: String
        /// What it is for: a line without a full stop.
        public let summary: String
        /// What holds when no file sets it and there is no default; `nil` for a key with a default.
        public let unset: String?
        /// A value that a file could set, as TOML: the default where there is one.
        public let exampleText: String
        let kind: Kind
        let store: @Sendable (inout Settings, Value) -> Void
        let load: @Sendable (Settings) -> Value?

        /// Its name with the table in front, `etcd.endpoint`.
        public var fullName: String { section.isEmpty ? name : "\(section).\(name)" }

        /// What it takes, in a few words: `a number from 1 to 1000`.
        public var expectation: String { kind.expectation }

        /// Its default as TOML; `nil` for a key without one, about which ``unset`` tells.
        public var defaultText: String? { text(in: Settings()) }

        /// Its value as TOML; `nil` when it is not set.
        public func text(in settings: Settings) -> String? { value(in: settings)?.tomlText }

        /// Its value; `nil` when it is not set.
        public func value(in settings: Settings) -> Value? { load(settings) }

        init<Type: SettingType>(
            _ section: String,
            _ name: String,
            _ kind: Kind,
            _ path: any WritableKeyPath<Settings, Type> & Sendable,
            _ summary: String,
            unset: String? = nil,
            _ example: String = ""
        ) {
            self.section = section
            self.name = name
            self.kind = kind
            self.summary = summary
            self.unset = unset
            store = { settings, value in
                if let typed = Type(value) { settings[keyPath: path] = typed }
            }
            load = { $0[keyPath: path].value }
            if let text = Settings()[keyPath: path].value?.tomlText {
                exampleText = text
            } else if case .integer = kind {
                exampleText = example
            } else {
                exampleText = Value.text(example).tomlText
            }
        }
    }

    /// What a key takes.
    enum Kind: Sendable {
        case text
        case path
        case texts
        case patterns
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
            case .patterns: "a list of paths or patterns below the root, in quotes"
            case .boolean: "true or false"
            case .duration: "a duration such as \"8min\" or \"30s\""
            case .integer(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
            case .choice(let choices): choices.map { "\"\($0)\"" }.joined(separator: ", ")
            }
        }
    }

    /// A value that fits its key.
    public enum Value: Sendable, Equatable {
        /// Text, a path, or one of several words.
        case text(String)
        /// A list of texts.
        case texts([String])
        /// Yes or no.
        case boolean(Bool)
        /// A whole number.
        case integer(Int)
        /// A duration.
        case duration(Duration)

        /// As it stands in a file.
        public var tomlText: String {
            switch self {
            case .text(let text): Self.quoted(text)
            case .texts(let texts): "[\(texts.map(Self.quoted).joined(separator: ", "))]"
            case .boolean(let boolean): boolean ? "true" : "false"
            case .integer(let integer): "\(integer)"
            case .duration(let duration): Self.quoted(duration.settingText)
            }
        }

        /// A basic string of TOML: quotes, backslashes and control characters are escaped.
        private static func quoted(_ text: String) -> String {
            var result = "\""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"", "\\": result += "\\\(scalar)"
                case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                default: result.unicodeScalars.append(scalar)
                }
            }
            return result + "\""
        }
    }
}

extension Duration {
    /// As a setting says it, in the largest unit that fits: `7d`, `8min`, `90s`.
    public var settingText: String {
        let whole = components.seconds
        guard components.attoseconds == 0 else { return "\(seconds)s" }
        for (unit, size): (String, Int64) in [("d", 86_400), ("h", 3600), ("min", 60)] where whole % size == 0 {
            return "\(whole / size)\(unit)"
        }
        return "\(whole)s"
    }
}

/// A type that a setting can have.
protocol SettingType: Sendable {
    /// `nil` for a value of another type.
    init?(_ value: SettingsSchema.Value)
    /// `nil` for what is not set.
    var value: SettingsSchema.Value? { get }
}

extension String: SettingType {
    init?(_ value: SettingsSchema.Value) {
        guard case .text(let text) = value else { return nil }
        self = text
    }
    var value: SettingsSchema.Value? { .text(self) }
}

extension [String]: SettingType {
    init?(_ value: SettingsSchema.Value) {
        guard case .texts(let texts) = value else { return nil }
        self = texts
    }
    var value: SettingsSchema.Value? { .texts(self) }
}

extension Bool: SettingType {
    init?(_ value: SettingsSchema.Value) {
        guard case .boolean(let boolean) = value else { return nil }
        self = boolean
    }
    var value: SettingsSchema.Value? { .boolean(self) }
}

extension Int: SettingType {
    init?(_ value: SettingsSchema.Value) {
        guard case .integer(let integer) = value else { return nil }
        self = integer
    }
    var value: SettingsSchema.Value? { .integer(self) }
}

extension Duration: SettingType {
    init?(_ value: SettingsSchema.Value) {
        guard case .duration(let duration) = value else { return nil }
        self = duration
    }
    var value: SettingsSchema.Value? { .duration(self) }
}

extension Optional: SettingType where Wrapped: SettingType {
    init?(_ value: SettingsSchema.Value) {
        guard let wrapped = Wrapped(value) else { return nil }
        self = .some(wrapped)
    }
    var value: SettingsSchema.Value? { flatMap(\.value) }
}
