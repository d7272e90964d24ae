internal import FoundationEssentials
public import NodeInterface
internal import RPC
internal import SwiftProtobuf

extension EtcdClient {
    /// Streams one snapshot of the member (`Maintenance.Snapshot`): the database's bytes, then the 32 bytes of their
    /// SHA-256.
    ///
    /// `sink` gets every piece once, in order. The stream is checked while it runs: lengths, the digest, the status at
    /// the end. Nothing may be kept of what `sink` got when this throws. The member keeps the pages of the snapshot for
    /// as long as the stream runs, so a slow sink makes its database grow.
    /// - Parameter stallLimit: how long no byte may arrive before the stream is given up.
    /// - Parameter progress: called with the bytes received and the total whenever a piece has arrived.
    /// - Returns: the number of bytes that `sink` got, the digest's 32 among them.
    /// - Throws: ``EtcdError``, `Stopped`, and what `sink` throws.
    public func streamSnapshot(
        from endpoint: EtcdEndpoint,
        stallLimit: Duration,
        progress: @escaping (_ done: Int64, _ total: Int64) -> Void,
        sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int64 {
        let client = RPCClient(endpoint.target, cancellation: cancellation)
        var check = EtcdSnapshotCheck()
        do {
            try client.serverStreaming(
                "/etcdserverpb.Maintenance/Snapshot",
                PBSnapshotRequest().serializedBytes(),
                // etcd sends pieces of 32 KiB.
                limits: RPCLimits(stall: stallLimit, messageBytes: 1 << 20)
            ) { message in
                let piece: PBSnapshotResponse
                do { piece = try PBSnapshotResponse(serializedBytes: message.bytes) } catch is BinaryDecodingError {
                    throw EtcdSnapshotCheck.Fault.notASnapshot
                }
                try piece.blob.withUnsafeBytes { blob in
                    try check.take(blob, remaining: piece.remainingBytes)
                    if !blob.isEmpty { try sink(blob) }
                }
                progress(check.received, check.total + 32)
            }
            return try check.finish()
        } catch let error as RPCError {
            // Refused before it began is a matter of the call; once it runs, how far it came is what counts.
            guard check.total > 0 else { throw EtcdError(endpoint, .call(error.fault)) }
            throw EtcdError(
                endpoint,
                .endedEarly(received: check.received, total: check.total + 32, cause: error.fault)
            )
        } catch let fault as EtcdSnapshotCheck.Fault {
            throw EtcdError(endpoint, check.described(fault))
        }
    }
}
