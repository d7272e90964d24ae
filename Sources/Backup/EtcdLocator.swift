package import Files
package import NodeInterface
import Reporting
import SystemPackage
import YAML

/// Finds the etcd member of a node: where it listens and which files prove who we are.
package enum EtcdLocator {
    /// Finds the endpoint for a profile; `nil` when the profile has no etcd (`plain`) and nothing was said.
    ///
    /// Files that are found lie below the node's root; paths that the operator gives are taken as they are.
    package static func locate(
        in root: RootDirectory,
        profile: NodeProfile,
        nodeName: String,
        overrides: BackupRequest.EtcdChoice
    ) throws -> EtcdEndpoint? {
        var found: Found?
        let isComplete =
            overrides.endpoint != nil && overrides.authority != nil && overrides.certificate != nil
            && overrides.key != nil
        if !isComplete, !(overrides.endpoint?.hasPrefix("http://") ?? false) {
            switch profile {
            case .kubeadm: found = try fromStaticPod(in: root)
            case .openshift: found = try fromEnvironmentFile(in: root, nodeName: nodeName)
            case .plain: found = nil
            }
        }
        guard let url = overrides.endpoint ?? found?.url else { return nil }
        guard let address = ClientURL(url) else {
            throw BackupError.etcdURL(url: url, source: overrides.endpoint == nil ? found?.source : nil)
        }
        guard address.isSecure else { return EtcdEndpoint(host: address.host, port: address.port, tls: nil) }
        func file(_ override: String?, _ found: FilePath?, _ option: String) throws -> FilePath {
            if let override { return FilePath(override) }
            guard let found else { throw BackupError.etcdFileUnknown(option: option, url: url) }
            return root.path.appending(found.removingRoot().string)
        }
        return EtcdEndpoint(
            host: address.host,
            port: address.port,
            tls: EtcdEndpoint.TLSFiles(
                authority: try file(overrides.authority, found?.authority, "--etcd-cacert"),
                certificate: try file(overrides.certificate, found?.certificate, "--etcd-cert"),
                key: try file(overrides.key, found?.key, "--etcd-key")
            )
        )
    }

    /// What a node's files say about its etcd; paths are the node's.
    private struct Found {
        var url: String
        var authority: FilePath?
        var certificate: FilePath?
        var key: FilePath?
        /// The file that says so.
        var source: String
    }

    // MARK: kubeadm

    /// The command line of the container `etcd` in `/etc/kubernetes/manifests/etcd.yaml`.
    private static func fromStaticPod(in root: RootDirectory) throws -> Found? {
        let path = WellKnownPaths.staticPodManifests.appending("etcd.yaml")
        guard try root.exists(path) else { return nil }
        let pod = try StaticPod.read(path, in: root)
        let options = pod.options(ofContainer: "etcd")
        guard let url = preferredURL(options["listen-client-urls"]) ?? preferredURL(options["advertise-client-urls"])
        else { throw BackupError.etcdURL(url: "", source: path.string) }
        var found = Found(url: url, source: path.string)
        found.authority = options["trusted-ca-file"].map { FilePath($0) }
        // kubeadm makes a client certificate for probes; the API server's is next best, and the server's own
        // certificate is good for both uses on kubeadm nodes.
        let keys = WellKnownPaths.clusterKeys
        let pairs: [(FilePath?, FilePath?)] = [
            (keys.appending("etcd/healthcheck-client.crt"), keys.appending("etcd/healthcheck-client.key")),
            (keys.appending("apiserver-etcd-client.crt"), keys.appending("apiserver-etcd-client.key")),
            (options["cert-file"].map { FilePath($0) }, options["key-file"].map { FilePath($0) }),
        ]
        for case (let certificate?, let key?) in pairs {
            guard try root.exists(certificate), try root.exists(key) else { continue }
            found.certificate = certificate
            found.key = key
            break
        }
        return found
    }

    /// The URL to use out of a comma-separated list: one of this machine's loopback first, then the first.
    private static func preferredURL(_ list: String?) -> String? {
        let urls = (list ?? "").split(separator: ",").map { String($0) }
        return urls.first { url in
            guard let host = ClientURL(url)?.host else { return false }
            return host == "localhost" || host == "::1" || host.hasPrefix("127.")
        } ?? urls.first
    }

    // MARK: openshift

    /// `etcd.env`: the variables that the operator's own backup script uses.
    private static func fromEnvironmentFile(
        in root: RootDirectory,
        nodeName: String
    ) throws -> Found? {
        let path = WellKnownPaths.etcdEnvironment
        guard try root.exists(path) else { return nil }
        let text = String(decoding: try root.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
        let variables = environment(from: text)
        guard let url = endpointURL(from: variables, nodeName: nodeName) else {
            throw BackupError.etcdURL(url: variables["ETCDCTL_ENDPOINTS"] ?? "", source: path.string)
        }
        func certificateFile(_ name: String) throws -> FilePath? {
            guard let value = variables[name] else { return nil }
            let path = FilePath(value)
            if try root.exists(path) { return path }
            var moved = path
            guard moved.removePrefix(WellKnownPaths.etcdCertificatesInPod) else { return path }
            return WellKnownPaths.etcdCertificates.appending(moved.components)
        }
        return Found(
            url: url,
            authority: try certificateFile("ETCDCTL_CACERT"),
            certificate: try certificateFile("ETCDCTL_CERT"),
            key: try certificateFile("ETCDCTL_KEY"),
            source: path.string
        )
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
