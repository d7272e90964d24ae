/// Whether an etcd server runs on the data of a snapshot, by what the data say of themselves.
///
/// Data have two versions. The storage's, which only servers from 3.6 on write, says how they are laid out; the
/// cluster's says which version all members had agreed on. A server from 3.6 on refuses both when they are newer than it
/// is. Older servers look at neither: they start, without etcd's support. Source: etcd `server/storage/schema/schema.go`
/// `Validate`, `migration.go` `newPlan`; `server/etcdserver/api/membership/cluster.go` `mustDetectDowngrade`.
public struct EtcdVersionFit: Sendable, Hashable {
    /// How well they fit.
    public enum Verdict: Sendable, Hashable {
        /// The server is as new as the data, or newer.
        case fits
        /// One of the versions is not known.
        case unknown
        /// The server is older and starts, but etcd does not support it.
        case unsupported
        /// The server is older and does not start.
        case refused
    }

    /// How well they fit.
    public let verdict: Verdict
    /// The newer of the data's versions, `3.6.0`; empty when they have none.
    public let dataVersion: String
    /// The server's version, as it was given; empty when it is not known.
    public let serverVersion: String
    /// What etcd says when it does not start.
    public let refusal: String?

    /// Compares the versions.
    ///
    /// - Parameter storageVersion: `3.6.0`; empty for data of a server before 3.6.
    /// - Parameter clusterVersion: `3.5.0`; empty when it was never set.
    /// - Parameter serverVersion: `3.5.21` or `3.5`; `nil` when it is not known.
    public init(storageVersion: String, clusterVersion: String, serverVersion: String?) {
        let storage = Release(storageVersion)
        let cluster = Release(clusterVersion)
        dataVersion =
            switch (storage, cluster) {
            case (let storage?, let cluster?): storage < cluster ? clusterVersion : storageVersion
            case (_?, nil): storageVersion
            case (nil, _?): clusterVersion
            case (nil, nil): ""
            }
        self.serverVersion = serverVersion ?? ""
        guard let server = serverVersion.flatMap({ Release($0) }),
            let data = [storage, cluster].compactMap({ $0 }).max()
        else {
            (verdict, refusal) = (.unknown, nil)
            return
        }
        guard server < data else {
            (verdict, refusal) = (.fits, nil)
            return
        }
        // From 3.6 on a server looks at what it finds.
        guard server >= Release(major: 3, minor: 6) else {
            (verdict, refusal) = (.unsupported, nil)
            return
        }
        verdict = .refused
        refusal =
            storage.map { server < $0 } ?? false
            ? "version \"\(storageVersion)\" is not supported"
            : "invalid downgrade; server version is lower than determined cluster version"
    }

    /// A sentence for an operator; empty when there is nothing to say.
    public var text: String {
        switch verdict {
        case .fits, .unknown: ""
        case .unsupported:
            "etcd \(serverVersion) is older than the data of etcd \(dataVersion): it starts, but etcd does not support it"
        case .refused:
            "etcd \(serverVersion) does not start on data of etcd \(dataVersion): it ends with '\(refusal ?? "")'"
        }
    }

    /// The version of etcd that the tag of a container image names, `3.5.15` of `registry.k8s.io/etcd:3.5.15-0`; `nil`
    /// for an image by digest alone or with a tag that is no version.
    public static func serverVersion(ofImage image: String) -> String? {
        let name = image.prefix { $0 != "@" }
        let last = name.split(separator: "/").last ?? name
        guard let colon = last.firstIndex(of: ":") else { return nil }
        var tag = last[last.index(after: colon)...]
        if tag.first == "v" { tag = tag.dropFirst() }
        let version = tag.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        return Release(String(version)) == nil ? nil : String(version)
    }

    /// Major and minor version, which decide; a patch level changes no data.
    private struct Release: Comparable {
        var major: Int
        var minor: Int

        init(major: Int, minor: Int) {
            (self.major, self.minor) = (major, minor)
        }

        init?(_ text: String) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 2 || parts.count == 3 else { return nil }
            func number(_ part: Substring) -> Int? {
                let digits = part.prefix { $0.isASCII && $0.isNumber }
                return (1...9).contains(digits.count) ? Int(digits) : nil
            }
            guard let major = number(parts[0]), let minor = number(parts[1]), parts[0].allSatisfy(\.isNumber) else {
                return nil
            }
            (self.major, self.minor) = (major, minor)
        }

        static func < (left: Release, right: Release) -> Bool {
            (left.major, left.minor) < (right.major, right.minor)
        }
    }
}
