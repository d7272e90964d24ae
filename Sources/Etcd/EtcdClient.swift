public import NodeInterface
internal import RPC
public import Reporting
internal import SwiftProtobuf

/// Calls a live etcd member: what it is, who belongs to it, its hash.
///
/// Every call makes a connection of its own. None needs a quorum or a leader, so the survivor of a broken cluster answers
/// too.
public struct EtcdClient: Sendable {
    let cancellation: Cancellation

    /// A client whose calls end with `Stopped` when `cancellation` says so.
    public init(cancellation: Cancellation) {
        self.cancellation = cancellation
    }

    /// Asks the member what it is and how it is (`Maintenance.Status`), within `limit`.
    ///
    /// The alarms are those that the member names among its errors; asking for them takes a quorum. Figures that no
    /// member can have are cut to those that one can, so that nothing that adds them up overflows.
    /// - Throws: ``EtcdError``, `Stopped`.
    public func status(of endpoint: EtcdEndpoint, limit: Duration) throws -> EtcdMemberStatus {
        let client = RPCClient(endpoint.target, cancellation: cancellation)
        let status: PBStatusResponse = try call(
            client,
            endpoint,
            "Maintenance/Status",
            PBStatusRequest(),
            limit: limit
        )
        return EtcdMemberStatus(
            serverVersion: status.version,
            clusterID: status.header.clusterID,
            memberID: status.header.memberID,
            revision: max(0, status.header.revision),
            databaseSizeBytes: Self.size(status.dbSize),
            databaseInUseBytes: Self.size(status.dbSizeInUse),
            alarms: status.errors.compactMap(Self.alarm(in:)),
            errors: status.errors.filter { Self.alarm(in: $0) == nil },
            raftTerm: status.raftTerm,
            raftIndex: status.raftIndex,
            raftAppliedIndex: status.raftAppliedIndex
        )
    }

    /// The members of the cluster as this member knows them, without asking the others (`Cluster.MemberList`).
    /// - Throws: ``EtcdError``, `Stopped`.
    public func members(of endpoint: EtcdEndpoint, limit: Duration) throws -> [EtcdClusterMember] {
        let client = RPCClient(endpoint.target, cancellation: cancellation)
        // `linearizable` stays false: the answer of a member without quorum is what a recovery wants to know.
        let list: PBMemberListResponse = try call(
            client,
            endpoint,
            "Cluster/MemberList",
            PBMemberListRequest(),
            limit: limit
        )
        return list.members.map { member in
            EtcdClusterMember(
                id: member.id,
                name: member.name,
                peerURLs: member.peerUrls,
                isLearner: member.isLearner
            )
        }
    }

    /// A checksum over every key and value at a revision (`Maintenance.HashKV`).
    ///
    /// Two stores that hold the same keys at the same revisions, compacted at the same one, have the same hash.
    /// - Parameter revision: 0 for the current one.
    /// - Throws: ``EtcdError``, `Stopped`.
    public func hashKV(of endpoint: EtcdEndpoint, revision: Int64, limit: Duration) throws -> EtcdHash {
        let client = RPCClient(endpoint.target, cancellation: cancellation)
        var request = PBHashKVRequest()
        request.revision = revision
        let answer: PBHashKVResponse = try call(client, endpoint, "Maintenance/HashKV", request, limit: limit)
        return EtcdHash(hash: answer.hash, compactRevision: answer.compactRevision)
    }

    /// A size that a file can have: 1 PiB at most.
    private static func size(_ bytes: Int64) -> Int64 { min(max(0, bytes), 1 << 50) }

    /// The name of the alarm that an error of the member stands for: `memberID:1 alarm:NOSPACE`.
    private static func alarm(in error: String) -> String? {
        guard error.hasPrefix("memberID:"), let key = error.firstRange(of: " alarm:") else { return nil }
        return String(error[key.upperBound...].prefix { !$0.isWhitespace })
    }

    private func call<Answer: Message>(
        _ client: RPCClient,
        _ endpoint: EtcdEndpoint,
        _ method: String,
        _ request: some Message,
        limit: Duration
    ) throws -> Answer {
        let bytes: [UInt8]
        do {
            bytes = try client.unary(
                "/etcdserverpb.\(method)",
                request.serializedBytes(),
                limits: RPCLimits(total: limit)
            )
        } catch let error as RPCError {
            throw EtcdError(endpoint, .call(error.fault))
        }
        do { return try Answer(serializedBytes: bytes) } catch is BinaryDecodingError {
            throw EtcdError(endpoint, .undecodable(method))
        }
    }
}
