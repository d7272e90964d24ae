internal import Files
internal import FoundationEssentials
internal import RPC
internal import SystemPackage
internal import YAML

/// How to reach an API server and prove who we are, from the current context of a kubeconfig.
///
/// Certificates and keys are inline (`…-data`, base64) or in files, whose paths are looked up below the node's root;
/// inline ones win, and so does a token in a file over an inline one, as in `kubectl`. What would need a program or a
/// proxy is refused, and so is a server that is not to be verified. Source: client-go `tools/clientcmd/api/v1/types.go`
/// and `tools/clientcmd/client_config.go`.
struct Kubeconfig {
    let server: ServerURL
    let tls: RPCTarget.TLSFiles
    let token: String?

    /// What a kubeconfig, and each file that it names, may hold at most.
    static let limitBytes = 1 << 20

    /// Reads the kubeconfig at `path`, a path below the root.
    init(_ path: FilePath, in root: RootDirectory) throws(ClusterError) {
        let reader = Reader(path: path, root: root)
        let document = try reader.document()
        guard let name = document["current-context"]?.string, !name.isEmpty else {
            throw reader.unusable("it has no 'current-context'")
        }
        let context = try reader.named(name, in: document["contexts"], "context")
        guard let clusterName = context["cluster"]?.string, let userName = context["user"]?.string else {
            throw reader.unusable("its context '\(name)' names no cluster or no user")
        }
        let cluster = try reader.named(clusterName, in: document["clusters"], "cluster")
        let user = try reader.named(userName, in: document["users"], "user")

        if cluster["insecure-skip-tls-verify"]?.bool == true {
            throw reader.unusable("it trusts every server ('insecure-skip-tls-verify'), which is not supported")
        }
        for key in ["proxy-url"] where cluster[key]?.string != nil {
            throw reader.unusable("'\(key)' of its cluster is not supported")
        }
        for key in ["exec", "auth-provider", "username", "as"] {
            if let value = user[key], !value.isNull { throw reader.unusable("'\(key)' of its user is not supported") }
        }
        guard let address = cluster["server"]?.string, let server = ServerURL(address) else {
            throw reader.unusable("its cluster '\(clusterName)' has no 'server' that starts with https://")
        }
        self.server = server
        guard let authority = try reader.pem("certificate-authority", of: cluster) else {
            throw reader.unusable("its cluster '\(clusterName)' names no 'certificate-authority'")
        }
        let certificate = try reader.pem("client-certificate", of: user)
        let key = try reader.pem("client-key", of: user)
        var identity: RPCTarget.TLSFiles.Identity?
        switch (certificate, key) {
        case (let certificate?, let key?): identity = .init(certificate: certificate, key: key)
        case (nil, nil): break
        default: throw reader.unusable("its user '\(userName)' has a certificate without a key, or a key without one")
        }
        tls = RPCTarget.TLSFiles(
            authority: authority,
            identity: identity,
            serverName: cluster["tls-server-name"]?.string
        )
        token = try reader.token(of: user)
        if identity == nil, token == nil {
            throw reader.unusable("its user '\(userName)' has neither a certificate nor a token")
        }
    }
}

/// A kubeconfig that is being read; its errors never hold any of its values but names.
private struct Reader {
    let path: FilePath
    let root: RootDirectory

    func unusable(_ what: String) -> ClusterError { ClusterError(.unusable(root.fullPath(of: path), what)) }

    func document() throws(ClusterError) -> YAMLNode {
        let bytes = try file(path)
        do { return try YAMLNode(reading: bytes, name: root.fullPath(of: path).operatorText) } catch {
            throw ClusterError(.notYAML(error))
        }
    }

    /// The value of the entry with a name: `contexts: [{name: X, context: {…}}]`.
    func named(_ name: String, in list: YAMLNode?, _ kind: String) throws(ClusterError) -> YAMLNode {
        guard let value = list?.items.first(where: { $0["name"]?.string == name })?[kind] else {
            throw unusable("it has no \(kind) '\(name)'")
        }
        return value
    }

    /// A PEM text: inline, or in the file that is named.
    func pem(_ key: String, of node: YAMLNode) throws(ClusterError) -> PEM? {
        if let text = node["\(key)-data"]?.string, !text.isEmpty {
            guard let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters), !data.isEmpty else {
                throw unusable("'\(key)-data' is not base64")
            }
            return PEM(Array(data), from: root.fullPath(of: path))
        }
        guard let name = node[key]?.string, !name.isEmpty else { return nil }
        let file = place(of: name)
        return PEM(try self.file(file), from: root.fullPath(of: file))
    }

    func token(of user: YAMLNode) throws(ClusterError) -> String? {
        let text: String
        if let name = user["tokenFile"]?.string, !name.isEmpty {
            text = String(decoding: try file(place(of: name)), as: UTF8.self)
        } else if let inline = user["token"]?.string, !inline.isEmpty {
            text = inline
        } else {
            return nil
        }
        let token = text.split(whereSeparator: \.isWhitespace)
        // It goes into a header; what is no token could end the header and start another one.
        guard token.count == 1, token[0].utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw unusable("its token is not one word")
        }
        return String(token[0])
    }

    /// A path in a kubeconfig is relative to its directory.
    private func place(of name: String) -> FilePath {
        path.removingLastComponent().pushing(FilePath(name))
    }

    private func file(_ path: FilePath) throws(ClusterError) -> [UInt8] {
        do { return try root.readFile(path, limitBytes: Kubeconfig.limitBytes) } catch {
            throw ClusterError(.file(error))
        }
    }
}
