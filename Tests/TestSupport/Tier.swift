import Glibc
public import Testing

/// Tests that need more than the compiler.
///
/// Use as `@Suite(.enabled(if: Tier.live.isWanted, Tier.live.comment))`.
///
/// In CI every tier is wanted, and a test whose tool is missing fails; elsewhere a tier without its tools is skipped
/// by name. scripts/test installs the tools.
public enum Tier: String, Sendable {
    /// Real etcd, ostree and containerd from Debian's packages, started by the tests.
    case live
    /// A real systemd as PID 1 of a machine in systemd-nspawn.
    case machine
    /// Debian's packaging tools and buildah, and a root of one's own to install into.
    case package

    /// Whether the tests of this tier are to run here.
    public var isWanted: Bool {
        if getenv("CI") != nil { return true }
        return tools.allSatisfy { tool in
            let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
            return path.split(separator: ":").contains { access("\($0)/\(tool)", X_OK) == 0 }
        }
    }

    /// Said where the tier is skipped.
    public var comment: Comment { "the \(rawValue) tier needs \(tools.joined(separator: ", ")): run scripts/test" }

    private var tools: [String] {
        switch self {
        case .live:
            [
                "etcd", "etcdctl", "ostree", "containerd", "bsdtar", "strace", "setfacl", "setfattr", "openssl",
                "skopeo", "umoci", "setcap", "rsync", "jq", "zstd", "python3",
            ]
        case .package:
            [
                "dh", "dpkg-buildpackage", "lintian", "man", "lexgrog", "fish", "zsh", "systemd-analyze", "readelf",
                "objdump", "unshare", "python3", "buildah", "skopeo", "jq", "zstd",
            ]
        case .machine: ["systemd-nspawn", "dbus-daemon", "nsenter", "pgrep"]
        }
    }
}
