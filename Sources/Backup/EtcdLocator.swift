import Certificates
package import Files
package import NodeInterface
import SystemPackage

/// Finds the etcd member of a node: where it listens and which files prove who we are.
package enum EtcdLocator {
    /// Finds the endpoint for a profile; `nil` when the profile has no etcd (`plain`) and nothing was said.
    ///
    /// Files that are found are below the node's root; paths that the operator gives are taken as they are. Of the
    /// client certificates the first one counts that can be read, belongs to its key and is valid now; else the first
    /// one that exists.
    /// - Parameter now: seconds since 1970-01-01 UTC.
    package static func locate(
        in root: RootDirectory,
        profile: NodeProfile,
        nodeName: String,
        overrides: BackupRequest.EtcdChoice,
        now: Int64
    ) throws -> EtcdEndpoint? {
        var found: EtcdPlace?
        let isComplete =
            overrides.endpoint != nil && overrides.authority != nil && overrides.certificate != nil
            && overrides.key != nil
        if !isComplete, !(overrides.endpoint?.hasPrefix("http://") ?? false) {
            found = try EtcdPlace.find(in: root, profile: profile, nodeName: nodeName)
        }
        guard overrides.endpoint != nil || found != nil else { return nil }
        let url = overrides.endpoint ?? preferredURL(found?.clientURLs ?? []) ?? ""
        guard let address = ClientURL(url) else {
            throw BackupError.etcdURL(url: url, source: overrides.endpoint == nil ? found?.source.string : nil)
        }
        guard address.isSecure else { return EtcdEndpoint(host: address.host, port: address.port, tls: nil) }
        let pair = try found.flatMap { place in
            // The operator's files are named, not guessed: one that is missing is an error with its name.
            try usablePair(of: place.pairs, in: root, now: now) ?? (profile == .openshift ? place.pairs.first : nil)
        }
        func file(_ override: String?, _ found: FilePath?, _ option: String) throws -> FilePath {
            if let override { return FilePath(override) }
            guard let found else { throw BackupError.etcdFileUnknown(option: option, url: url) }
            return try root.realPath(of: found)
        }
        return EtcdEndpoint(
            host: address.host,
            port: address.port,
            tls: EtcdEndpoint.TLSFiles(
                authority: try file(overrides.authority, found?.authority, "--etcd-cacert"),
                certificate: try file(overrides.certificate, pair?.certificate, "--etcd-cert"),
                key: try file(overrides.key, pair?.key, "--etcd-key")
            )
        )
    }

    /// The first pair that a server would take, else the first that exists; `nil` when none does.
    private static func usablePair(
        of pairs: [EtcdPlace.Pair],
        in root: RootDirectory,
        now: Int64
    ) throws -> EtcdPlace.Pair? {
        var first: EtcdPlace.Pair?
        for pair in pairs {
            guard try root.exists(pair.certificate), try root.exists(pair.key) else { continue }
            first = first ?? pair
            let certificate: [UInt8]
            let key: [UInt8]
            do throws(FilesError) {
                certificate = try root.readFile(pair.certificate, limitBytes: 1 << 20)
                key = try root.readFile(pair.key, limitBytes: 1 << 20)
            } catch {
                // A pair that cannot be read is none; the next one may be.
                continue
            }
            guard let own = Certificate.all(inPEM: certificate).first, own.notBefore <= now, own.notAfter >= now,
                Certificate.isPair(certificate, key: key)
            else { continue }
            return pair
        }
        return first
    }

    /// The URL to use out of several: one of this machine's loopback first, then the first; sockets of a file system
    /// (`unix://`), and what is no URL, do not count as long as there is another one.
    private static func preferredURL(_ urls: [String]) -> String? {
        urls.first { url in
            guard let host = ClientURL(url)?.host else { return false }
            return host == "localhost" || host == "::1" || host.hasPrefix("127.")
        } ?? urls.first { ClientURL($0) != nil } ?? urls.first
    }

    /// The endpoint of this node: its own entry by name, else the only one there is.
    ///
    /// The operator writes `NODE_<name>_ETCD_URL_HOST`, with every `-` and `.` of the name as `_`.
    static func endpointURL(from variables: [String: String], nodeName: String) -> String? {
        let name = String(nodeName.map { $0 == "-" || $0 == "." ? "_" : $0 })
        let endpoints = (variables["ETCDCTL_ENDPOINTS"] ?? "").split(separator: ",")
        if let host = variables["NODE_\(name)_ETCD_URL_HOST"] {
            // The variable has no port; the list of all members has.
            return endpoints.first { $0.hasPrefix("https://\(host):") }.map { String($0) } ?? "https://\(host):2379"
        }
        let hosts = variables.filter { $0.key.hasPrefix("NODE_") && $0.key.hasSuffix("_ETCD_URL_HOST") }
        if hosts.count == 1, let host = hosts.first?.value, endpoints.isEmpty {
            return "https://\(host):2379"
        }
        return endpoints.count == 1 ? String(endpoints[0]) : nil
    }

    /// Lines of `export KEY="value"` as a shell reads them: quotes go, a backslash keeps the next character.
    package static func environment(from text: String) -> [String: String] {
        var variables = [String: String]()
        for line in text.split(separator: "\n") {
            var rest = line.drop { $0 == " " || $0 == "\t" }
            if rest.hasPrefix("export ") { rest = rest.dropFirst(7) }
            guard let equals = rest.firstIndex(of: "="), !rest.hasPrefix("#") else { continue }
            var value = ""
            var quote: Character?
            var characters = rest[rest.index(after: equals)...].makeIterator()
            while let character = characters.next() {
                if character == "\\", quote != "'" {
                    if let next = characters.next() { value.append(next) }
                } else if character == quote {
                    quote = nil
                } else if quote == nil, character == "\"" || character == "'" {
                    quote = character
                } else {
                    value.append(character)
                }
            }
            variables[String(rest[..<equals])] = value
        }
        return variables
    }
}
