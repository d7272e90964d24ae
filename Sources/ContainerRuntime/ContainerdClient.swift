internal import FoundationEssentials
internal import RPC
internal import Reporting
internal import SwiftProtobuf
internal import SystemPackage

/// containerd's own services on the socket of its CRI, in the namespace of Kubernetes.
///
/// The messages are the same on the wire in 1.6, 1.7 and 2.x. Source: containerd `api/services/*/v1/*.proto`.
final class ContainerdClient {
    /// The largest piece of a blob in one message; the server takes 16 MiB.
    static let pieceBytes = 1 << 20

    let socket: FilePath
    /// Keeps what is made from the garbage collector until it has a name.
    var lease: String?
    private let rpc: RPCClient

    init(socket: FilePath, cancellation: Cancellation) {
        self.socket = socket
        rpc = RPCClient(.unix(socket), cancellation: cancellation)
    }

    private var metadata: [(name: String, value: String)] {
        [(name: "containerd-namespace", value: "k8s.io")]
            + (lease.map { [(name: "containerd-lease", value: $0)] } ?? [])
    }

    /// Calls a method that answers with one message.
    /// - Parameter method: `images.v1.Images/List`.
    /// - Parameter action: what is being done to `object`, for the error: `list`.
    func call<Answer: Message>(
        _ method: String,
        _ request: some Message,
        _ action: String,
        _ object: String,
        limit: Duration = .seconds(60)
    ) throws -> Answer {
        let bytes = try failing(action, object) {
            try rpc.unary(
                "/containerd.services.\(method)",
                request.serializedBytes(),
                metadata: metadata,
                limits: RPCLimits(total: limit, stall: limit, messageBytes: 64 << 20)
            )
        }
        return try decoded(bytes, method)
    }

    /// Calls a method of the CRI.
    func cri<Answer: Message>(_ method: String, _ request: some Message, _ object: String) throws -> Answer {
        let bytes = try failing("ask for", object) {
            try rpc.unary("/runtime.v1.\(method)", request.serializedBytes(), limits: RPCLimits(total: .seconds(60)))
        }
        return try decoded(bytes, method)
    }

    /// Every blob that the store has, by its digest.
    func contents() throws -> [String: PBContentInfo] {
        var contents: [String: PBContentInfo] = [:]
        try failing("list", "the contents of the store") {
            try rpc.serverStreaming(
                "/containerd.services.content.v1.Content/List",
                PBListContentRequest().serializedBytes(),
                metadata: metadata
            ) { message in
                let answer: PBListContentResponse = try self.decoded(Array(message), "content.v1.Content/List")
                for info in answer.info { contents[info.digest] = info }
            }
        }
        return contents
    }

    /// Reads a blob, its pieces in order.
    func read(_ digest: String, piece: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
        var request = PBReadContentRequest()
        request.digest = digest
        try failing("read", digest) {
            try rpc.serverStreaming(
                "/containerd.services.content.v1.Content/Read",
                request.serializedBytes(),
                metadata: metadata
            ) { message in
                let answer: PBReadContentResponse = try self.decoded(Array(message), "content.v1.Content/Read")
                try answer.data.withUnsafeBytes { try piece($0) }
            }
        }
    }

    /// Writes a blob; the server proves its digest and syncs it.
    /// - Parameter next: gives its pieces in order, none larger than ``pieceBytes``; `nil` at the end.
    /// - Returns: whether it was written; `false` when the store has it, which is now in the lease.
    func write(
        _ blob: PBDescriptor,
        labels: [String: String],
        next: @escaping () throws -> [UInt8]?
    ) throws -> Bool {
        var offset: Int64 = 0
        var isCommitted = false
        func message(_ action: PBWriteAction, _ data: [UInt8]) throws -> [UInt8] {
            var request = PBWriteContentRequest()
            request.action = action
            // The same at every try: what a run that was interrupted has left is begun over, from offset 0.
            request.ref = "node-recovery-\(blob.digest)"
            request.total = blob.size
            request.expected = blob.digest
            request.offset = offset
            request.data = .init(data)
            if action == .commit { request.labels = labels }
            offset += Int64(data.count)
            return try request.serializedBytes()
        }
        do {
            try failing("write", blob.digest) {
                try rpc.bidirectional(
                    "/containerd.services.content.v1.Content/Write",
                    metadata: metadata,
                    limits: RPCLimits(stall: .seconds(300)),
                    next: {
                        if let piece = try next() { return try message(.write, piece) }
                        defer { isCommitted = true }
                        return isCommitted ? nil : try message(.commit, [])
                    },
                    consumer: { _ in }
                )
            }
            return true
        } catch let error as ImageStoreError where error.status == GRPCStatus.alreadyExists {
            if !labels.isEmpty { try update(blob.digest, labels: labels) }
            return false
        }
    }

    /// Sets labels of a blob; its others stay.
    func update(_ digest: String, labels: [String: String]) throws {
        var request = PBUpdateContentRequest()
        request.info.digest = digest
        request.info.labels = labels
        request.updateMask.paths = labels.keys.sorted().map { "labels.\($0)" }
        let _: PBEmpty = try call("content.v1.Content/Update", request, "set labels of", digest)
    }

    private func failing<Value>(_ action: String, _ object: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as RPCError {
            throw ImageStoreError(socket, .call(action: action, object: object, error.fault))
        }
    }

    private func decoded<Answer: Message>(_ bytes: [UInt8], _ method: String) throws -> Answer {
        do { return try Answer(serializedBytes: bytes) } catch is BinaryDecodingError {
            throw ImageStoreError(socket, .undecodable(method))
        }
    }
}
