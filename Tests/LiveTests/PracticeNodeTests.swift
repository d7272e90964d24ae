import OSTree
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("The practice node", .enabled(if: Tier.live.isWanted, Tier.live.comment)) struct PracticeNodeTests {
    @Test("stands in its folder with a live etcd and ends when it is told to", arguments: ["kubeadm", "openshift"])
    func stands(profile: String) async throws {
        let directory = try TemporaryDirectory()
        let root = directory / "node"
        let script = OSTreeTests.script("practice-node")
        defer { _ = try? Shell.run("\(script) --stop \(root)") }  // ignored: the test has failed already
        try Shell.output("\(script) --profile \(profile) --objects 500 \(root)")
        let keys = try Shell.output(
            ". \(root)/.practice/env; etcdctl get --prefix /registry/pods --keys-only | grep -c ^/"
        )
        #expect(keys == "84\n")
        #expect(try await OSTreeDeployments(root: root, cancellation: Cancellation()).deployments()?.count == 2)
        #expect(try Shell.run("\(script) \(root)").status == 73)
        try Shell.output("\(script) --stop \(root)")
        #expect(
            try Shell.run("grep -lzxF -- --data-dir=\(root)/var/lib/etcd /proc/[0-9]*/cmdline 2>/dev/null").output == ""
        )
    }
}
