import ContainerRuntime
import Glibc
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("A live containerd", .serialized, .enabled(if: Tier.live.isWanted, Tier.live.comment))
final class ContainerRuntimeTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    deinit {
        // ignored: a leftover of a test is not the test's failure
        _ = try? Shell.run("\(testbed("containerd-down")) \(directory / "containerd")")
    }

    private func start(without plugin: String = "") throws -> CRIRuntime {
        let socket = try Shell.output("\(testbed("containerd-up")) \(directory / "containerd") \(plugin)").trimmed
        return CRIRuntime(socket: FilePath(socket), cancellation: Cancellation())
    }

    @Test("tells its name and its images, and which containers use them")
    func images() throws {
        let runtime = try start()
        #expect(try runtime.runtime()?.hasPrefix("containerd 1.") == true)
        #expect(try runtime.images().isEmpty)

        let images = directory / "images"
        try Shell.output("\(testbed("oci-images")) \(images)")
        for name in ["pause", "busybox"] {
            try Shell.output("ctr --address \(runtime.socket) --namespace k8s.io image import \(images)/\(name).tar")
        }
        try Shell.output(
            "\(testbed("pod-up")) \(runtime.socket) kube-system etcd-node etcd localhost/busybox:test -c 'sleep 1000'"
        )

        let list = try runtime.images()
        #expect(list.map(\.id) == list.map(\.id).sorted())
        let busybox = try #require(list.first { $0.tags == ["localhost/busybox:test"] })
        #expect(busybox.id.hasPrefix("sha256:"))
        #expect(busybox.sizeBytes > 100_000)
        #expect(busybox.usedBy == ["kube-system/etcd-node/etcd"])
        let pause = try #require(list.first { $0.tags == ["localhost/pause:test"] })
        #expect(pause.usedBy.isEmpty)
        #expect(try runtime.image(named: "localhost/busybox:test")?.id == busybox.id)
        #expect(try runtime.image(named: busybox.id)?.tags == busybox.tags)
        #expect(try runtime.image(named: "localhost/none:1") == nil)
        #expect(try runtime.sandboxImage() == SandboxImage(name: "localhost/pause:test", source: .runtime))
    }

    @Test("tells its pods and their containers, stops them in time or kills them, and removes them")
    func pods() throws {
        let runtime = try start()
        #expect(try runtime.pods() == [])
        let images = directory / "images"
        try Shell.output("\(testbed("oci-images")) \(images)")
        for name in ["pause", "busybox"] {
            try Shell.output("ctr --address \(runtime.socket) --namespace k8s.io image import \(images)/\(name).tar")
        }
        func up(_ pod: String, _ command: String) throws -> String {
            let line =
                "\(testbed("pod-up")) \(runtime.socket) kube-system \(pod) main localhost/busybox:test -c '\(command)'"
            return String(try Shell.output(line).trimmed.split(separator: " ")[0])
        }
        let etcd = try up("etcd-node", "sleep 1000")
        let done = try up("installer-1-node", "exit 3")
        // busybox's shell as process 1 gets no signal that it does not handle; SIGTERM it is told to pass over.
        let stubborn = try up("stubborn", "trap : TERM; while :; do sleep 1; done")

        let pods = try #require(try runtime.pods())
        #expect(pods.map(\.name) == ["etcd-node", "installer-1-node", "stubborn"])
        #expect(pods.map(\.id) == [etcd, done, stubborn])
        #expect(pods.allSatisfy { $0.isReady && $0.namespace == "kube-system" })
        #expect(try runtime.troubles(ofPod: "etcd", images: ["localhost/busybox:test"]).isEmpty)
        var troubles: [ContainerTrouble] = []
        for _ in 0..<100 where troubles.isEmpty {
            troubles = try runtime.troubles(ofPod: "installer-1-node", images: [])
            usleep(50_000)
        }
        #expect(troubles.map(\.reason) == [.exited(status: 3, word: nil)])
        #expect(troubles.map(\.starts) == [1])
        #expect(
            try runtime.troubles(ofPod: "kube-apiserver", images: ["localhost/none:1"]).map(\.text)
                == ["image 'localhost/none:1' is missing"]
        )
        #expect(
            try runtime.troubles(ofPod: "kube-apiserver", images: []).map(\.reason) == [.noSandbox]
        )

        for pod in [etcd, done, stubborn] {
            try runtime.stopPod(pod, limit: .seconds(20))
            try runtime.stopPod(pod, limit: .seconds(20))
        }
        #expect(try runtime.pods()?.contains(where: \.isReady) == false)
        #expect(
            try runtime.troubles(ofPod: "stubborn", images: []).map(\.reason) == [.exited(status: 137, word: nil)]
        )
        for pod in [etcd, done, stubborn] {
            try runtime.removePod(pod, limit: .seconds(20))
            try runtime.removePod(pod, limit: .seconds(20))
            try runtime.stopPod(pod, limit: .seconds(20))
        }
        #expect(try runtime.pods() == [])
    }

    @Test("without the CRI is told apart from one that is not there")
    func withoutCRI() throws {
        let missing = CRIRuntime(socket: directory / "none.sock", cancellation: Cancellation())
        #expect(try missing.runtime() == nil)
        #expect(throws: CRIError.self) { try missing.images() }

        let runtime = try start(without: "io.containerd.grpc.v1.cri")
        let error = #expect(throws: CRIError.self) { try runtime.runtime() }
        #expect(error?.fault == .noV1)
    }
}
