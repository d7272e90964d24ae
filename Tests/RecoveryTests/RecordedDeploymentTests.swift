import NodeInterface
import Reporting
import TestSupport
import Testing

@testable import Recovery

@Suite("The deployment that a recovery point recorded") struct RecordedDeploymentTests {
    private static func deployment(_ letter: Character, serial: Int = 0, isBooted: Bool) -> Deployment {
        Deployment(
            osName: "os",
            checksum: String(repeating: letter, count: 64),
            serial: serial,
            origin: "os:stable",
            version: "version-\(letter)",
            kernelArguments: ["root=LABEL=x", "rw"],
            isBooted: isBooted,
            isPinned: isBooted,
            isStaged: false
        )
    }

    @Test("is found by its name, else by its commit under another serial, else as what the repository can give again")
    func found() async throws {
        let node = try await RecoveryNode(breaks: false)
        node.deployments.present = [Self.deployment("a", isBooted: true)]
        node.deployments.pinning = { _ in }
        try Shell.output("rm -r '\(node.store)/points'")
        try await node.takePoint()
        func wanted() async throws -> Deployment? {
            try await Proof(node.request(), node: node.node).recordedDeployment()?.wanted
        }
        #expect(try await wanted() == Self.deployment("a", isBooted: true))
        let again = Self.deployment("a", serial: 1, isBooted: false)
        node.deployments.present = [Self.deployment("b", isBooted: true), again]
        #expect(try await wanted() == again)
        node.deployments.present = [Self.deployment("b", isBooted: true)]
        let error = await #expect(throws: RecoveryError.self) { try await wanted() }
        #expect(error?.exitStatus == .noInput)
        node.deployments.repository = [again.checksum]
        #expect(try await wanted() == Self.deployment("a", isBooted: false))
        node.deployments.present = nil
        #expect(try await wanted() == nil)
    }
}
