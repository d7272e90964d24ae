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
        do throws(StoreError) {
            try context.point.record(results)
        } catch {
            // It is a memo: a full partition does not make the recovery point a worse one.
            context.node.log.warning("\(error.summary), continuing without the record")
        }
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
        let here = try context.proof.identity()
        return .done("it is of this node, '\(here.name)', profile \(context.point.manifest.profile)")
    }

    @Sendable static func certificates(_ context: RecoveryContext) async throws -> StepOutcome {
        let found = try context.proof.certificates(in: context.pointFiles())
        let now = context.node.now().seconds
        let expired = found.filter { $0.notAfter < now }.map(\.text)
        guard expired.isEmpty || context.skips(.certificates) else {
            throw RecoveryError.certificatesExpired(expired)
        }
        for certificate in expired { context.node.log.warning("expired: \(certificate), continuing as asked") }
        let valid = found.filter { $0.notAfter >= now }
        guard let first = valid.min(by: { $0.notAfter < $1.notAfter }) else {
            return .skipped("there are none in the recovery point")
        }
        return .done("the first one to expire is '\(first.path)', on \(Certificate.text(of: first.notAfter))")
    }

    @Sendable static func images(_ context: RecoveryContext) async throws -> StepOutcome {
        switch try context.proof.images(in: context.pointFiles()) {
        case .noStaticPods: return .skipped("there are no static pods")
        case .noRuntime: return .skipped("unknown: no container runtime answers")
        case .present(let count): return .done("all \(count) images of the static pods are present")
        case .missing(let missing): throw RecoveryError.imagesMissing(missing)
        }
    }

    @Sendable static func bootable(_ context: RecoveryContext) async throws -> StepOutcome {
        let (wanted, _) = try await context.recordedDeployment()
        if wanted.isBooted { return .done("'\(wanted.label)' is booted") }
        try await context.proof.refuseUnlessBootable(wanted)
        return .done("'\(wanted.label)' can be booted")
    }

    @Sendable static func space(_ context: RecoveryContext) async throws -> StepOutcome {
        let needs = try await context.proof.spaceNeeds(
            in: context.pointFiles(),
            keepsFailedState: context.journal.header.keepsFailedState,
            meter: context.meter
        )
        try context.proof.refuseUnlessRoom(for: needs)
        let total = needs.reduce(0) { $0 + $1.bytes }
        return .done("about \(ByteCount(total)) will be written, and there is room for it")
    }

    @Sendable static func rehearseEtcd(_ context: RecoveryContext) async throws -> StepOutcome {
        try context.proof.refuseUnlessEtcdFits(in: context.pointFiles(), skips: context.skips)
        return try context.stageEtcd(try context.etcdEntry())
    }
}

/// A number of bytes that must be free on the file system that a place lies on.
struct FileSystemNeed {
    /// The nearest directory that is there.
    var place: FilePath
    var bytes: Int64
    /// Whether the recovery point of the failed state is part of it.
    var isForWayBack: Bool
    private var device: UInt64

    init(place: FilePath, bytes: Int64, isForWayBack: Bool = false) throws(FilesError) {
        var place = place
        self.isForWayBack = isForWayBack
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
                combined[index].isForWayBack = combined[index].isForWayBack || need.isForWayBack
            } else {
                combined.append(need)
            }
        }
        return combined
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
    static let rows: [(name: ComponentName, within: [TreePath])] = [
        (.usrLocal, ["usr/local"]),
        (.etc, ["etc"]),
        (.machineConfig, [.root]),
        (.kubelet, ["var/lib/kubelet"]),
        (.staticPods, ["etc/kubernetes"]),
    ]

    static var names: [ComponentName] { rows.map(\.name) }

    /// What the archive of a component may be about: its places, and where they really are when links lead elsewhere,
    /// as `/usr/local` does where `/usr` is read-only.
    static func within(_ component: ComponentName, in root: RootDirectory) throws -> [TreePath] {
        let places = rows.first { $0.name == component }?.within ?? []
        return try places.flatMap { place in
            try place.isRoot || !root.exists(FilePath(place)) ? [place] : [place, root.resolve(FilePath(place))]
        }
    }
}

extension Deployment {
    /// The name by which recovery points record it.
    var name: String { "\(checksum).\(serial)" }

    /// For the operator: the version where there is one, and the beginning of the checksum.
    var label: String {
        version.map { "\($0) (\(checksum.prefix(12)).\(serial))" } ?? "\(checksum.prefix(12)).\(serial)"
    }
}
