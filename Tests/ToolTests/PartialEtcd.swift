import Files
import Synchronization
import TestSupport

/// A member of etcd that answers about its status as it should and plays a trick with its snapshot.
final class PartialEtcd {
    enum Behaviour: Sendable {
        case stall, hangUp, wrongDigest, garbage
    }

    private static let database = [UInt8](repeating: 7, count: 1 << 20)
    private let server: ScriptedServer

    /// - Parameter answersStatus: whether the status is asked for first.
    init(_ behaviour: Behaviour, answersStatus: Bool = true) throws {
        let count = Atomic(answersStatus ? 0 : 1)
        server = try ScriptedServer { peer in
            let (stream, _) = try peer.readRequest()
            // Each call has a connection of its own: the status first, then the snapshot.
            guard count.add(1, ordering: .relaxed).oldValue % 2 == 1 else {
                try peer.send(.grpcHeaders(stream: stream))
                try peer.sendData(
                    HTTP2Peer.message([0x12, 5] + "3.4.0".utf8 + [0x18] + Self.varint(1 << 20)),
                    stream: stream
                )
                try peer.send(.trailers(status: 0, stream: stream))
                return peer.wait()
            }
            try peer.send(.grpcHeaders(stream: stream))
            let pieces = behaviour == .stall || behaviour == .hangUp ? 16 : 32
            for piece in 0..<pieces {
                let bytes = Self.database[(piece << 15)..<((piece + 1) << 15)]
                try Self.send(Array(bytes), remaining: (1 << 20) - (piece + 1) << 15, to: peer, stream)
            }
            switch behaviour {
            case .stall: peer.wait()
            case .hangUp: peer.hangUp()
            case .wrongDigest, .garbage:
                var digest = Self.digest
                if behaviour == .wrongDigest { digest[0] ^= 1 }
                try Self.send(digest, remaining: 0, to: peer, stream)
                try peer.send(.trailers(status: 0, stream: stream))
                peer.wait()
            }
        }
    }

    var url: String { "http://127.0.0.1:\(server.port)" }

    private static var digest: [UInt8] { SHA256Hasher.digest(of: database).bytes }

    /// A `SnapshotResponse`: field 2 is what remains, field 3 the piece.
    private static func send(_ bytes: [UInt8], remaining: Int, to peer: HTTP2Peer, _ stream: UInt32) throws {
        try peer.sendData(
            HTTP2Peer.message([0x10] + varint(remaining) + [0x1A] + varint(bytes.count) + bytes),
            stream: stream
        )
    }

    private static func varint(_ number: Int) -> [UInt8] {
        var rest = number
        var bytes: [UInt8] = []
        while rest >= 128 {
            bytes.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
