import Archives
import Backup
import Files
import NodeInterface
import RecoveryPoints
import Reporting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("What the configuration says of backups, in a recovery") struct RecoverySettingsTests {
    /// Remembers where etcd was asked.
    private func remembering(_ node: RecoveryNode) -> Collected {
        let asked = Collected()
        let answer = node.etcd.status
        node.etcd.status = { endpoint in
            asked.add("\(endpoint) \(endpoint.tls?.certificate.string ?? "without a certificate")")
            guard let answer else { throw InjectedFault(call: "status") }
            return try answer(endpoint)
        }
        let stream = node.etcd.snapshot
        node.etcd.snapshot = { endpoint, sink in
            asked.add("snapshot of \(endpoint)")
            try stream?(endpoint, sink)
        }
        return asked
    }

    @Test("names etcd's endpoint and files: for the plan, the failed state, the waits and the doctor alike")
    func endpoint() async throws {
        let node = try await RecoveryNode()
        let asked = remembering(node)
        let say = { (request: inout RecoveryRequest) in
            request.backup.etcd.endpoint = "https://127.0.0.1:4379"
            request.backup.etcd.authority = "/keys/ca"
            request.backup.etcd.certificate = "/keys/cert"
            request.backup.etcd.key = "/keys/key"
        }
        #expect(try await node.recovery(say).plan().etcdRevisionNow == 12)
        var doctor = ReadinessRequest(recovery: node.request(), maxAge: .seconds(86_400), expiryWarning: .seconds(60))
        say(&doctor.recovery)
        _ = try await Readiness.examine(doctor, on: node.node, meter: ProgressMeter())
        var ending = try await node.begin(say)
        for _ in 0..<3 {
            guard case .needsReboot = ending else { break }
            try node.boot()
            ending = try await node.resume(say)
        }
        #expect(ending == .completed)
        #expect(
            Set(asked.all) == ["https://127.0.0.1:4379 /keys/cert", "snapshot of https://127.0.0.1:4379"]
        )
    }

    @Test("leaves paths and components out: of the failed state, and of what a recovery changes") func leftOut()
        async throws
    {
        let node = try await RecoveryNode()
        try Shell.output("echo mine > '\(node.root)/etc/site-secret'")
        try await node.recover {
            $0.backup.exclusions = ["etc/site-secret"]
            $0.backup.skippedComponents = [.machineConfig]
        }
        let failed = try #require(try RecoveryStore(path: node.store).newestFailedState())
        #expect(failed.manifest.component(.machineConfig) == nil)
        let index = try #require(failed.manifest.component(.etc)?.file(.index))
        let lines = try Shell.output("zstd -dcq '\(failed.path(of: index))'")
        #expect(lines.contains("left-by-the-upgrade") && !lines.contains("site-secret"))
        #expect(try node.read("etc/site-secret") == "mine")
    }
}
