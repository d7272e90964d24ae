/// The buckets that etcd has at the top of its database, by their names on disk.
///
/// Source: etcd `server/storage/schema/bucket.go`; 3.4 has the same names.
enum SnapshotBucket: String, CaseIterable {
    case alarm, auth, authRoles, authUsers, cluster, key, lease, members
    case membersRemoved = "members_removed"
    case meta
    /// A bucket that a later etcd has brought; it is kept as it is.
    case other = ""

    init(name: [UInt8]) {
        self = SnapshotBucket(rawValue: String(decoding: name, as: UTF8.self)) ?? .other
    }

    /// More pairs than etcd ever writes into the bucket; `nil` for one that grows with what clients do.
    var pairLimit: Int? {
        switch self {
        case .key, .lease, .authUsers, .authRoles, .other: nil
        case .alarm, .auth, .cluster, .members, .membersRemoved, .meta: 10_000
        }
    }

    /// More bytes than any value of the bucket has, where it is read as a whole.
    var valueLimit: Int {
        switch self {
        // A role grows with each permission.
        case .authRoles, .authUsers: 16 << 20
        default: 1 << 20
        }
    }

    /// The buckets that every database of etcd has, in the order of the file.
    static let standard = allCases.filter { $0 != .other }.sorted {
        $0.rawValue.utf8.lexicographicallyPrecedes($1.rawValue.utf8)
    }
}

/// A version of etcd's data, `3.6.0`.
struct SnapshotVersion: Comparable, CustomStringConvertible {
    var major: Int
    var minor: Int
    var patch: Int

    /// Reads `MAJOR.MINOR.PATCH`, what may follow a `-` or `+` left out; `nil` for anything else.
    init?(_ text: some Sequence<UInt8>) {
        let whole = String(decoding: Array(text), as: UTF8.self)
        let parts = whole.prefix { $0 != "-" && $0 != "+" }.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3,
            parts.allSatisfy({ (1...9).contains($0.utf8.count) && $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let major = Int(parts[0]), let minor = Int(parts[1]), let patch = Int(parts[2])
        else { return nil }
        (self.major, self.minor, self.patch) = (major, minor, patch)
    }

    var description: String { "\(major).\(minor).\(patch)" }

    static func < (left: SnapshotVersion, right: SnapshotVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }
}
