internal import Files
public import NodeInterface
internal import RPC
internal import SystemPackage

extension CRIRuntime {
    /// How much of a container's log is looked at for its last line.
    static let logTailBytes = 16 << 10
    /// The longest line that is handed on, in characters.
    static let lineCharacters = 200

    /// What keeps the containers of a pod from running, sorted by container; empty when all of them run, or no runtime
    /// is running.
    /// - Throws: ``CRIError``, `Stopped`.
    public func troubles(ofPod name: String, images: [String]) throws -> [ContainerTrouble] {
        guard let pods = try pods() else { return [] }
        let exact = pods.filter { $0.name == name }
        let sandboxes = exact.isEmpty ? pods.filter { $0.name.hasPrefix("\(name)-") } : exact
        var troubles: [ContainerTrouble] = []
        for image in images where try self.image(named: image) == nil {
            troubles.append(ContainerTrouble(pod: name, container: "", reason: .imageMissing(image)))
        }
        let client = client()
        let list: PBListContainersResponse = try call(
            client,
            "RuntimeService/ListContainers",
            PBListContainersRequest()
        )
        let ids = Set(sandboxes.map(\.id))
        let containers = list.containers.filter { ids.contains($0.podSandboxID) }
        guard !containers.isEmpty else {
            if troubles.isEmpty {
                let reason = sandboxes.isEmpty ? ContainerTrouble.Reason.noSandbox : .notCreated
                troubles.append(ContainerTrouble(pod: name, container: "", reason: reason))
            }
            return troubles
        }
        let byName = Dictionary(grouping: containers) { $0.metadata.name }
        for (container, attempts) in byName.sorted(by: { $0.key < $1.key }) {
            let latest = attempts.sorted { ($0.createdAt, $0.metadata.attempt) > ($1.createdAt, $1.metadata.attempt) }
            let isRunning = latest[0].state == .containerRunning
            // Of one that runs again, the end before tells why it was started again.
            guard let ended = latest.first(where: { $0.state != .containerRunning }),
                let status = try status(of: ended.id, client)
            else { continue }
            // An init container that has done its work is no trouble.
            if status.state == .containerExited, status.exitCode == 0 { continue }
            troubles.append(
                ContainerTrouble(
                    pod: name,
                    container: Self.line(container),
                    reason: Self.reason(status),
                    starts: Int(ended.metadata.attempt) + 1,
                    isRunning: isRunning,
                    lastLine: status.logPath.isEmpty ? nil : lastLine(of: FilePath(status.logPath))
                )
            )
        }
        return troubles
    }

    private static func reason(_ status: PBContainerStatus) -> ContainerTrouble.Reason {
        let words = [status.reason, status.message].filter { !$0.isEmpty }.joined(separator: ": ")
        guard status.state == .containerExited, status.reason != "StartError" else {
            return .notStarted(words.isEmpty ? "the runtime gives no reason" : line(words))
        }
        let word = ["", "Error", "Completed"].contains(status.reason) ? nil : line(status.reason)
        return .exited(status: status.exitCode, word: word)
    }

    /// The status of a container; `nil` for one that is gone.
    private func status(of container: String, _ client: RPCClient) throws -> PBContainerStatus? {
        var request = PBContainerStatusRequest()
        request.containerID = container
        do {
            let answer: PBContainerStatusResponse = try call(client, "RuntimeService/ContainerStatus", request)
            return answer.status
        } catch let error as CRIError {
            if error.isNotFound { return nil }
            throw error
        }
    }

    /// The last line of a container's log that is not empty; `nil` when there is none, or it cannot be read.
    private func lastLine(of log: FilePath) -> String? {
        // ignored, each time: it only says more about a trouble that is known without it
        guard let root = try? RootDirectory(path: root), let file = try? root.open(log),
            let stat = try? FileStat(of: file.descriptor, path: log.string), stat.kind == .regular
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Self.logTailBytes)
        let start = max(0, stat.size - Int64(bytes.count))
        let count = bytes.withUnsafeMutableBytes { try? file.descriptor.read(fromAbsoluteOffset: start, into: $0) }
        return Self.lastLine(ofLog: bytes.prefix(count ?? 0))
    }

    /// The last line that is not empty of a log in the CRI's form: `TIME stdout|stderr F|P TEXT`.
    static func lastLine(ofLog bytes: some Collection<UInt8>) -> String? {
        for entry in bytes.split(separator: UInt8(ascii: "\n")).reversed() {
            let fields = entry.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
            guard fields.count == 4 else { continue }
            let text = line(String(decoding: fields[3], as: UTF8.self))
            if text.contains(where: { !$0.isWhitespace }) { return text }
        }
        return nil
    }

    /// A text of a runtime's or a container's as it may go to a terminal: one line without control characters.
    static func line(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(lineCharacters).map { scalar in
            let category = scalar.properties.generalCategory
            return category == .control || category == .format ? " " : Character(scalar)
        }
        return String(scalars)
    }
}
