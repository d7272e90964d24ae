package import Files
package import NodeInterface
package import SystemPackage
import YAML

/// What the files of a node say about its etcd: who it is, where it keeps what, where it listens.
///
/// Everyone who needs to know asks here: planner, doctor, proof and recovery. Paths in a pod are mapped through its
/// volumes, so that each path is the node's.
package struct EtcdPlace: Equatable, Sendable {
    /// Where a directory of etcd is.
    package enum Location: Equatable, Sendable {
        /// A path of the node.
        case onNode(FilePath)
        /// A path inside the pod where no directory of the node is mounted.
        case onlyInPod(FilePath)
        /// Nothing says where.
        case unknown
    }

    /// A client certificate with its key, as paths of the node.
    package struct Pair: Equatable, Sendable {
        package var certificate: FilePath
        package var key: FilePath
    }

    /// The file that says so.
    package var source: FilePath
    /// The systemd unit that runs it; `nil` for a pod.
    package var unit: String?
    /// `--name`.
    package var name: String?
    /// `--initial-advertise-peer-urls`.
    package var peerURLs: [String] = []
    /// `--listen-client-urls` and `--advertise-client-urls`.
    package var clientURLs: [String] = []
    /// `--data-dir`.
    package var data: Location = .unknown
    /// `--wal-dir`; `nil` when the log is in the data directory.
    package var log: Location?
    /// `--quota-backend-bytes`; `nil` for etcd's own default of 2 GiB.
    package var quotaBackendBytes: Int64?
    /// The image that runs it, as the manifest names it.
    package var image: String?
    /// `--trusted-ca-file`.
    package var authority: FilePath?
    /// Certificates that a client can prove itself by, the best first; not all exist.
    package var pairs: [Pair] = []

    /// The version that the image's tag names: `3.5.21` of `registry.k8s.io/etcd:3.5.21-0`; `nil` when it has none.
    package var imageVersion: String? {
        guard let image else { return nil }
        let named = image.prefix { $0 != "@" }
        guard let last = named.split(separator: "/").last, let colon = last.firstIndex(of: ":") else { return nil }
        let tag = last[last.index(after: colon)...].drop { $0 == "v" }
        let version = tag.prefix { $0.isASCII && $0.isNumber || $0 == "." }
        return version.first?.isNumber == true ? String(version) : nil
    }

    /// Finds it; `nil` when nothing in `files` is about etcd.
    ///
    /// - Parameter files: the node's, or those of a recovery point.
    package static func find(in files: any FileSource, profile: NodeProfile, nodeName: String) throws -> EtcdPlace? {
        guard profile != .plain else { return nil }
        let pods = try StaticPods.all(in: files)
        if profile == .openshift { return try EtcdEnvironmentFile.place(in: files, pods: pods, nodeName: nodeName) }
        if let (pod, container) = server(in: pods) {
            return try EtcdPlace(pod, container, in: files)
        }
        var place = try EtcdUnit.place(in: files)
        for row in embedded where try place == nil && files.exists(row.file) {
            place = try EtcdPlace(configuration: row.file, in: files)
            place?.unit = row.unit
        }
        // The API server is etcd's client: where it finds etcd, and by which files.
        guard let client = apiServersView(of: pods) else { return place }
        guard var place else { return client }
        place.clientURLs = client.clientURLs
        place.authority = client.authority ?? place.authority
        place.pairs = client.pairs + place.pairs
        return place
    }

    /// Configuration files of an etcd that is part of another program.
    private static let embedded: [(file: FilePath, unit: String)] = [
        ("/var/lib/rancher/rke2/server/db/etcd/config", "rke2-server.service"),
        ("/var/lib/rancher/k3s/server/db/etcd/config", "k3s.service"),
    ]

    // MARK: Static pods

    /// The static pod that is this node's etcd server, and the container.
    ///
    /// Of several that run etcd, which is not unusual beside a copy that somebody has left in the directory, the one
    /// that is called so.
    static func server(in pods: [StaticPod]) -> (StaticPod, StaticPod.Container)? {
        let found = pods.compactMap { pod in serverContainer(of: pod).map { (pod, $0) } }
        func isManifest(_ pod: StaticPod) -> Bool { ["yaml", "yml", "json"].contains(pod.path.extension ?? "") }
        return found.first { $0.0.path.stem == "etcd" && isManifest($0.0) }
            ?? found.first { $0.0.name == "etcd" && isManifest($0.0) }
            ?? found.first { isManifest($0.0) } ?? found.first
    }

    /// The container of a pod that runs the etcd server: the one of that name, else one whose image is etcd's and whose
    /// command is.
    private static func serverContainer(of pod: StaticPod) -> StaticPod.Container? {
        pod.containers.first { $0.name == "etcd" }
            ?? pod.containers.first { container in
                let repository = (container.image ?? "").prefix { $0 != "@" }.split(separator: "/").last ?? ""
                return repository.prefix { $0 != ":" } == "etcd"
                    && container.arguments(of: "etcd").map { !$0.isEmpty } ?? false
            }
    }

    /// What a static pod of etcd says.
    init(
        _ pod: StaticPod,
        _ container: StaticPod.Container,
        in files: any FileSource,
        variables: [String: String] = [:]
    ) throws {
        let arguments = container.arguments(of: "etcd", variables: variables) ?? []
        var settings = EtcdSettings(
            arguments: arguments,
            environment: variables.merging(container.environment) { $1 }
        )
        func nodePath(_ path: String) -> FilePath? { pod.nodePath(of: FilePath(path), in: container) }
        if let named = settings["config-file"], let file = nodePath(named), try files.exists(file) {
            settings = try EtcdSettings(configuration: files.readFile(file, limitBytes: 1 << 20), file: file)
        }
        self.init(settings, source: pod.path) { path in
            nodePath(path.string).map { .onNode($0) } ?? .onlyInPod(path)
        }
        image = container.image
        if !settings.isSet("data-dir"), case .onNode(let usual) = Self.location(WellKnownPaths.etcdData, pod, container)
        {
            data = .onNode(usual)
        }
        // kubeadm makes a client certificate for probes; the API server's is next best, and the server's own
        // certificate is good for both uses on kubeadm nodes.
        let keys = authority?.removingLastComponent() ?? WellKnownPaths.clusterKeys.appending("etcd")
        let above = keys.removingLastComponent()
        pairs =
            [
                Pair(
                    certificate: keys.appending("healthcheck-client.crt"),
                    key: keys.appending("healthcheck-client.key")
                ),
                Pair(
                    certificate: above.appending("apiserver-etcd-client.crt"),
                    key: above.appending("apiserver-etcd-client.key")
                ),
            ] + pairs
    }

    private static func location(_ path: FilePath, _ pod: StaticPod, _ container: StaticPod.Container) -> Location {
        pod.nodePath(of: path, in: container).map { .onNode($0) } ?? .onlyInPod(path)
    }

    // MARK: Settings

    /// What settings say; `locate` says where a path of theirs is on the node.
    init(_ settings: EtcdSettings, source: FilePath, locate: (FilePath) -> Location) {
        self.source = source
        name = settings["name"]
        peerURLs = settings.list("initial-advertise-peer-urls")
        clientURLs = settings.list("listen-client-urls") + settings.list("advertise-client-urls")
        data = settings["data-dir"].map { locate(FilePath($0)) } ?? .unknown
        log = settings["wal-dir"].map { locate(FilePath($0)) }
        quotaBackendBytes = settings["quota-backend-bytes"].flatMap { Int64($0) }
        func file(_ option: String) -> FilePath? {
            guard let text = settings[option], case .onNode(let path) = locate(FilePath(text)) else { return nil }
            return path
        }
        authority = file("trusted-ca-file")
        if let certificate = file("cert-file"), let key = file("key-file") {
            pairs = [Pair(certificate: certificate, key: key)]
        }
    }

    /// What etcd's own configuration file says, whose paths are the node's.
    init(configuration file: FilePath, in files: any FileSource) throws {
        let settings = try EtcdSettings(configuration: files.readFile(file, limitBytes: 1 << 20), file: file)
        self.init(settings, source: file) { .onNode(FilePath("/").pushing($0).lexicallyNormalized()) }
    }

    // MARK: The API server's view

    /// How the static pod of the API server reaches etcd.
    private static func apiServersView(of pods: [StaticPod]) -> EtcdPlace? {
        for pod in pods {
            for container in pod.containers {
                guard let arguments = container.arguments(of: "kube-apiserver") else { continue }
                let options = CommandLineOptions.values(in: arguments)
                guard let servers = options["etcd-servers"] else { continue }
                func file(_ option: String) -> FilePath? {
                    options[option].flatMap { pod.nodePath(of: FilePath($0), in: container) }
                }
                var place = EtcdPlace(source: pod.path)
                place.clientURLs = servers.split(separator: ",").map { String($0) }
                place.authority = file("etcd-cafile")
                if let certificate = file("etcd-certfile"), let key = file("etcd-keyfile") {
                    place.pairs = [Pair(certificate: certificate, key: key)]
                }
                return place
            }
        }
        return nil
    }

    init(source: FilePath) { self.source = source }
}
