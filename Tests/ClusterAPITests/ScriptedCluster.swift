import Glibc
import Reporting
import Synchronization
import SystemPackage
import TestSupport

@testable import ClusterAPI

/// A node with a kubeconfig, and an API server that answers from a list and notes what it was asked.
final class ScriptedCluster {
    struct Request: Sendable, Equatable {
        var method: String
        var path: String
        var type: String?
        var authorization: String?
        var body: String
    }

    struct Answer: Sendable {
        var status = 200
        var body: String
        var type = "application/json"
    }

    private final class State: Sendable {
        let requests = Mutex<[Request]>([])
        let answers = Mutex<[String: Answer]>([:])
    }

    static let pki = Result {
        let directory = try TemporaryDirectory()
        try Shell.output("\(repository.appending("scripts/testbed/certificates")) \(directory / "pki") ecdsa")
        return directory
    }

    static var repository: FilePath {
        var repository = FilePath(#filePath)
        for _ in 0..<3 { repository.removeLastComponent() }
        return repository
    }

    static func pki(_ name: String) throws -> FilePath { try pki.get() / "pki/\(name)" }

    let directory: TemporaryDirectory
    let root: FilePath
    let server: ScriptedServer
    private let state = State()

    init(certificate: String = "server-ip", clients: ScriptedServer.TLS.Clients? = nil) throws {
        directory = try TemporaryDirectory()
        root = directory / "root"
        try Shell.output("mkdir -p \(root)/etc/kubernetes")
        let state = self.state
        server = try ScriptedServer(
            tls: .init(
                certificate: Self.pki("\(certificate).crt"),
                key: Self.pki("\(certificate).key"),
                clients: clients ?? .signed(Self.pki("ca.crt"))
            )
        ) { peer in
            guard peer.isLetIn else { return }
            var isFirst = true
            while true {
                let (stream, fields, body) = try peer.readRequestWithFields(isFirst: isFirst)
                isFirst = false
                func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
                let request = Request(
                    method: value(":method") ?? "",
                    path: value(":path") ?? "",
                    type: value("content-type"),
                    authorization: value("authorization"),
                    body: String(decoding: body, as: UTF8.self)
                )
                state.requests.withLock { $0.append(request) }
                let answer =
                    state.answers.withLock { $0["\(request.method) \(request.path)"] }
                    ?? Answer(status: 404, body: "404 page not found\n", type: "text/plain")
                try peer.send(
                    .headers([(":status", "\(answer.status)"), ("content-type", answer.type)], stream: stream)
                )
                try peer.sendData(Array(answer.body.utf8), stream: stream)
                try peer.send(.data([], stream: stream, isLast: true))
            }
        }
    }

    var requests: [Request] { state.requests.withLock { $0 } }

    var cluster: KubernetesCluster { KubernetesCluster(root: root, cancellation: Cancellation()) }

    func answer(_ request: String, _ body: String, status: Int = 200, type: String = "application/json") {
        state.answers.withLock { $0[request] = Answer(status: status, body: body, type: type) }
    }

    static func fixture(_ name: String) throws -> String {
        try Shell.output("cat \(FilePath(#filePath).removingLastComponent())/Fixtures/\(name)")
    }

    /// A file in base64, as kubeconfigs hold it.
    static func base64(_ path: FilePath) throws -> String { try Shell.output("base64 -w0 \(path)") }

    /// The server's address.
    var url: String { "https://127.0.0.1:\(server.port)" }

    /// Writes a kubeconfig with everything inline; `cluster` and `user` replace its parts.
    func write(
        _ path: FilePath = "/etc/kubernetes/admin.conf",
        cluster: String? = nil,
        user: String? = nil,
        context: String = "admin@kubernetes"
    ) throws {
        let usual = """
            certificate-authority-data: \(try Self.base64(Self.pki("ca.crt")))
            server: \(url)
            """
        let identity = """
            client-certificate-data: \(try Self.base64(Self.pki("client.crt")))
            client-key-data: \(try Self.base64(Self.pki("client.key")))
            """
        func indented(_ text: String) -> String {
            text.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n")
        }
        let text = """
            apiVersion: v1
            kind: Config
            preferences: {}
            clusters:
            - name: other
              cluster: {server: "https://192.0.2.1:6443"}
            - cluster:
            \(indented(cluster ?? usual))
              name: kubernetes
            contexts:
            - context:
                cluster: kubernetes
                user: admin
              name: admin@kubernetes
            - {name: lost, context: {cluster: gone, user: admin}}
            current-context: \(context)
            users:
            - name: admin
              user:
            \(indented(user ?? identity))
            """
        let file = root.appending(path.components)
        try Shell.output(
            "mkdir -p \(file.removingLastComponent()); cat > \(file) <<'END-OF-FILE'\n\(text)\nEND-OF-FILE"
        )
    }
}
