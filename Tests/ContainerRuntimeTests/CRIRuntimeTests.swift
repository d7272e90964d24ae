import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import ContainerRuntime

@Suite("The container runtime") struct CRIRuntimeTests {
    private func image(_ id: String, tags: [String] = [], digests: [String] = []) -> PBImage {
        var image = PBImage()
        image.id = id
        image.repoTags = tags
        image.repoDigests = digests
        image.size = .max
        image.pinned = true
        return image
    }

    private func container(ref: String, id: String = "", pod: String? = "pod", name: String = "main") -> PBContainer {
        var container = PBContainer()
        container.imageRef = ref
        container.imageID = id
        container.metadata.name = name
        if let pod {
            container.labels = [
                "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.name": pod,
                "io.kubernetes.container.name": name,
            ]
        }
        return container
    }

    @Test("finds the users of an image by its id, by its digest, and by the id in its own field")
    func users() {
        let images = [
            image("sha256:bb", tags: ["r/b:2", "r/b:1"], digests: ["r/b@sha256:22"]), image("sha256:aa"),
            image("sha256:cc"),
        ]
        let containers = [
            container(ref: "sha256:aa", pod: "web"), container(ref: "sha256:aa", pod: "db"),
            container(ref: "sha256:aa", pod: "db"), container(ref: "r/b@sha256:22", pod: nil, name: "lonely"),
            container(ref: "r/b@sha256:99", id: "sha256:bb", pod: "new"),
        ]
        #expect(
            CRIRuntime.joined(images, containers) == [
                ContainerImage(
                    id: "sha256:aa",
                    tags: [],
                    digests: [],
                    sizeBytes: .max,
                    isPinned: true,
                    usedBy: ["default/db/main", "default/web/main"]
                ),
                ContainerImage(
                    id: "sha256:bb",
                    tags: ["r/b:1", "r/b:2"],
                    digests: ["r/b@sha256:22"],
                    sizeBytes: .max,
                    isPinned: true,
                    usedBy: ["default/new/main", "lonely"]
                ),
                ContainerImage(id: "sha256:cc", tags: [], digests: [], sizeBytes: .max, isPinned: true, usedBy: []),
            ]
        )
    }

    @Test("says that it speaks only an older version of the interface")
    func old() throws {
        let directory = try TemporaryDirectory()
        let socket = directory / "crio.sock"
        let server = try ScriptedServer(at: socket) { peer in
            let (stream, _) = try peer.readRequest()
            try peer.send(
                .headers(
                    [
                        (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12"),
                        ("grpc-message", "unknown service runtime.v1.RuntimeService"),
                    ],
                    stream: stream,
                    isLast: true
                )
            )
            peer.wait()
        }
        let runtime = CRIRuntime(socket: socket, cancellation: Cancellation())
        let error = #expect(throws: CRIError(socket, .noV1)) { try runtime.runtime() }
        #expect(
            error?.summary == "the container runtime at '\(socket)' does not serve version v1 of the CRI"
        )
        _ = server
    }

    @Test("that is not there has no name; one that nobody serves any more is an error")
    func missing() throws {
        let directory = try TemporaryDirectory()
        let socket = directory / "crio.sock"
        let runtime = CRIRuntime(socket: socket, cancellation: Cancellation())
        #expect(try runtime.runtime() == nil)
        _ = try ScriptedServer(at: socket) { _ in }
        let error = #expect(throws: CRIError.self) { try runtime.runtime() }
        #expect(error?.summary == "cannot connect to 'unix://\(socket)': Connection refused")
        #expect(error?.exitStatus == .unavailable)
    }
}
