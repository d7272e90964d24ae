public import NodeInterface
internal import RPC
public import Reporting
internal import SwiftProtobuf

/// Calls a live etcd member: what it is, who belongs to it, its alarms, its hash.
///
/// Every call makes a connection of its own. Except for ``alarms(of:limit:)`` none needs a quorum or a leader, so the
/// survivor of a broken cluster answers too.
public struct EtcdClient: Sendable {
    let cancellation: Cancellation

    /// A client whose calls end with `Stopped` when `cancellation` says so.
    public init(cancellation: Cancellation) {
        self.cancellation = cancellation
    }

    /// Asks the member what it is and how it feels (`Maintenance.Status`), within `limit`.
    ///
    /// The alarms are those that the member names among its errors; asking for them with ``alarms(of:limit:)`` takes a
    /// quorum.
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
            revision: status.header.revision,
            databaseSizeBytes: status.dbSize,
            databaseInUseBytes: status.dbSizeInUse,
            alarms: status.errors.compactMap(Self.alarm(in:)),
            errors: status.errors.filter { Self.alarm(in: $0) == nil },
            raftTerm: status.raftTerm,
            raftIndex: status.raftIndex,
            raftAppliedIndex: status.raftAppliedIndex
        )
    }

    /// The members of the cluster as this member knows them, without asking the others (`Cluster.MemberList`).
    /// - Throws: ``EtcdError``, `Stopped`.
    public func members(of endpoint: EtcdEndpoint, limit: Duration) throws -> [EtcdMember] {
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
            EtcdMember(
                id: member.id,
                name: member.name,
                peerURLs: member.peerUrls,
                clientURLs: member.clientUrls,
                isLearner: member.isLearner
            )
        }
    }

    /// The alarms that are raised (`Maintenance.Alarm`), by member.
    ///
    /// Although it only reads, etcd sends it through its log: without a quorum it does not answer.
    /// - Throws: ``EtcdError``, `Stopped`.
    public func alarms(of endpoint: EtcdEndpoint, limit: Duration) throws -> [EtcdAlarm] {
        let client = RPCClient(endpoint.target, cancellation: cancellation)
        let answer: PBAlarmResponse = try call(client, endpoint, "Maintenance/Alarm", PBAlarmRequest(), limit: limit)
        return answer.alarms.map { alarm in
            let name =
                switch alarm.alarm {
                case .none: "NONE"
                case .nospace: "NOSPACE"
                case .corrupt: "CORRUPT"
                case .UNRECOGNIZED(let number): "alarm \(number)"
                }
            return EtcdAlarm(memberID: alarm.memberID, name: name)
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

/// A member of a cluster.
public struct EtcdMember: Sendable, Hashable {
    /// Its identity.
    public var id: UInt64
    /// Its name; empty as long as it has never started.
    public var name: String
    /// Where the other members find it.
    public var peerURLs: [String]
    /// Where clients find it.
    public var clientURLs: [String]
    /// Whether it has no vote.
    public var isLearner: Bool
}

/// An alarm that is raised.
public struct EtcdAlarm: Sendable, Hashable {
    /// The member that raised it.
    public var memberID: UInt64
    /// Its name in etcd's words, `NOSPACE` or `CORRUPT`.
    public var name: String
}
