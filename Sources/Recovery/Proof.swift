import Archives
import Backup
import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// What shows that a recovery to a recovery point will work, each check for itself.
///
/// The steps of the phase `prove` refuse by them, and the doctor reports the very same ones: what it calls green, they
/// accept. None changes anything.
struct Proof {
    let node: Node
    let root: RootDirectory
    let store: RecoveryStore
    let point: RecoveryPoint
    /// What is asked for; which recovery point was settled with ``point``.
    let request: RecoveryRequest
    /// Paths that a restore leaves alone.
    let keptPaths: [String]

    /// That of a recovery, with the kept paths that its step journal recorded.
    init(
        node: Node,
        root: RootDirectory,
        store: RecoveryStore,
        point: RecoveryPoint,
        request: RecoveryRequest,
        keptPaths: [String]
    ) {
        self.node = node
        self.root = root
        self.store = store
        self.point = point
        self.request = request
        self.keptPaths = keptPaths
    }

    /// That of what a request asks for.
    /// - Throws: as ``Recovery/point(of:in:)`` does.
    init(_ request: RecoveryRequest, node: Node) throws {
        try PhysicalSysroot.refuse(RootDirectory(path: node.root))
        let store = try RecoveryStore(path: request.directory)
        self.init(
            node: node,
            root: try RootDirectory(path: node.root),
            store: store,
            point: try Recovery.point(of: request, in: store),
            request: request,
            keptPaths: request.allKeptPaths.map(\.description)
        )
    }

    /// Compares the node that the point is of with this one.
    ///
    /// The machine id decides. A host name that is lost, or has another form (`one` for `one.example.com`), as an upgrade
    /// can leave it, is told and accepted where the machine id is the same.
    /// - Returns: the node, and how its name differs.
    /// - Throws: ``RecoveryError/otherNode(_:)``, ``RecoveryError/otherProfile(of:here:)``.
    func identity() throws -> (node: NodeIdentity, difference: String?) {
        let manifest = point.manifest
        let here = try NodeIdentity.read(from: root, isRunningSystem: node.isRunningSystem)
        if let wanted = manifest.node.machineID, let found = here.machineID, wanted != found {
            throw RecoveryError.otherNode("its machine id is \(wanted), and this one's is \(found)")
        }
        var difference: String?
        if here.name != manifest.node.name {
            let names = "it is of '\(manifest.node.name)', and this is '\(here.name)'"
            let isSameMachine = here.machineID != nil && here.machineID == manifest.node.machineID
            guard isSameMachine, HostName.isSame(here.name, as: manifest.node.name) else {
                throw RecoveryError.otherNode(names)
            }
            difference = "\(names); the machine id is the same"
        }
        let profile = try ProfileDetector.detect(in: root).profile.rawValue
        // A failed upgrade can have taken the signs of a profile away; another profile's signs are another matter.
        guard profile == manifest.profile || profile == NodeProfile.plain.rawValue else {
            throw RecoveryError.otherProfile(of: manifest.profile, here: profile)
        }
        return (here, difference)
    }

    /// The certificates of the point without which its control plane cannot run.
    func certificates(in files: ArchivedFiles) throws -> [DatedCertificate] {
        try DatedCertificate.all(in: files)
    }

    /// Whether the images of the point's static pods are in the runtime.
    enum Images {
        case noStaticPods
        /// No runtime answers.
        case noRuntime
        /// All of so many.
        case present(Int)
        case missing([String])
    }

    /// Looks for the images of the point's static pods.
    func images(in files: ArchivedFiles) throws -> Images {
        guard let pods = files.staticPods else { return .noStaticPods }
        guard try node.containers.runtime() != nil else { return .noRuntime }
        var wanted = Set(try StaticPods.all(in: pods).flatMap(\.images))
        // Without the image of the sandboxes no pod starts.
        if let sandbox = try node.containers.sandboxImage() { wanted.insert(sandbox.name) }
        // Each for itself: one damaged record makes a list of all of them fail.
        let missing = try wanted.sorted().filter { try node.containers.image(named: $0) == nil }
        return missing.isEmpty ? .present(wanted.count) : .missing(missing)
    }

    /// Who the etcd member of the point is.
    func etcdMember(in files: ArchivedFiles) throws -> EtcdMember {
        try EtcdMember.read(
            from: files.staticPods,
            node: root,
            profile: point.profile,
            nodeName: point.manifest.node.name,
            members: point.manifest.etcd?.members
        )
    }

    /// Refuses to make a cluster of its own of one member of several.
    /// - Throws: ``EtcdRefusal/severalMembers(_:)``.
    static func refuseSeveralMembers(_ names: [String]) throws {
        guard names.count <= 1 else { throw EtcdRefusal.severalMembers(names) }
    }

    /// What keeps the etcd that the recovery brings back from running on the snapshot's data.
    ///
    /// That etcd is the one of the point's static pods; without them the one of the node's.
    func etcdMisfits(in files: ArchivedFiles) throws -> EtcdPodFacts.Misfits {
        guard let entry = point.manifest.etcd else { return EtcdPodFacts.Misfits() }
        return EtcdPodFacts.misfits(
            of: EtcdPodFacts.read(from: files.staticPods ?? root),
            storageVersion: entry.storageVersion,
            clusterVersion: entry.clusterVersion,
            // A snapshot with free pages becomes smaller: without a forecast, nothing is said.
            restoredSizeBytes: entry.restoredSizeBytes ?? 0
        )
    }

    /// Refuses what etcd would refuse.
    /// - Throws: ``RecoveryError/etcdUnfit(_:)``.
    func refuseUnlessEtcdFits(
        in files: ArchivedFiles,
        skips: (RecoveryRequest.Check) -> Bool
    ) throws {
        guard !skips(.etcd) else { return }
        let refusals = try etcdMisfits(in: files).refusals
        if !refusals.isEmpty { throw RecoveryError.etcdUnfit(refusals) }
    }

    /// The engine that makes the trees of a component equal to the point; `nil` when the point has none.
    func restorer(for component: ComponentName) throws -> TreeRestorer? {
        guard let entry = point.manifest.component(component), let archive = entry.file(.archive),
            let index = entry.file(.index)
        else { return nil }
        let restore = TreeRestorer.Request(
            root: root,
            archive: point.path(of: archive),
            index: point.path(of: index),
            exclusions: RestoreExclusions.patterns(
                for: component,
                entry: entry,
                kept: keptPaths,
                hasStaticPods: point.manifest.component(.staticPods) != nil
            ),
            leaveOut: [try RootDirectory(path: store.path).stat(".").identity: "recovery store"],
            jobs: request.jobs,
            within: try ComponentPlaces.of(component, in: root, unusual: entry.places),
            keepsExtras: entry.leftOutMore ?? 0 > 0 || entry.unreadableMore ?? 0 > 0
        )
        return TreeRestorer(restore, cancellation: node.cancellation)
    }

    /// Bytes that a recovery writes, by file system.
    func spaceNeeds(
        in files: ArchivedFiles,
        keepsFailedState: Bool,
        meter: ProgressMeter
    ) async throws -> [FileSystemNeed] {
        var needs: [FileSystemNeed] = []
        for component in TreeComponents.names {
            guard let restorer = try restorer(for: component) else { continue }
            for need in try restorer.neededBytes() {
                try needs.append(FileSystemNeed(place: need.path, bytes: need.bytes))
            }
        }
        if let etcd = point.manifest.etcd {
            let place = try EtcdPlacement(try etcdMember(in: files), in: root, recovery: "0").scratch
            // For a while it is there twice: unpacked, and restored, which is never larger.
            let restored = etcd.restoredSizeBytes ?? etcd.totalSizeBytes
            let bytes = etcd.snapshotBytes.addingSaturated(restored).addingSaturated(1 << 20)
            try needs.append(FileSystemNeed(place: place, bytes: bytes))
        }
        if keepsFailedState {
            let forecast = try await FailedState.forecast(self, meter: meter)
            try needs.append(FileSystemNeed(place: store.path, bytes: forecast.neededBytes, isForWayBack: true))
        }
        return FileSystemNeed.combined(needs)
    }

    /// Compares what is needed with what is free.
    /// - Throws: ``RecoveryError/noSpace(place:neededBytes:freeBytes:forWayBack:)``.
    func refuseUnlessRoom(for needs: [FileSystemNeed]) throws {
        for need in needs {
            let free = try FileSystemSpace(at: need.place).availableBytes
            guard need.bytes <= free else {
                throw RecoveryError.noSpace(
                    place: need.place.string,
                    neededBytes: need.bytes,
                    freeBytes: free,
                    forWayBack: need.isForWayBack
                )
            }
        }
    }
}

extension Proof {
    /// Where the node's etcd answers now: what the configuration says, else what its static pod says; `nil` when there is
    /// neither.
    func etcdEndpoint() throws -> EtcdEndpoint? {
        try EtcdLocator.locate(
            in: root,
            profile: point.profile,
            nodeName: point.manifest.node.name,
            overrides: request.backup.etcd,
            now: node.now().seconds
        )
    }
}
