import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// The steps that restore etcd and the control plane and start them.
enum ClusterSteps {
    /// Checks for the images again after a boot: CRI-O removes its whole store when it starts after a power cut.
    @Sendable static func imagesAgain(_ context: RecoveryContext) async throws -> StepOutcome {
        if let proved = context.journal.last(of: "images"), proved.boot == (try context.bootID()) {
            return .skipped("the node has not booted since they were checked")
        }
        if let unit = try FileSteps.runtime(context.units) {
            if try context.units.state(of: unit).isStopped {
                try context.units.start(unit, limit: context.request.stopLimit * 2)
            }
            _ = try await waitForRuntime(unit, context)
        }
        switch try context.proof.images(in: context.pointFiles()) {
        case .noStaticPods: return .skipped("there are no static pods")
        case .noRuntime: return .skipped("unknown: no container runtime is installed")
        case .present(let count): return .done("all of \(counted(count, "needed image")) are still present")
        case .missing(let missing): throw RecoveryError.imagesLost(missing)
        }
    }

    /// A unit that runs and a socket that nobody serves are not what the kubelet needs.
    private static func waitForRuntime(_ unit: String, _ context: RecoveryContext) async throws -> String {
        try await context.wait(
            for: "the container runtime to answer",
            look: "'journalctl -u \(unit) -n 50', type 'systemctl restart \(unit)'"
        ) {
            guard let name = try context.node.containers.runtime() else {
                return .notYet("nothing serves its socket")
            }
            return .there("\(unit) is running: \(name) answers")
        }
    }

    @Sendable static func restoreEtcd(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let entry = context.point.manifest.component(.etcd) else {
            guard let earlier = context.point.manifest.failedState?.recovery,
                try context.etcdPlacementForUndo().takeBack(keptBy: earlier)
            else { return .skipped(context.point.manifest.reasonForLack(of: .etcd)) }
            return .done("the member that was kept before the recovery is in place again")
        }
        let placement = try context.etcdPlacement()
        switch try placement.state() {
        case .swapped: return .done("the restored one was in place already")
        case .nothing:
            guard case .done(_, let values) = try context.stageEtcd(entry) else { break }
            try placement.swap()
            return .done("the restored one is in place, the failed one is kept", values: values)
        case .staged: try placement.swap()
        }
        return .done("the restored one is in place, the failed one is kept")
    }

    @Sendable static func startRuntime(_ context: RecoveryContext) async throws -> StepOutcome {
        guard let unit = try FileSteps.runtime(context.units) else {
            return .skipped("neither \(FileSteps.runtimes.joined(separator: " nor ")) is installed")
        }
        try context.units.start(unit, limit: context.request.stopLimit * 2)
        return .done(try await waitForRuntime(unit, context))
    }

    @Sendable static func startKubelet(_ context: RecoveryContext) async throws -> StepOutcome {
        let units = context.units
        var marks = try context.marks()
        try marks.release()
        try units.reload()
        guard try units.state(of: FileSteps.kubelet).exists else {
            return .skipped("\(FileSteps.kubelet) does not exist")
        }
        try units.start(FileSteps.kubelet, limit: context.request.stopLimit * 2)
        return .done("\(FileSteps.kubelet) is running, and starts at boot as before")
    }

    @Sendable static func waitForEtcd(_ context: RecoveryContext) async throws -> StepOutcome {
        let wanted = context.journal.value(JournalKeys.etcdCluster)
        let seen = try await context.wait(
            for: "etcd to answer",
            look: "'crictl ps -a --name etcd', 'ss -ltnp' (does another process hold its port?) and "
                + "'journalctl -u kubelet -n 50'",
            ofPod: "etcd"
        ) {
            guard let endpoint = try context.proof.etcdEndpoint() else {
                return .notYet("no static pod of etcd was found")
            }
            let status = try context.node.etcd.status(of: endpoint, limit: .seconds(5))
            let cluster = HexadecimalNumber(status.clusterID)
            if let wanted, cluster != wanted {
                throw RecoveryError.otherCluster(wanted: "\(wanted)", found: "\(cluster)")
            }
            if let error = status.errors.first { return .notYet(error) }
            return .there("etcd \(status.serverVersion) answers at revision \(status.revision)")
        }
        return .done(seen)
    }

    @Sendable static func waitForAPI(_ context: RecoveryContext) async throws -> StepOutcome {
        let cluster = context.cluster
        let seen = try await context.wait(for: "the API server to be ready", ofPod: "kube-apiserver") {
            let failing = try cluster.failingChecks()
            return failing.isEmpty
                ? .there("the API server is ready") : .notYet("these checks fail: \(failing.joined(separator: ", "))")
        }
        return .done(seen)
    }
}
