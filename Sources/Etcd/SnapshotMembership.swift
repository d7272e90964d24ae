/// The cluster that a restored data directory belongs to.
///
/// Numbers are the first eight bytes of SHA-1 sums, so that every member of a cluster comes to the same ones from the
/// same options. Source: etcd `membership/member.go`, `membership/cluster.go`, `client/pkg/types/urls.go`,
/// `urlsmap.go`, `config.go` `VerifyBootstrap`.
struct SnapshotMembership: Equatable {
    /// A member of the new cluster.
    struct Member: Equatable {
        var id: UInt64
        var name: String
        /// Sorted.
        var peerURLs: [String]
    }

    /// By number.
    let members: [Member]
    /// The one whose data directory is made.
    let local: Member
    let clusterID: UInt64

    /// The members' numbers, ascending.
    var ids: [UInt64] { members.map(\.id) }

    /// Makes the membership that `etcdutl snapshot restore` would make of the same options.
    ///
    /// - Throws: what is wrong with the options, as a sentence.
    init(name: String, initialCluster: String, token: String, advertisedURLs: [String]) throws(Refusal) {
        let advertised = try Self.urls(advertisedURLs)
        let cluster = try Self.parse(initialCluster)
        guard !name.isEmpty, let own = cluster[name] else {
            throw Refusal("the name '\(name)' is not in --initial-cluster '\(initialCluster)'")
        }
        if own != advertised {
            throw Refusal(
                "--initial-cluster has '\(own.joined(separator: ","))' for '\(name)', "
                    + "but --initial-advertise-peer-urls is '\(advertised.joined(separator: ","))'"
            )
        }
        let all = cluster.values.flatMap { $0 }
        guard Set(all).count == all.count else {
            throw Refusal("--initial-cluster '\(initialCluster)' has the same peer URL twice")
        }
        var members = [Member]()
        for (name, urls) in cluster {
            let id = Self.number(urls.joined().utf8 + Array(token.utf8))
            guard id != 0, !members.contains(where: { $0.id == id }) else {
                throw Refusal("the peer URLs of '\(name)' make a member number that cannot be used")
            }
            members.append(Member(id: id, name: name, peerURLs: urls))
        }
        members.sort { $0.id < $1.id }
        // The history of the old store, which has an event a member, has room for 1000.
        guard members.count <= 1000 else { throw Refusal("--initial-cluster has more than 1000 members") }
        self.members = members
        local = members.first { $0.name == name }!
        clusterID = Self.number(members.flatMap { member in withUnsafeBytes(of: member.id.bigEndian) { Array($0) } })
    }

    /// Why options cannot be used.
    struct Refusal: Error, Equatable {
        let text: String

        init(_ text: String) { self.text = text }
    }

    private static func number(_ bytes: [UInt8]) -> UInt64 {
        SHA1.digest(of: bytes)[..<8].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Reads `NAME=URL,NAME=URL`; a name that comes twice has two URLs.
    private static func parse(_ text: String) throws(Refusal) -> [String: [String]] {
        var raw = [String: [String]]()
        for entry in text.split(separator: ",") {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            raw[String(parts[0]), default: []].append(parts.count == 2 ? String(parts[1]) : "")
        }
        var cluster = [String: [String]]()
        for (name, urls) in raw {
            guard !name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
                throw Refusal("a name in --initial-cluster has control characters")
            }
            cluster[name] = try Self.urls(urls)
        }
        return cluster
    }

    /// Checks peer URLs and sorts them.
    private static func urls(_ raw: [String]) throws(Refusal) -> [String] {
        guard !raw.isEmpty else { throw Refusal("there is no peer URL") }
        var urls = [String]()
        for url in raw { urls.append(try Self.url(url)) }
        return urls.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// Takes `https://HOST:PORT` as it was typed but for spaces around it; host names are not looked up.
    private static func url(_ raw: String) throws(Refusal) -> String {
        let text = raw.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed()
        let url = String(String.UnicodeScalarView(text.flatMap(\.unicodeScalars)))
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        else { throw Refusal("the peer URL '\(url)' has characters that no URL has") }
        guard let separator = url.firstRange(of: "://") else {
            throw Refusal("the peer URL '\(url)' does not start with https:// or http://")
        }
        let scheme = url[..<separator.lowerBound].lowercased()
        let rest = url[separator.upperBound...]
        if scheme == "unix" || scheme == "unixs", !rest.isEmpty { return "\(scheme)://\(rest)" }
        guard scheme == "http" || scheme == "https" else {
            throw Refusal("the peer URL '\(url)' does not start with https:// or http://")
        }
        guard !rest.contains(where: { "/?#@".contains($0) }) else {
            throw Refusal("the peer URL '\(url)' has more than a host and a port")
        }
        guard let colon = rest.lastIndex(of: ":") else { throw Refusal("the peer URL '\(url)' has no port") }
        let host = rest[..<colon]
        let port = rest[rest.index(after: colon)...]
        guard let number = Int(port), (1...65535).contains(number), port.allSatisfy(\.isNumber) else {
            throw Refusal("the peer URL '\(url)' has no port")
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]") && host.count > 2
        let name = isBracketed ? host.dropFirst().dropLast() : host
        guard !name.isEmpty, !name.contains("["), !name.contains("]"), isBracketed || !name.contains(":") else {
            throw Refusal("the peer URL '\(url)' has no proper host; an IPv6 address needs brackets")
        }
        return "\(scheme)://\(rest)"
    }
}
