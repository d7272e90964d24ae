import ContainerRuntime
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
