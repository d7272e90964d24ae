internal import Glibc
public import NodeInterface
internal import RPC
public import Reporting
internal import SwiftProtobuf
public import SystemPackage

/// The node's container runtime, over the Container Runtime Interface `v1` on its Unix socket.
public struct CRIRuntime: ContainerInterface {
    /// The socket file: the first one that exists now, one that is served before one that a runtime which is gone has
    /// left; else the first one.
    ///
    /// A runtime removes its socket when it stops and makes it when it starts; one that is killed leaves it.
    public var socket: FilePath {
        let present = sockets.filter { path in path.withPlatformString { access($0, F_OK) } == 0 }
        guard present.count > 1 else { return present.first ?? sockets[0] }
        return present.first { !RPCTarget.refusesConnections(at: $0) } ?? present[0]
    }

    /// The node's `/`, for the runtime's configuration and its logs.
    let root: FilePath
    private let sockets: [FilePath]
    private let limit: Duration
    private let cancellation: Cancellation

    /// A runtime that listens at `socket`; nothing is connected yet.
    /// - Parameter root: the node's `/`, where the runtime's configuration is.
    /// - Parameter limit: how long one call may take.
    public init(
        socket: FilePath,
        root: FilePath = "/",
        limit: Duration = .seconds(30),
        cancellation: Cancellation
    ) {
        self.init(sockets: [socket], root: root, limit: limit, cancellation: cancellation)
    }

    /// The runtime that listens at one of these sockets; which one is looked up again for every call.
    /// - Precondition: there is at least one.
    public init(
        sockets: [FilePath],
        root: FilePath = "/",
        limit: Duration = .seconds(30),
        cancellation: Cancellation
    ) {
        precondition(!sockets.isEmpty, "a runtime has a socket")
        self.root = root
        self.sockets = sockets
        self.limit = limit
        self.cancellation = cancellation
    }

    /// The runtime's name and version, `containerd 1.6.20`; `nil` when none is running: there is no socket file, or the
    /// kernel refuses connections to it because nobody serves it any more.
    /// - Throws: ``CRIError``, `Stopped`.
    public func runtime() throws -> String? {
        do {
            let answer: PBVersionResponse = try call(client(), "RuntimeService/Version", PBVersionRequest())
            return "\(answer.runtimeName) \(answer.runtimeVersion)"
        } catch let error as CRIError where error.isRuntimeMissing {
            return nil
        }
    }

    /// Every image that the runtime has, with the containers that use it, running or not; sorted by id.
    /// - Throws: ``CRIError``, `Stopped`.
    public func images() throws -> [ContainerImage] {
        let client = client()
        let images: PBListImagesResponse
        do { images = try call(client, "ImageService/ListImages", PBListImagesRequest()) } catch let error as CRIError {
            if case .call(.status(let status)) = error.fault { throw CRIError(socket, .imageList(status)) }
            throw error
        }
        let containers: PBListContainersResponse = try call(
            client,
            "RuntimeService/ListContainers",
            PBListContainersRequest()
        )
        return Self.joined(images.images, containers.containers)
    }

    /// Puts containers to the images that they use.
    ///
    /// Runtimes name a container's image in different ways: by its id (containerd), by name and digest (CRI-O), and
    /// newer ones by id in a field of its own.
    static func joined(_ images: [PBImage], _ containers: [PBContainer]) -> [ContainerImage] {
        var users: [String: Set<String>] = [:]
        for container in containers {
            let labels = container.labels
            let parts = [
                labels["io.kubernetes.pod.namespace"],
                labels["io.kubernetes.pod.name"],
                labels["io.kubernetes.container.name"] ?? container.metadata.name,
            ]
            let name = parts.contains(nil) ? container.metadata.name : parts.compactMap(\.self).joined(separator: "/")
            for reference in [container.imageID, container.imageRef] where !reference.isEmpty {
                users[reference, default: []].insert(name)
            }
        }
        return images.map { image in
            let names = [image.id] + image.repoTags + image.repoDigests
            return ContainerImage(
                id: image.id,
                tags: image.repoTags.sorted(),
                digests: image.repoDigests.sorted(),
                sizeBytes: Int64(clamping: image.size),
                isPinned: image.pinned,
                usedBy: names.reduce(into: Set()) { $0.formUnion(users[$1] ?? []) }.sorted()
            )
        }
        .sorted { $0.id < $1.id }
    }

    func client() -> RPCClient {
        RPCClient(.unix(socket), cancellation: cancellation)
    }

    func call<Answer: Message>(_ client: RPCClient, _ method: String, _ request: some Message) throws -> Answer {
        let bytes: [UInt8]
        do {
            // A node with thousands of images and containers answers in one message.
            bytes = try send(client, method, request, RPCLimits(total: limit, messageBytes: 64 << 20))
        } catch let error as RPCError {
            if case .status(let status) = error.fault, status.code == GRPCStatus.unimplemented {
                throw CRIError(socket, .noV1)
            }
            throw CRIError(socket, .call(error.fault))
        }
        do { return try Answer(serializedBytes: bytes) } catch is BinaryDecodingError {
            throw CRIError(socket, .undecodable(method))
        }
    }

    /// Has something done to a pod's sandbox; a sandbox that no longer exists is done.
    func change(
        _ client: RPCClient,
        _ action: String,
        _ pod: String,
        _ method: String,
        _ request: some Message,
        limit: Duration
    ) throws {
        do {
            // The runtime is silent until it is done.
            _ = try send(client, method, request, RPCLimits(total: limit, stall: max(limit, .seconds(1))))
        } catch let error as RPCError {
            let failure = CRIError(socket, .pod(action: action, id: pod, error.fault))
            if !failure.isNotFound { throw failure }
        }
    }

    private func send(_ client: RPCClient, _ method: String, _ request: some Message, _ limits: RPCLimits) throws
        -> [UInt8]
    {
        try client.unary("/runtime.v1.\(method)", request.serializedBytes(), limits: limits)
    }
}
