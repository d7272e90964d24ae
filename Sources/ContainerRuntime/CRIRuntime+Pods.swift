public import NodeInterface
internal import RPC

extension CRIRuntime: PodInterface {
    /// How long a container may take to end once it is killed.
    static let killLimit = Duration.seconds(15)

    /// Every sandbox, up or not, sorted by namespace and name; `nil` when no runtime is running, as
    /// in ``runtime()``.
    /// - Throws: ``CRIError``, `Stopped`.
    public func pods() throws -> [PodSandbox]? {
        let answer: PBListPodSandboxResponse
        do {
            answer = try call(client(), "RuntimeService/ListPodSandbox", PBListPodSandboxRequest())
        } catch let error as CRIError {
            if error.isRuntimeMissing { return nil }
            throw error
        }
        return answer.items
            .map { item in
                PodSandbox(
                    id: item.id,
                    namespace: item.metadata.namespace,
                    name: item.metadata.name,
                    isReady: item.state == .sandboxReady
                )
            }
            .sorted { ($0.namespace, $0.name, $0.id) < ($1.namespace, $1.name, $1.id) }
    }

    /// Stops what runs in a sandbox, and the sandbox; one that is stopped or gone stays as it is.
    ///
    /// What does not stop within `limit` is killed, container by container, and then the sandbox is stopped once more.
    /// - Throws: `StuckPod` when it does not end although it was killed; ``CRIError``, `Stopped`.
    public func stopPod(_ id: String, limit: Duration) throws {
        var request = PBStopPodSandboxRequest()
        request.podSandboxID = id
        let client = client()
        let end = ContinuousClock.now + limit
        do {
            return try change(client, "stop", id, "RuntimeService/StopPodSandbox", request, limit: limit)
        } catch let error as CRIError {
            guard Self.isOver(end, error) else { throw error }
        }
        do { try kill(id, client) } catch let error as CRIError {
            guard Self.isOver(nil, error) else { throw error }
            throw StuckPod(id: id, action: "stop", limit: limit + Self.killLimit)
        }
    }

    /// Kills the containers of a sandbox, and stops it once more.
    private func kill(_ id: String, _ client: RPCClient) throws {
        let list: PBListContainersResponse = try call(
            client,
            "RuntimeService/ListContainers",
            PBListContainersRequest()
        )
        for container in list.containers where container.podSandboxID == id && container.state != .containerExited {
            var kill = PBStopContainerRequest()
            kill.containerID = container.id
            kill.timeout = 0
            try change(client, "stop", id, "RuntimeService/StopContainer", kill, limit: Self.killLimit)
        }
        var request = PBStopPodSandboxRequest()
        request.podSandboxID = id
        try change(client, "stop", id, "RuntimeService/StopPodSandbox", request, limit: Self.killLimit)
    }

    /// Removes a stopped sandbox with its containers; one that is gone stays so.
    /// - Throws: `StuckPod` when it does not end; ``CRIError``, `Stopped`.
    public func removePod(_ id: String, limit: Duration) throws {
        var request = PBRemovePodSandboxRequest()
        request.podSandboxID = id
        let end = ContinuousClock.now + limit
        do {
            try change(client(), "remove", id, "RuntimeService/RemovePodSandbox", request, limit: limit)
        } catch let error as CRIError {
            guard Self.isOver(end, error) else { throw error }
            throw StuckPod(id: id, action: "remove", limit: limit)
        }
    }

    /// Whether a call failed because its time was over.
    ///
    /// Which side noticed that, and how it says so, differs from runtime to runtime: a status of gRPC (CRI-O has often
    /// UNKNOWN with the words of Go's context), a closed stream, or our own clock.
    private static func isOver(_ end: ContinuousClock.Instant?, _ error: CRIError) -> Bool {
        if let end, .now >= end { return true }
        guard case .pod(_, _, let fault) = error.fault else { return false }
        switch fault {
        case .deadline, .stalled: return true
        case .status(let status): return status.code == GRPCStatus.deadlineExceeded
        default: return false
        }
    }
}
