internal import Files
public import NodeInterface
public import Reporting
public import SystemPackage

/// The etcd member of a node: asked over the network, its snapshots looked at offline.
public struct EtcdService: EtcdInterface {
    private let client: EtcdClient
    private let cancellation: Cancellation

    /// A service whose calls end when the run is stopped.
    public init(cancellation: Cancellation) {
        client = EtcdClient(cancellation: cancellation)
        self.cancellation = cancellation
    }

    /// See ``EtcdInterface/status(of:limit:)``.
    public func status(of endpoint: EtcdEndpoint, limit: Duration) throws -> EtcdMemberStatus {
        try client.status(of: endpoint, limit: limit)
    }

    /// See ``EtcdInterface/members(of:limit:)``.
    public func members(of endpoint: EtcdEndpoint, limit: Duration) throws -> [EtcdClusterMember] {
        try client.members(of: endpoint, limit: limit)
    }

    /// See ``EtcdInterface/databaseRevision(_:)``.
    public func databaseRevision(_ file: FileDescriptor) throws -> Int64? {
        try DatabaseRevision.read(file)
    }

    /// See ``EtcdInterface/hashKV(of:revision:limit:)``.
    public func hashKV(of endpoint: EtcdEndpoint, revision: Int64, limit: Duration) throws -> EtcdHash {
        try client.hashKV(of: endpoint, revision: revision, limit: limit)
    }

    /// See ``EtcdInterface/streamSnapshot(from:stallLimit:progress:sink:)``.
    public func streamSnapshot(
        from endpoint: EtcdEndpoint,
        stallLimit: Duration,
        progress: @escaping (_ done: Int64, _ total: Int64) -> Void,
        sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int64 {
        try client.streamSnapshot(from: endpoint, stallLimit: stallLimit, progress: progress, sink: sink)
    }

    /// See ``EtcdInterface/inspectSnapshot(_:isDigestProved:cancellation:)``.
    public func inspectSnapshot(
        _ file: FileDescriptor,
        isDigestProved: Bool,
        cancellation: Cancellation
    ) throws -> SnapshotReport {
        try SnapshotInspector(rule: isDigestProved ? .proved : .required, cancellation: cancellation).inspect(file)
            .report
    }

    /// See ``EtcdInterface/restoreSnapshot(_:_:cancellation:)``.
    public func restoreSnapshot(
        _ snapshot: FileDescriptor,
        _ request: EtcdRestoreRequest,
        cancellation: Cancellation
    ) throws -> EtcdRestoreResult {
        var options = SnapshotRestoreOptions()
        options.name = request.memberName
        options.initialCluster = request.peerURLs.map { "\(request.memberName)=\($0)" }.joined(separator: ",")
        options.token = request.clusterToken
        options.advertisedPeerURLs = request.peerURLs
        options.bumpRevision = request.bumpRevision
        options.markCompacted = request.bumpRevision > 0
        options.revisionFloor = request.revisionFloor
        options.refusesSeveralMembers = !request.forcesNewCluster
        options.clearAlarms = true
        let restored = try SnapshotRestore(options, cancellation: cancellation)
            .build(snapshot, named: request.snapshotName, at: request.directory)
        return EtcdRestoreResult(
            clusterID: restored.clusterID,
            memberID: restored.memberID,
            revision: restored.revision,
            databaseSizeBytes: restored.databaseSizeBytes,
            warnings: restored.warnings
        )
    }

    /// Streams a snapshot into a file that appears under its name only when it was proved from its first byte to its
    /// last.
    /// - Throws: `EEXIST` as ``FilesError`` when there is something under the name; what the stream throws;
    ///   ``SnapshotDamaged`` when what arrived is no sound snapshot.
    public func save(
        from endpoint: EtcdEndpoint,
        to path: FilePath,
        stallLimit: Duration = .seconds(30)
    ) throws -> SnapshotStatus {
        guard let name = path.lastComponent else {
            throw FilesError(operation: "create", path: path.string, errno: .isDirectory)
        }
        let parent = path.removingLastComponent()
        let directory = try Directory(path: parent.isEmpty ? "." : parent)
        guard try directory.stat(name) == nil else {
            throw FilesError(operation: "create", path: path.string, errno: .fileExists)
        }
        var status: SnapshotStatus?
        try AtomicFile.write(to: name, in: directory) { file in
            _ = try client.streamSnapshot(
                from: endpoint,
                stallLimit: stallLimit,
                progress: { _, _ in },
                sink: { piece in try file.writeAll(piece, path: path.string) }
            )
            let report = try SnapshotInspector(cancellation: cancellation).inspect(file).report
            guard report.faults.isEmpty, let contents = report.status else {
                throw SnapshotDamaged(name: "\(endpoint)", faults: report.faults)
            }
            status = contents
        }
        guard let status else { throw SnapshotDamaged(name: path.string, faults: []) }
        return status
    }
}

/// A snapshot that is not what etcd wrote.
public struct SnapshotDamaged: OperatorError, Equatable {
    /// The file, or the endpoint that it came from.
    public var name: String
    /// What is wrong with it, the first fault of the file first.
    public var faults: [String]
    /// Whether the missing digest is all that is wrong.
    public var lacksOnlyDigest = false

    /// A snapshot with its faults.
    public init(name: String, faults: [String]) {
        self.name = name
        self.faults = faults
    }

    /// Names the snapshot and its first fault.
    public var summary: String {
        let more = faults.count > 1 ? " (and \(faults.count - 1) more)" : ""
        return "the snapshot '\(name)' is damaged: \(faults.first ?? "no reason is known")\(more)"
    }

    /// Nothing can repair it.
    public var hint: String? { "use another snapshot: this one cannot be repaired" }

    /// `65`.
    public var exitStatus: ExitStatus { .dataError }
}
