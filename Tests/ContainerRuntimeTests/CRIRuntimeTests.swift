import NodeInterface
import Reporting
import SwiftProtobuf
import Synchronization
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

    /// A runtime with a pod `p1` of one container that stops only when it is told to at once.
    private func stubbornRuntime(_ socket: FilePath, calls: Calls) throws -> ScriptedServer {
        try ScriptedServer(at: socket) { peer in
            var isFirst = true
            while true {
                let (stream, body) = try peer.readRequest(isFirst: isFirst)
                isFirst = false
                let message = Array(body.dropFirst(5))
                // The requests differ by what is in them: a pod's id, a container's id, or nothing.
                let id = message.count > 2 ? String(decoding: message[2...].prefix(2), as: UTF8.self) : ""
                let number = calls.add(id)
                func answer(_ bytes: [UInt8]) throws {
                    try peer.send(
                        .grpcHeaders(stream: stream),
                        .data(HTTP2Peer.message(bytes), stream: stream),
                        .trailers(status: 0, stream: stream)
                    )
                }
                switch (id, number) {
                case ("p1", 0): peer.wait()
                case ("p1", _), ("c1", _): try answer([])
                case ("", _):
                    var list = PBListContainersResponse()
                    for (container, pod) in [("c1", "p1"), ("c2", "p2")] {
                        var one = PBContainer()
                        one.id = container
                        one.podSandboxID = pod
                        one.state = .containerRunning
                        list.containers.append(one)
                    }
                    try answer(Array(try list.serializedBytes() as [UInt8]))
                default:
                    try peer.send(
                        .headers(
                            [
                                (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "2"),
                                ("grpc-message", "no"),
                            ],
                            stream: stream,
                            isLast: true
                        )
                    )
                }
            }
        }
    }

    @Test("kills the containers of a pod that does not stop in time, and of that pod alone")
    func stubborn() throws {
        let directory = try TemporaryDirectory()
        let calls = Calls()
        let server = try stubbornRuntime(directory / "crio.sock", calls: calls)
        let runtime = CRIRuntime(socket: directory / "crio.sock", cancellation: Cancellation())
        try runtime.stopPod("p1", limit: .milliseconds(200))
        #expect(calls.all == ["p1", "", "c1", "p1"])
        let error = #expect(throws: CRIError.self) { try runtime.stopPod("p3", limit: .seconds(20)) }
        #expect(error?.summary.hasPrefix("could not stop the pod sandbox 'p3': 'unix://") == true)
        #expect(error?.hint == "check what the runtime says about it: crictl -r unix://\(runtime.socket) inspectp p3")
        _ = server
    }
}

/// What a scripted runtime was called with, in order.
private final class Calls: Sendable {
    private let list = Mutex<[String]>([])

    /// Notes a call; says how often there was one like it before.
    func add(_ call: String) -> Int {
        list.withLock { list in
            defer { list.append(call) }
            return list.count { $0 == call }
        }
    }

    var all: [String] { list.withLock { $0 } }
}
