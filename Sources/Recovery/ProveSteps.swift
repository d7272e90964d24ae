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
        if !context.isDryRun { record(results, context) }
        let faults = context.point.manifest.components.flatMap { component in
            (results[component.name]?.faults ?? ["'\(component.name)' was not read"]).prefix(1)
        }
        guard faults.isEmpty else {
            throw RecoveryError.pointDamaged(generation: context.point.generation, faults: faults)
        }
        let unknown = context.point.manifest.unknownParts
        if !unknown.isEmpty {
            context.node.log.warning(
                """
                a newer program wrote \(unknown.joined(separator: ", ")) into the recovery point, which this one cannot \
                restore, continuing with the rest
                """
            )
        }
        let files = context.point.manifest.components.reduce(0) { $0 + $1.sourceFiles }
        return .done("recovery point \(context.point.generation) is sound: \(files) files, every digest compared")
    }

    private static func record(_ results: [String: Verification.Result], _ context: RecoveryContext) {
        do throws(StoreError) {
            try context.point.record(results)
        } catch {
            // It is a memo: a full partition does not make the recovery point a worse one.
            context.node.log.warning("\(error.summary), continuing without the record")
        }
    }

    @Sendable static func identity(_ context: RecoveryContext) async throws -> StepOutcome {
        let (here, difference) = try context.proof.identity()
        if let difference { context.node.log.warning("the host name differs: \(difference), continuing") }
        return .done(
            "it is of this node, '\(difference == nil ? here.name : context.point.manifest.node.name)', "
                + "profile \(context.point.manifest.profile)"
        )
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
        case .present(let count): return .done("all of \(counted(count, "needed image")) are present")
        case .missing(let missing): throw RecoveryError.imagesMissing(missing)
        }
    }

    @Sendable static func bootable(_ context: RecoveryContext) async throws -> StepOutcome {
        let (wanted, _) = try await context.recordedDeployment()
        let repair = try await context.proof.bootRepair(of: wanted)
        guard repair.isPossible else {
            return .done("'\(wanted.label)' \(wanted.isBooted ? "is booted" : "can be booted")")
        }
        return .done(
            "'\(wanted.label)' can be booted once what is missing is put back from its own tree: "
                + repair.obstacles.joined(separator: "; ")
        )
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
        let entry = try context.etcdEntry()
        guard context.isDryRun else { return try context.stageEtcd(entry) }
        let member = try context.etcdMember()
        return .done("not in a dry run; the member would be '\(member.name)'")
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

/// The components whose trees are restored by comparison, in the order of their restore.
enum TreeComponents {
    static let names: [ComponentName] = [.usrLocal, .etc, .machineConfig, .kubelet, .staticPods]
}

extension Deployment {
    /// The name by which recovery points record it.
    var name: String { "\(checksum).\(serial)" }

    /// For the operator: the version where there is one, and the beginning of the checksum.
    var label: String {
        version.map { "\($0) (\(checksum.prefix(12)).\(serial))" } ?? "\(checksum.prefix(12)).\(serial)"
    }
}
