public import NodeInterface
public import RPC
public import Reporting

/// A call to an etcd member that did not give what was asked for.
public struct EtcdError: OperatorError, Equatable {
    /// The member.
    public let endpoint: EtcdEndpoint
    /// What went wrong.
    public let fault: Fault

    /// What can go wrong with a member, besides the call itself.
    public enum Fault: Sendable, Hashable {
        /// The call failed.
        case call(RPCError.Fault)
        /// An answer that is no message of etcd's.
        case undecodable(String)
        /// The snapshot stream ended too soon: interrupted, silent, or closed by the server; `cause` when known.
        case endedEarly(received: Int64, total: Int64, cause: RPCError.Fault?)
        /// Pieces without a byte: the server cannot read its own database (it ignores the error and goes on for ever).
        case serverCannotRead(received: Int64, total: Int64)
        /// The lengths in the stream contradict each other.
        case inconsistent(String)
        /// The SHA-256 at the end is not that of the bytes that came.
        case digestMismatch
    }

    init(_ endpoint: EtcdEndpoint, _ fault: Fault) {
        self.endpoint = endpoint
        self.fault = fault
    }

    /// The member, and what is wrong.
    public var summary: String {
        switch fault {
        case .call(let fault): RPCError(endpoint.target, fault).summary
        case .undecodable(let what): "'\(endpoint)' sent an unexpected answer to \(what)"
        case .endedEarly(let received, let total, let cause):
            "the snapshot stream of \(endpoint) ended early: \(ByteCount(received)) of \(ByteCount(total))"
                + (cause.map { " (\(RPCError(endpoint.target, $0).summary))" } ?? "")
        case .serverCannotRead(let received, let total):
            "etcd at '\(endpoint)' cannot read its own database: nothing comes after \(ByteCount(received)) of "
                + "\(ByteCount(total))"
        case .inconsistent(let what): "the snapshot stream of \(endpoint) is inconsistent: \(what)"
        case .digestMismatch:
            "the snapshot stream of \(endpoint) is damaged: its SHA-256 is not the one that etcd sent at the end"
        }
    }

    /// What to check; for certificates, which option names the file.
    public var hint: String? {
        switch fault {
        case .call(.connectFailed), .call(.connectTimedOut):
            "check whether etcd is running: crictl ps --name etcd; give another address with --etcd-endpoint"
        case .call(.serverNotTrusted(.unknownAuthority)):
            "name the file of the authority that signed etcd's certificate with --etcd-cacert"
        case .call(.certificateRefused):
            "name a certificate that etcd's authority signed for clients with --etcd-cert and --etcd-key"
        case .call(.fileUnreadable), .call(.fileUnusable), .call(.keyMismatch):
            "name other files with --etcd-cacert, --etcd-cert and --etcd-key"
        case .call(.status(let status)) where Self.isRefusal(status):
            "use a certificate whose CN is an etcd user with the role root: --etcd-cert, --etcd-key"
        case .call(let fault): RPCError(endpoint.target, fault).hint
        case .serverCannotRead: "etcd's disk may be failing: dmesg | tail -n 50"
        case .undecodable: nil
        case .endedEarly, .inconsistent, .digestMismatch:
            "run it again; etcd's own log has the reason: crictl logs $(crictl ps -q --name etcd)"
        }
    }

    /// Whether etcd refused a call because of who we are.
    ///
    /// From 3.6 on the code says so, with `etcdserver:` before the reason; older ones answer UNKNOWN and `auth:`.
    /// Source: etcd `api/v3rpc/rpctypes/error.go`, `server/auth/store.go`.
    private static func isRefusal(_ status: GRPCStatus) -> Bool {
        let reasons = ["permission denied", "invalid auth token", "user name is empty", "user name not found"]
        let reason = status.message.split(separator: ": ", maxSplits: 1).last.map { String($0) } ?? ""
        return status.code == 7 || status.code == 16 || status.message.hasPrefix("auth:")
            || reasons.contains { reason.hasPrefix($0) }
    }

    /// 69, and for our own certificate files what they deserve.
    public var exitStatus: ExitStatus {
        if case .call(let fault) = fault { RPCError(endpoint.target, fault).exitStatus } else { .unavailable }
    }
}

extension EtcdEndpoint {
    /// Where and how a client calls the member.
    var target: RPCTarget {
        .tcp(
            host: host,
            port: port,
            tls: tls.map { files in
                RPCTarget.TLSFiles(
                    authority: files.authority,
                    identity: RPCTarget.TLSFiles.Identity(certificate: files.certificate, key: files.key)
                )
            }
        )
    }
}
