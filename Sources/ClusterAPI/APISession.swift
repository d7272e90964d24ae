internal import FoundationEssentials
internal import RPC
internal import Reporting
internal import SystemPackage

/// Requests to an API server as one kubeconfig says; the connection is made with the first.
struct APISession {
    private let kubeconfig: Kubeconfig
    private let path: FilePath
    private let client: RPCClient

    init(_ kubeconfig: Kubeconfig, path: FilePath, cancellation: Cancellation) {
        self.kubeconfig = kubeconfig
        self.path = path
        let server = kubeconfig.server
        client = RPCClient(.tcp(host: server.host, port: server.port, tls: kubeconfig.tls), cancellation: cancellation)
    }

    /// Sends a request, whatever the answer's status.
    func send(_ method: String, _ path: String, body: Data = Data(), type: String? = nil) throws -> HTTPResponse {
        var headers = [
            (name: "accept", value: "application/json, text/plain"), (name: "user-agent", value: "node-recovery"),
        ]
        if let type { headers.append((name: "content-type", value: type)) }
        if let token = kubeconfig.token { headers.append((name: "authorization", value: "Bearer \(token)")) }
        do {
            return try client.request(
                method,
                kubeconfig.server.prefix + path,
                headers: headers,
                body: Array(body),
                limits: RPCLimits(
                    total: KubernetesCluster.limit,
                    connect: .seconds(5),
                    stall: KubernetesCluster.limit,
                    messageBytes: KubernetesCluster.limitBytes
                )
            )
        } catch let error as RPCError {
            throw ClusterError(.call(error, kubeconfig: self.path))
        }
    }

    /// Asks for an object; `nil` when the server has none of this name or of this kind.
    func get<Object: Decodable>(_ path: String, _ action: String) throws -> Object? {
        let answer = try send("GET", path)
        if answer.status == 404 { return nil }
        return try decode(answer, action) as Object
    }

    /// The object of an answer.
    /// - Throws: the server's refusal when there is none.
    func decode<Object: Decodable>(_ answer: HTTPResponse, _ action: String) throws(ClusterError) -> Object {
        guard answer.isSuccess else { throw refusal(answer, action) }
        do { return try JSONDecoder().decode(Object.self, from: Data(answer.body)) } catch {
            throw ClusterError(.undecodable(server: "\(client.target)", action: action))
        }
    }

    /// The error for an answer that is none.
    func refusal(_ answer: HTTPResponse, _ action: String) -> ClusterError {
        // ignored: what is no object of the API's is shown as the text that it is
        let status = try? JSONDecoder().decode(APIStatus.self, from: Data(answer.body))
        let message = status?.message ?? String(decoding: answer.body.prefix(2000), as: UTF8.self)
        return ClusterError(
            .refused(
                server: "\(client.target)",
                action: action,
                status: answer.status,
                message: Self.printable(message),
                kubeconfig: path
            )
        )
    }

    /// A text of the server's on one line, without control characters, at most 300 characters.
    static func printable(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: "; ")
        return String(
            line.unicodeScalars.filter { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }.prefix(300).map(
                Character.init
            )
        )
    }
}

extension HTTPResponse {
    /// Whether the server did what it was asked.
    var isSuccess: Bool { (200...299).contains(status) }
}
