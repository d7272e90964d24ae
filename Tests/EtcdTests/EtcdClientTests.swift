import Files
import FoundationEssentials
import NodeInterface
import Reporting
import SwiftProtobuf
import SystemPackage
import TestSupport
import Testing

@testable import Etcd
@testable import RPC

/// A database of 100 000 bytes, as the pieces of a snapshot stream.
private struct Stream: Sendable {
    static let database = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

    typealias Piece = (blob: [UInt8], remaining: UInt64)

    /// Says the same as the first piece does, without bringing anything.
    static let empty: Piece = ([], 67_232)

    var pieces: [Piece] = stride(from: 0, to: 100_000, by: 32_768).map { start in
        let end = min(start + 32_768, 100_000)
        return (Array(Self.database[start..<end]), UInt64(100_000 - end))
    }
    var trailer: [Piece] = [(SHA256Digest.hash(Self.database), 0)]
    var status = 0

    var messages: [[UInt8]] {
        (pieces + trailer).map { blob, remaining in
            var piece = PBSnapshotResponse()
            piece.blob = Data(blob)
            piece.remainingBytes = remaining
            // A message of two scalar fields can always be written.
            return HTTP2Peer.message((try? piece.serializedBytes()) ?? [])
        }
    }

    func send(to peer: HTTP2Peer) throws {
        try peer.send(.grpcHeaders())
        for message in messages { try peer.sendData(message) }
        try peer.send(.trailers(status: status, message: "etcdserver: something"))
    }
}

extension SHA256Digest {
    fileprivate static func hash(_ bytes: [UInt8]) -> [UInt8] { SHA256Hasher.digest(of: bytes).bytes }
}

@Suite("The snapshot stream") struct EtcdClientTests {
    /// What a stream with these properties is taken for.
    private func outcome(of stream: Stream, then end: @escaping @Sendable (HTTP2Peer) throws -> Void = { $0.wait() })
        throws -> (bytes: [UInt8], count: Int64?, error: EtcdError?)
    {
        let server = try ScriptedServer { peer in
            _ = try peer.readRequest()
            try stream.send(to: peer)
            try end(peer)
        }
        return try outcome(port: server.port)
    }

    private func outcome(port: UInt16, stallLimit: Duration = .seconds(10)) throws -> (
        bytes: [UInt8], count: Int64?, error: EtcdError?
    ) {
        var bytes: [UInt8] = []
        do {
            let count = try EtcdClient(cancellation: Cancellation()).streamSnapshot(
                from: EtcdEndpoint(host: "127.0.0.1", port: port, tls: nil),
                stallLimit: stallLimit,
                progress: { _, _ in },
                sink: { bytes += $0 }
            )
            return (bytes, count, nil)
        } catch let error as EtcdError {
            return (bytes, nil, error)
        }
    }

    @Test("hands out the database and its digest, and counts both")
    func whole() throws {
        let result = try outcome(of: Stream())
        #expect(result.error == nil)
        #expect(result.count == 100_032)
        #expect(result.bytes == Stream.database + SHA256Digest.hash(Stream.database))
    }

    /// Ways to spoil a stream, and the fault that each must be taken for.
    private static let faults: [(name: String, spoil: @Sendable (inout Stream) -> Void, fault: EtcdError.Fault)] = [
        (
            "no digest", { $0.trailer = [] },
            .endedEarly(received: 100_000, total: 100_032, cause: nil)
        ),
        (
            "a piece is missing at the end",
            {
                $0.pieces.removeLast(); $0.trailer = []
            },
            .endedEarly(received: 98_304, total: 100_032, cause: nil)
        ),
        (
            "a piece is missing in the middle", { $0.pieces.remove(at: 1) },
            .inconsistent("1696 bytes are said to remain where it must be 34464")
        ),
        (
            "a piece comes twice", { $0.pieces.insert($0.pieces[1], at: 1) },
            .inconsistent("34464 bytes are said to remain where it must be 1696")
        ),
        (
            "more comes than announced", { $0.pieces[3].blob.append(0) },
            .inconsistent("0 bytes are said to remain where 1 more than announced have come")
        ),
        ("a byte is flipped", { $0.pieces[2].blob[77] ^= 1 }, .digestMismatch),
        ("the digest is another", { $0.trailer[0].blob[31] ^= 1 }, .digestMismatch),
        (
            "the digest is short", { $0.trailer[0].blob.removeLast() },
            .inconsistent("a digest of 31 bytes instead of 32 at the end")
        ),
        (
            "the digest is long", { $0.trailer[0].blob.append(0) },
            .inconsistent("a digest of 33 bytes instead of 32 at the end")
        ),
        (
            "something comes after the digest", { $0.trailer.append(([], 0)) },
            .inconsistent("more comes after the digest")
        ),
        ("the digest comes twice", { $0.trailer.append($0.trailer[0]) }, .inconsistent("more comes after the digest")),
        (
            "the digest says that more remains", { $0.trailer[0].remaining = 1 },
            .inconsistent("1 bytes are said to remain where it must be 0")
        ),
        (
            "three pieces are empty",
            { $0.pieces.insert(contentsOf: [Stream.empty, Stream.empty, Stream.empty], at: 1) },
            .serverCannotRead(received: 32_768, total: 100_000)
        ),
        ("an empty database", { $0.pieces = [([], 0)] }, .inconsistent("it announces a database of 0 bytes")),
        (
            "a database that no file can hold", { $0.pieces[0].remaining = .max },
            .inconsistent("it announces a database larger than any file can be")
        ),
        (
            "a database that no file can hold, just", { $0.pieces[0].remaining = UInt64(Int64.max) },
            .inconsistent("it announces a database larger than any file can be")
        ),
        (
            "nothing, and a good status",
            {
                $0.pieces = []; $0.trailer = []
            }, .endedEarly(received: 0, total: 32, cause: nil)
        ),
        (
            "a bad status behind a good stream", { $0.status = 2 },
            .endedEarly(
                received: 100_032,
                total: 100_032,
                cause: .status(GRPCStatus(code: 2, encodedMessage: Array("etcdserver: something".utf8)))
            )
        ),
        (
            "a piece above 1 MiB", { $0.pieces = [(Array(repeating: 0, count: 1 << 20), 0)] },
            .call(.messageTooLarge(bytes: (1 << 20) + 4, limit: 1 << 20))
        ),
    ]

    @Test("is refused for every contradiction in it", arguments: faults.indices)
    func contradictions(index: Int) throws {
        let (name, spoil, fault) = Self.faults[index]
        var stream = Stream()
        spoil(&stream)
        #expect(try outcome(of: stream).error?.fault == fault, "\(name)")
    }

    @Test("may have an empty piece now and then")
    func emptyPieces() throws {
        var stream = Stream()
        stream.pieces.insert(contentsOf: [Stream.empty, Stream.empty], at: 1)
        #expect(try outcome(of: stream).count == 100_032)
    }

    @Test("that a server cannot feed from its disk any more is given up, though it never ends")
    func endlessEmptyPieces() throws {
        let server = try ScriptedServer { peer in
            _ = try peer.readRequest()
            var stream = Stream()
            stream.pieces = [stream.pieces[0]]
            stream.trailer = []
            try peer.send(.grpcHeaders())
            try peer.sendData(stream.messages[0])
            stream.pieces = [Stream.empty]
            while true { try peer.sendData(stream.messages[0]) }
        }
        let error = try #require(try outcome(port: server.port).error)
        #expect(error.fault == .serverCannotRead(received: 32_768, total: 100_000))
        #expect(
            error.summary
                == "etcd at 'http://127.0.0.1:\(server.port)' cannot read its own database: nothing comes after "
                + "32.0 KiB of 97.7 KiB"
        )
    }

    @Test("that stops says how far it came and why", arguments: [false, true])
    func stops(silently: Bool) throws {
        let server = try ScriptedServer { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders())
            try peer.sendData(Stream().messages[0])
            if !silently { try peer.send(.reset(code: 2)) }
            peer.wait()
        }
        let url = "http://127.0.0.1:\(server.port)"
        let error = try #require(try outcome(port: server.port, stallLimit: .seconds(silently ? 2 : 10)).error)
        #expect(
            error.summary == "the snapshot stream of \(url) ended early: 32.0 KiB of 97.7 KiB "
                + (silently
                    ? "('\(url)' went silent: no byte of the answer for 2.0 s)"
                    : "('\(url)' ended the call before the answer was whole: INTERNAL_ERROR)")
        )
        #expect(error.exitStatus == .unavailable)
    }

    @Test("whose piece cannot be stored ends with that error")
    func sinkThrows() throws {
        let server = try ScriptedServer { peer in
            _ = try peer.readRequest()
            try Stream().send(to: peer)
            peer.wait()
        }
        #expect(throws: Errno.noSpace) {
            try EtcdClient(cancellation: Cancellation()).streamSnapshot(
                from: EtcdEndpoint(host: "127.0.0.1", port: server.port, tls: nil),
                stallLimit: .seconds(10),
                progress: { _, _ in },
                sink: { _ in throw Errno.noSpace }
            )
        }
    }

    @Test("that is cut at any message is never taken for a whole one")
    func cutAnywhere() throws {
        let messages = Stream().messages
        for count in 0...messages.count {
            let server = try ScriptedServer { peer in
                _ = try peer.readRequest()
                try peer.send(.grpcHeaders())
                for message in messages.prefix(count) { try peer.sendData(message) }
                peer.hangUp()
            }
            let received = Int64(min(count * 32_768, 100_000) + (count == messages.count ? 32 : 0))
            let fault = try outcome(port: server.port).error?.fault
            #expect(
                fault
                    == (count == 0
                        ? .call(.cut(reason: nil))
                        : .endedEarly(received: received, total: 100_032, cause: .cut(reason: nil)))
            )
        }
    }
}

@Suite("The etcd client") struct EtcdStatusTests {
    @Test("answers with what the member says, its alarms apart from its errors")
    func status() throws {
        var status = PBStatusResponse()
        status.version = "3.5.21"
        status.header.clusterID = .max
        status.header.memberID = 3
        status.header.revision = 77
        status.dbSize = 8192
        status.dbSizeInUse = 4096
        status.errors = ["etcdserver: no leader", "memberID:3 alarm:NOSPACE ", "memberID:3  alarm:CORRUPT"]
        let answer: [UInt8] = try status.serializedBytes()
        let server = try ScriptedServer { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders(), .data(HTTP2Peer.message(answer)), .trailers(status: 0))
            peer.wait()
        }
        let endpoint = EtcdEndpoint(host: "127.0.0.1", port: server.port, tls: nil)
        let result = try EtcdClient(cancellation: Cancellation()).status(of: endpoint, limit: .seconds(10))
        #expect(
            result
                == EtcdMemberStatus(
                    serverVersion: "3.5.21",
                    clusterID: .max,
                    memberID: 3,
                    revision: 77,
                    databaseSizeBytes: 8192,
                    databaseInUseBytes: 4096,
                    alarms: ["NOSPACE", "CORRUPT"],
                    errors: ["etcdserver: no leader"]
                )
        )
    }

    @Test(
        "names the option for a certificate when etcd refuses a call, in the words of every version",
        arguments: [
            (2, "auth: user name is empty"), (2, "auth: permission denied"), (2, "auth: invalid auth token"),
            (3, "etcdserver: user name is empty"), (9, "etcdserver: user name not found"),
            (7, "etcdserver: permission denied"), (16, "etcdserver: invalid auth token"), (7, ""),
        ]
    )
    func refused(code: Int, message: String) throws {
        let server = try ScriptedServer { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders(), .trailers(status: code, message: message))
            peer.wait()
        }
        let endpoint = EtcdEndpoint(host: "127.0.0.1", port: server.port, tls: nil)
        let error = #expect(throws: EtcdError.self) {
            try EtcdService(cancellation: Cancellation()).tryStreamingSnapshot(from: endpoint, stallLimit: .seconds(10))
        }
        #expect(error?.hint == "use a certificate whose CN is an etcd user with the role root: --etcd-cert, --etcd-key")
        #expect(error?.exitStatus == .unavailable)
    }

    @Test("cuts figures that no member has to those that one can have")
    func absurdFigures() throws {
        var status = PBStatusResponse()
        status.header.revision = -5
        status.dbSize = .max
        status.dbSizeInUse = .min
        let answer: [UInt8] = try status.serializedBytes()
        let server = try ScriptedServer { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders(), .data(HTTP2Peer.message(answer)), .trailers(status: 0))
            peer.wait()
        }
        let endpoint = EtcdEndpoint(host: "127.0.0.1", port: server.port, tls: nil)
        let result = try EtcdClient(cancellation: Cancellation()).status(of: endpoint, limit: .seconds(10))
        #expect(result.revision == 0)
        #expect(result.databaseSizeBytes == 1 << 50)
        #expect(result.databaseInUseBytes == 0)
    }

    @Test("says when the answer is none of etcd's, and which option names what it lacks")
    func errors() throws {
        let server = try ScriptedServer { peer in
            _ = try peer.readRequest()
            try peer.send(.grpcHeaders(), .data(HTTP2Peer.message([0xFF])), .trailers(status: 0))
            peer.wait()
        }
        let endpoint = EtcdEndpoint(host: "127.0.0.1", port: server.port, tls: nil)
        let client = EtcdClient(cancellation: Cancellation())
        #expect(throws: EtcdError(endpoint, .undecodable("Maintenance/Status"))) {
            try client.status(of: endpoint, limit: .seconds(10))
        }
        var unreadable = endpoint
        unreadable.tls = EtcdEndpoint.TLSFiles(authority: "/nonexistent/ca.crt", certificate: "/x", key: "/x")
        let error = #expect(throws: EtcdError.self) { try client.status(of: unreadable, limit: .seconds(10)) }
        #expect(error?.hint?.contains("--etcd-cacert") == true)
        #expect(error?.exitStatus == .noInput)
    }
}
