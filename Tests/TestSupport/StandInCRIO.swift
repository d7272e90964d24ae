import Synchronization
public import SystemPackage

/// A stand-in for CRI-O with the traits of the real one (1.24 to 1.34) that make a difference to a recovery.
///
/// - It hangs up on every content type but exactly `application/grpc`, as every ``ScriptedServer`` does.
/// - It deletes its whole store when it starts without `clean.shutdown` once it has run before (`crio wipe`).
/// - One that is killed leaves its socket file, and connections to it are refused.
/// - One damaged record makes `ListImages` fail for all images; `ImageStatus` fails for that image alone.
/// - It lists names with a tag and names with a digest, and refuses to look up one that has both.
///
/// Its state is the directory `crio` in the directory that it is given, so that another one goes on from there.
public final class StandInCRIO {
    /// Where it listens.
    public let socket: FilePath
    private let directory: FilePath
    private var server: ScriptedServer?
    private let store: Store

    private final class Store: Sendable {
        let images = Mutex<[Image]>([])
        let sandboxes = Mutex<[(id: String, name: String)]>([])
        let stuck = Mutex<Set<String>>([])
        let calls = Mutex<[String]>([])
    }

    /// An image in its store.
    public struct Image: Sendable {
        /// 64 digits, without `sha256:`, as CRI-O has them.
        public var id: String
        /// Names with a tag or with a digest.
        public var names: [String]
        /// Whether its record is damaged.
        public var isDamaged: Bool

        /// An image made of its parts.
        public init(id: String, names: [String], isDamaged: Bool = false) {
            self.id = id
            self.names = names
            self.isDamaged = isDamaged
        }
    }

    /// One that does not run, with these images in its store.
    public init(in directory: FilePath, images: [Image] = []) throws {
        self.directory = directory.appending("crio")
        socket = directory.appending("crio.sock")
        store = Store()
        store.images.withLock { $0 = images }
        try Shell.output("mkdir -p '\(self.directory)'")
    }

    deinit { server = nil }

    /// The methods that were called, in order.
    public var calls: [String] { store.calls.withLock { $0 } }

    /// What is in its store.
    public var images: [Image] { store.images.withLock { $0 } }

    /// Changes what is in its store.
    public func put(_ images: [Image]) { store.images.withLock { $0 = images } }

    /// Changes the sandboxes that it has.
    public func put(sandboxes: [(id: String, name: String)]) { store.sandboxes.withLock { $0 = sandboxes } }

    /// Has a sandbox not stop from now on, whatever is done to it.
    public func sticks(_ id: String) { store.stuck.withLock { _ = $0.insert(id) } }

    /// Starts it; without `clean.shutdown` it first deletes its store, unless it has never run.
    public func start() throws {
        let state = try Shell.run("cd '\(directory)' && ls").output
        if state.contains("clean.shutdown.supported"), !state.contains("clean.shutdown\n") {
            store.images.withLock { $0 = [] }
        }
        try Shell.output("cd '\(directory)' && rm -f clean.shutdown '\(socket)' && touch clean.shutdown.supported")
        let store = store
        server = try ScriptedServer(at: socket) { peer in
            var isFirst = true
            while true {
                let (stream, fields, body) = try peer.readRequestWithFields(isFirst: isFirst)
                isFirst = false
                let path = fields.first { $0.name == ":path" }?.value ?? ""
                let method = String(path.split(separator: "/").last ?? "")
                store.calls.withLock { $0.append(method) }
                guard let answer = Self.answer(method, Array(body.dropFirst(5)), store) else { return peer.wait() }
                switch answer {
                case .success(let message):
                    try peer.send(.grpcHeaders(stream: stream))
                    try peer.sendData(HTTP2Peer.message(message), stream: stream)
                    try peer.send(.trailers(status: 0, stream: stream))
                case .failure(let refusal):
                    try peer.send(.grpcHeaders(stream: stream))
                    try peer.send(.trailers(status: 2, message: refusal.message, stream: stream))
                }
            }
        }
    }

    /// Stops it as systemd does: it removes its socket and says that it ended well.
    public func stop() throws {
        server = nil
        try Shell.output("touch '\(directory)/clean.shutdown'; rm -f '\(socket)'")
    }

    /// Kills it: the socket file stays, and its next start finds no `clean.shutdown`.
    public func kill() { server = nil }

    private struct Refusal: Error { let message: String }

    /// - Returns: `nil` for no answer at all.
    private static func answer(_ method: String, _ request: [UInt8], _ store: Store) -> Result<[UInt8], Refusal>? {
        let first = WireFields.texts(1, in: request).first ?? []
        switch method {
        case "Version": return .success(WireFields.field(2, "cri-o") + WireFields.field(3, "1.30.14"))
        case "Status":
            let entry = WireFields.field(1, "config") + WireFields.field(2, "    pause_image = \"r.example/pause:9\"\n")
            return .success(WireFields.field(2, entry))
        case "ListImages":
            let images = store.images.withLock { $0 }
            if images.contains(where: \.isDamaged) { return .failure(Refusal(message: "file does not exist")) }
            return .success(images.flatMap { WireFields.field(1, message(of: $0)) })
        case "ImageStatus":
            let name = String(decoding: WireFields.texts(1, in: first).first ?? [], as: UTF8.self)
            if let at = name.firstIndex(of: "@"), name[..<at].split(separator: "/").last?.contains(":") == true {
                return .failure(Refusal(message: "references with both a tag and digest are not supported"))
            }
            let found = store.images.withLock { images in
                images.first { $0.names.contains(name) || name == $0.id || name == "sha256:\($0.id)" }
            }
            guard let found else { return .success([]) }
            if found.isDamaged { return .failure(Refusal(message: "file does not exist")) }
            return .success(WireFields.field(1, message(of: found)))
        case "ListPodSandbox":
            let sandboxes = store.sandboxes.withLock { $0 }
            return .success(
                sandboxes.flatMap { sandbox in
                    let metadata = WireFields.field(1, sandbox.name) + WireFields.field(3, "kube-system")
                    return WireFields.field(1, WireFields.field(1, sandbox.id) + WireFields.field(2, metadata))
                }
            )
        case "StopPodSandbox", "RemovePodSandbox":
            let id = String(decoding: first, as: UTF8.self)
            if store.stuck.withLock({ $0.contains(id) }) { return nil }
            if method == "RemovePodSandbox" { store.sandboxes.withLock { $0.removeAll { $0.id == id } } }
            return .success([])
        default: return .success([])
        }
    }

    private static func message(of image: Image) -> [UInt8] {
        WireFields.field(1, image.id)
            + image.names.flatMap { WireFields.field($0.contains("@") ? 3 : 2, $0) } + WireFields.field(4, UInt64(4096))
    }
}
