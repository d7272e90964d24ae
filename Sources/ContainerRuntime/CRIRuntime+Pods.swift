public import NodeInterface
internal import RPC

extension CRIRuntime: PodInterface {
    /// How long a container may take to be gone once it is killed.
    static let killLimit = Duration.seconds(15)

    /// Every sandbox, up or not, sorted by namespace and name; `nil` when the socket file does not exist.
    /// - Throws: ``CRIError``, `Stopped`.
    public func pods() throws -> [PodSandbox]? {
        let answer: PBListPodSandboxResponse
        do {
            answer = try call(client(), "RuntimeService/ListPodSandbox", PBListPodSandboxRequest())
        } catch let error as CRIError {
            if error.fault == .call(.socketMissing) { return nil }
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

    /// Every container, running or not, sorted by pod, name and attempt.
    ///
    /// The list has no exit statuses; each container that has ended is asked for its own. One that is removed
    /// meanwhile has none.
    /// - Throws: ``CRIError``, `Stopped`.
    public func podContainers() throws -> [PodContainer] {
        let client = client()
        let list: PBListContainersResponse = try call(
            client,
            "RuntimeService/ListContainers",
            PBListContainersRequest()
        )
        return try list.containers
            .map { container in
                PodContainer(
                    name: container.metadata.name,
                    podID: container.podSandboxID,
                    isRunning: container.state == .containerRunning,
                    exitStatus: container.state == .containerExited ? try exitStatus(of: container.id, client) : nil,
                    attempt: Int(container.metadata.attempt)
                )
            }
            .sorted { ($0.podID, $0.name, $0.attempt) < ($1.podID, $1.name, $1.attempt) }
    }

    /// Stops what runs in a sandbox, and the sandbox; one that is stopped or gone stays as it is.
    ///
    /// What does not stop within `limit` is killed, container by container, and then the sandbox is stopped once more.
    /// - Throws: ``CRIError``, `Stopped`.
    public func stopPod(_ id: String, limit: Duration) throws {
        var request = PBStopPodSandboxRequest()
        request.podSandboxID = id
        let client = client()
        let end = ContinuousClock.now + limit
        do {
            return try change(client, "stop", id, "RuntimeService/StopPodSandbox", request, limit: limit)
        } catch let error as CRIError {
            // Which side noticed that the time was over, and how it says so, differs from runtime to runtime.
            guard .now >= end else { throw error }
        }
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
        try change(client, "stop", id, "RuntimeService/StopPodSandbox", request, limit: Self.killLimit)
    }

    /// Removes a stopped sandbox with its containers; one that is gone stays so.
    /// - Throws: ``CRIError``, `Stopped`.
    public func removePod(_ id: String, limit: Duration) throws {
        var request = PBRemovePodSandboxRequest()
        request.podSandboxID = id
        try change(client(), "remove", id, "RuntimeService/RemovePodSandbox", request, limit: limit)
    }

    private func exitStatus(of container: String, _ client: RPCClient) throws -> Int32? {
        var request = PBContainerStatusRequest()
        request.containerID = container
        do {
            let answer: PBContainerStatusResponse = try call(client, "RuntimeService/ContainerStatus", request)
            return answer.status.state == .containerExited ? answer.status.exitCode : nil
        } catch let error as CRIError {
            if error.isNotFound { return nil }
            throw error
        }
    }
}
