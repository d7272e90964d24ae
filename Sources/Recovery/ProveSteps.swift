import Archives
import Backup
import Certificates
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// The steps that show that a recovery will work, and change nothing on the node.
enum ProveSteps {
    @Sendable static func verify(_ context: RecoveryContext) async throws -> StepOutcome {
        let verifier = PointVerifier(node: context.node, jobs: context.request.jobs, meter: context.meter)
        let results = try verifier.verify(context.point)
        try context.point.record(results)
        let faults = context.point.manifest.components.flatMap { component in
            (results[component.name]?.faults ?? ["'\(component.name)' was not read"]).prefix(1)
        }
        guard faults.isEmpty else {
            throw RecoveryError.pointDamaged(generation: context.point.generation, faults: faults)
        }
        let files = context.point.manifest.components.reduce(0) { $0 + $1.sourceFiles }
        return .done("recovery point \(context.point.generation) is sound: \(files) files, every digest compared")
    }

    @Sendable static func identity(_ context: RecoveryContext) async throws -> StepOutcome {
        if context.skips(.identity) { return .skipped("left out with --skip-check identity") }
        let manifest = context.point.manifest
        let here = try NodeIdentity.read(from: context.root, isRunningSystem: context.node.isRunningSystem)
        guard here.name == manifest.node.name else {
            throw RecoveryError.otherNode("it is of '\(manifest.node.name)', and this is '\(here.name)'")
        }
        if let wanted = manifest.node.machineID, let found = here.machineID, wanted != found {
            throw RecoveryError.otherNode("its machine id is \(wanted), and this one's is \(found)")
        }
        let profile = try ProfileDetector.detect(in: context.root).profile.rawValue
        // A failed upgrade can have taken the signs of a profile away; another profile's signs are another matter.
        guard profile == manifest.profile || profile == NodeProfile.plain.rawValue else {
            throw RecoveryError.otherProfile(of: manifest.profile, here: profile)
        }
        return .done("it is of this node, '\(here.name)', profile \(manifest.profile)")
    }

    @Sendable static func certificates(_ context: RecoveryContext) async throws -> StepOutcome {
        guard context.point.profile != .plain else { return .skipped("the profile is plain") }
        let now = context.node.now().seconds
        var expired: [String] = []
        var first: (date: Int64, path: FilePath)?
        let files = try context.pointFiles()
        for path in try RecoveryCertificates.paths(in: files) {
            guard let bytes = try files.read(path) else { continue }
            for certificate in Certificate.all(inPEM: bytes).prefix(1) {
                if certificate.notAfter < now {
                    expired.append(
                        "'\(path)' (\(certificate.commonName)) on \(Certificate.text(of: certificate.notAfter))"
                    )
                } else if certificate.notAfter < first?.date ?? .max {
                    first = (certificate.notAfter, path)
                }
            }
        }
        guard expired.isEmpty || context.skips(.certificates) else {
            throw RecoveryError.certificatesExpired(expired)
        }
        for certificate in expired { context.node.log.warning("expired: \(certificate), continuing as asked") }
        guard let first else { return .skipped("there are none in the recovery point") }
        return .done("the first one to expire is '\(first.path)', on \(Certificate.text(of: first.date))")
    }

    @Sendable static func images(_ context: RecoveryContext) async throws -> StepOutcome {
        guard context.point.profile != .plain else { return .skipped("the profile is plain") }
        if context.skips(.images) { return .skipped("left out with --skip-check images") }
        guard let pods = try context.pointFiles().staticPods else { return .skipped("there are no static pods") }
        guard try context.node.containers.runtime() != nil else {
            return .skipped("no container runtime answers, so nobody can tell")
        }
        let present = Set(try context.node.containers.images().flatMap { [$0.id] + $0.tags + $0.digests })
        let wanted = Set(try StaticPods.all(in: pods).flatMap(\.images))
        let missing = wanted.filter { !present.contains($0) && !present.contains(ImageName.full($0)) }
        guard missing.isEmpty else { throw RecoveryError.imagesMissing(missing.sorted()) }
        return .done("all \(wanted.count) images of the static pods are here")
    }

    @Sendable static func bootable(_ context: RecoveryContext) async throws -> StepOutcome {
        let deployment: Deployment
        switch try await context.recordedDeployment() {
        case .over(let outcome): return outcome
        case .toBoot(let wanted, _): deployment = wanted
        }
        try await context.refuseUnlessBootable(deployment)
        return .done("'\(deployment.label)' can be booted")
    }

    @Sendable static func space(_ context: RecoveryContext) async throws -> StepOutcome {
        if context.skips(.space) { return .skipped("left out with --skip-check space") }
        var needs: [FileSystemNeed] = []
        for component in TreeComponents.names {
            guard let restorer = try context.restorer(for: component) else { continue }
            for need in try restorer.neededBytes() {
                try needs.append(FileSystemNeed(place: need.path, bytes: need.bytes))
            }
        }
        if let etcd = context.point.manifest.etcd {
            let place = try context.etcdPlacement().directory
            try needs.append(FileSystemNeed(place: place, bytes: etcd.totalSizeBytes + etcd.totalSizeBytes / 10))
        }
        if context.journal.header.keepsFailedState {
            let forecast = try await FailedState.forecast(context)
            try needs.append(FileSystemNeed(place: context.store.path, bytes: forecast.neededBytes))
        }
        for need in FileSystemNeed.combined(needs) {
            let free = try FileSystemSpace(at: need.place).availableBytes
            guard need.bytes <= free else {
                throw RecoveryError.noSpace(place: need.place.string, neededBytes: need.bytes, freeBytes: free)
            }
        }
        let total = needs.reduce(0) { $0 + $1.bytes }
        return .done("about \(ByteCount(total)) will be written, and there is room for it")
    }

    @Sendable static func rehearseEtcd(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let entry = context.point.manifest.component("etcd") else {
            return .skipped(context.point.manifest.reasonForLack(of: "etcd"))
        }
        return try context.stageEtcd(entry)
    }
}

/// A number of bytes that must be free on the file system that a place lies on.
struct FileSystemNeed {
    /// The nearest directory that is there.
    var place: FilePath
    var bytes: Int64
    private var device: UInt64

    init(place: FilePath, bytes: Int64) throws(FilesError) {
        var place = place
        while true {
            do throws(FilesError) {
                device = try RootDirectory(path: place).stat(".").identity.device
                break
            } catch {
                guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory,
                    place.removeLastComponent()
                else { throw error }
            }
        }
        self.place = place
        self.bytes = bytes
    }

    /// One need a file system: what lies on the same one adds up.
    static func combined(_ needs: [FileSystemNeed]) -> [FileSystemNeed] {
        var combined: [FileSystemNeed] = []
        for need in needs {
            if let index = combined.firstIndex(where: { $0.device == need.device }) {
                combined[index].bytes += need.bytes
            } else {
                combined.append(need)
            }
        }
        return combined
    }
}

/// The certificates without which the control plane of a recovery point cannot run.
enum RecoveryCertificates {
    /// Paths of the node.
    ///
    /// kubeadm: everything in `pki` that ends in `.crt`; openshift: what the static pods have as `tls.crt` and etcd's
    /// own; both: the kubelet's. Authorities are in files of their own and outlive what they sign.
    static func paths(in files: PointFiles) throws -> [FilePath] {
        var paths = [WellKnownPaths.kubeletCertificate, WellKnownPaths.kubeletServingCertificate]
        guard let root = files.staticPods else { return paths }
        for top in [WellKnownPaths.clusterKeys, WellKnownPaths.staticPodResources] where try root.exists(top) {
            try collect(top, in: root, depth: 0, into: &paths)
        }
        return paths
    }

    private static func collect(
        _ directory: FilePath,
        in root: RootDirectory,
        depth: Int,
        into paths: inout [FilePath]
    ) throws {
        for name in try root.names(in: directory).sorted(by: { $0.string < $1.string }) {
            let path = directory.appending(name)
            // The kubelet keeps links to the version in force; each file is looked at once, where it lies.
            let kind = try root.stat(path, followsLink: false).kind
            if kind == .directory, depth < 8 {
                try collect(path, in: root, depth: depth + 1, into: &paths)
            } else if kind == .regular, name.extension == "crt", !name.string.hasPrefix("ca") {
                paths.append(path)
            }
        }
    }
}

/// Names of images as runtimes have them.
enum ImageName {
    /// A short name with the registry and the tag that it stands for: `nginx` is `docker.io/library/nginx:latest`.
    static func full(_ name: String) -> String {
        var name = name
        let first = name.split(separator: "/", maxSplits: 1).first.map { String($0) } ?? name
        let hasRegistry = name.contains("/") && (first.contains(".") || first.contains(":") || first == "localhost")
        if !hasRegistry { name = name.contains("/") ? "docker.io/\(name)" : "docker.io/library/\(name)" }
        let last = name.split(separator: "/").last ?? ""
        if !last.contains(":"), !name.contains("@") { name += ":latest" }
        return name
    }
}

/// The components whose trees are restored by comparison, in the order of their restore, and what their archives may be
/// about: an archive that has anything else is refused.
enum TreeComponents {
    static let rows: [(name: String, within: [TreePath])] = [
        ("usr-local", ["usr/local"]),
        ("etc", ["etc"]),
        ("machine-config", [.root]),
        ("kubelet", ["var/lib/kubelet"]),
        ("static-pods", ["etc/kubernetes"]),
    ]

    static var names: [String] { rows.map(\.name) }

    /// What the archive of a component may be about: its places, and where they really are when links lead elsewhere,
    /// as `/usr/local` does where `/usr` is read-only.
    static func within(_ component: String, in root: RootDirectory) throws -> [TreePath] {
        let places = rows.first { $0.name == component }?.within ?? []
        return try places.flatMap { place in
            try place.isRoot || !root.exists(FilePath(place)) ? [place] : [place, root.resolve(FilePath(place))]
        }
    }
}

extension RecoveryPoint {
    /// The profile that the manifest names; `plain` for one that this program does not know.
    var profile: NodeProfile { NodeProfile(rawValue: manifest.profile) ?? .plain }
}

extension Deployment {
    /// The name by which recovery points record it.
    var name: String { "\(checksum).\(serial)" }

    /// For the operator: the version where there is one, and the beginning of the checksum.
    var label: String {
        version.map { "\($0) (\(checksum.prefix(12)).\(serial))" } ?? "\(checksum.prefix(12)).\(serial)"
    }
}
