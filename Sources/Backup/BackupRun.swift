import Archives
public import Files
import FoundationEssentials
import Glibc
import Logging
public import NodeInterface
public import RecoveryPoints
public import Reporting
import SystemPackage

/// Takes one recovery point of one node.
public struct BackupRun {
    private let request: BackupRequest
    private let node: Node
    private let meter: ProgressMeter

    /// A run of `request` on `node`; how far it is can be read from `meter`.
    public init(_ request: BackupRequest, on node: Node, meter: ProgressMeter) {
        self.request = request
        self.node = node
        self.meter = meter
    }

    /// What ``create()`` would do, found out without changing anything; needs no lock.
    public func forecast() async throws(BackupError) -> BackupForecast {
        do {
            let root = try preflight()
            let store = try RecoveryStore(path: request.directory)
            return BackupForecast(try await resolve(root, store))
        } catch {
            throw .wrapping(error)
        }
    }

    /// Takes a recovery point for a recovery, which holds the store's lock and tells the status itself.
    ///
    /// - Precondition: the request has ``BackupRequest/failedState``.
    public func createFailedState(holding lock: FileLock) async throws(BackupError) -> RecoveryPoint {
        precondition(request.failedState != nil, "only a recovery takes recovery points while it holds the lock")
        let reporter = StatusReporter(node: node, meter: meter, terminationLog: nil)
        do {
            let root = try preflight()
            let store = try RecoveryStore(path: request.directory)
            return try await writeNext(reporter, in: store, lock, root: root, begun: .now).point
        } catch {
            throw .wrapping(error)
        }
    }

    /// Takes a recovery point, verifies it, makes it count and prunes.
    ///
    /// Whatever ends it early, the earlier recovery points are as they were and nothing half is left, but for a
    /// directory `N.partial` when the process is killed, which the next run removes.
    /// - Returns: the recovery point, and what became of the others.
    public func create() async throws(BackupError) -> (point: RecoveryPoint, pruned: [Retention.Decision]) {
        let reporter = StatusReporter(node: node, meter: meter, terminationLog: request.terminationLog)
        let ticker = Ticker(every: .seconds(1)) { reporter.refresh() }
        defer { ticker.stop() }
        do {
            let result = try await lockAndWrite(reporter)
            ticker.stop()
            reporter.finish(nil)
            return result
        } catch {
            ticker.stop()
            let error = BackupError.wrapping(error)
            reporter.finish(error)
            throw error
        }
    }

    private func lockAndWrite(
        _ reporter: StatusReporter
    ) async throws -> (point: RecoveryPoint, pruned: [Retention.Decision]) {
        let begun = ContinuousClock.now
        let root = try preflight()
        let store = try RecoveryStore(path: request.directory)
        let lock = try store.lock(command: "node-backup create")
        if try store.hasRecoveryUnderWay() { throw BackupError.recoveryUnderWay(request.directory.string) }
        return try await writeNext(reporter, in: store, lock, root: root, begun: begun)
    }

    /// The part of ``create()`` that holds the lock.
    private func writeNext(
        _ reporter: StatusReporter,
        in store: RecoveryStore,
        _ lock: FileLock,
        root: RootDirectory,
        begun: ContinuousClock.Instant
    ) async throws -> (point: RecoveryPoint, pruned: [Retention.Decision]) {
        try store.prepare()
        if request.failedState == nil { reporter.attach(store) }
        for name in try store.removeLeftovers() {
            node.log.notice("Removed '\(name)', left by an interrupted run")
        }
        let plan = try await resolve(root, store)
        guard plan.neededBytes <= plan.freeBytes else {
            throw BackupError.noSpace(
                directory: request.directory.string,
                neededBytes: plan.neededBytes,
                freeBytes: plan.freeBytes
            )
        }
        let partial = try store.begin()
        reporter.enter(.starting, generation: partial.generation)
        let point = try await writeOrAbandon(plan, into: partial, store: store, begun: begun, reporter: reporter)
        if request.failedState != nil { return (point, []) }
        do throws(StoreError) {
            try store.pointLatest(at: point.generation)
        } catch {
            node.log.warning("\(error.summary), continuing: recovery point \(point.generation) is complete")
        }
        let pruned = try await Pruning.run(store, keep: request.keep, on: node)
        for decision in pruned where decision.isRemoved {
            node.log.notice("Removed recovery point \(decision.generation): \(decision.reason)")
        }
        return (point, pruned)
    }

    /// Writes, and takes what was written away again when that fails.
    private func writeOrAbandon(
        _ plan: ResolvedPlan,
        into partial: PartialPoint,
        store: RecoveryStore,
        begun: ContinuousClock.Instant,
        reporter: StatusReporter
    ) async throws -> RecoveryPoint {
        do {
            return try await write(plan, into: partial, store: store, begun: begun, reporter: reporter)
        } catch {
            do throws(StoreError) {
                try store.abandon(partial)
            } catch let leftover {
                node.log.warning("\(leftover.summary), continuing; the next run removes it")
            }
            throw error
        }
    }

    // MARK: before the first change

    /// What must hold before anything else is looked at.
    private func preflight() throws -> RootDirectory {
        guard geteuid() == 0 else { throw BackupError.notRoot }
        let root = try RootDirectory(path: node.root)
        try PhysicalSysroot.refuse(root)
        let directory = try openDirectory()
        if !request.allowsRootFileSystem, try Self.isPart(directory, ofFileSystemsOf: root) {
            throw BackupError.notAMount(directory: request.directory.string)
        }
        return root
    }

    /// Whether a directory lies on a file system that a recovery writes to, and would be lost with it.
    package static func isPart(
        _ directory: RootDirectory,
        ofFileSystemsOf root: RootDirectory
    ) throws(FilesError) -> Bool {
        let device = try directory.stat(".").identity.device
        for path: FilePath in ["/", "/etc", "/usr/local", "/var/lib/kubelet", "/var/lib/etcd"] {
            if try root.exists(path), try root.stat(path).identity.device == device { return true }
        }
        return false
    }

    private func openDirectory() throws -> RootDirectory {
        do throws(FilesError) {
            return try RootDirectory(path: request.directory)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            throw BackupError.noDirectory(request.directory.string)
        }
    }

    private func resolve(_ root: RootDirectory, _ store: RecoveryStore) async throws -> ResolvedPlan {
        var earlier: [RecoveryPoint] = []
        for entry in try store.all().reversed() {
            switch entry.point {
            case .success(let point): if point.manifest.failedState == nil { earlier.append(point) }
            case .failure(let error):
                node.log.warning("recovery point \(entry.generation) cannot be read: \(error.summary), ignored")
            }
        }
        return try await BackupPlanner(request: request, node: node, root: root, earlier: earlier).plan()
    }

    // MARK: writing

    private func write(
        _ plan: ResolvedPlan,
        into partial: PartialPoint,
        store: RecoveryStore,
        begun: ContinuousClock.Instant,
        reporter: StatusReporter
    ) async throws -> RecoveryPoint {
        var manifest = Manifest(
            generation: partial.generation,
            createdAt: node.now().iso8601,
            durationSeconds: 0,
            toolVersion: request.toolVersion,
            node: plan.identity,
            profile: plan.profile.profile.rawValue,
            components: [],
            skipped: [],
            etcd: nil,
            deployment: nil,
            failedState: request.failedState
        )
        // What is written is read once more when it is verified.
        meter.plan(components: plan.entries.filter { !$0.isSkipped }.count, totalBytes: plan.workBytes)
        reporter.enter(.active)
        let writer = ComponentWriter(
            request: request,
            node: node,
            meter: meter,
            directory: try Directory(path: partial.directory)
        )
        for entry in plan.entries {
            try node.cancellation.check()
            if case .skip(let reason, let makesPartial) = entry.work {
                node.log.info(
                    "\(entry.component.name): skipped, \(reason)",
                    metadata: ["component": "\(entry.component.name)", "recovery_point": "\(partial.generation)"]
                )
                manifest.skipped.append(
                    SkippedComponent(
                        name: entry.component.name.rawValue,
                        reason: reason,
                        makesPartial: makesPartial
                    )
                )
                continue
            }
            meter.begin(entry.component.name.rawValue, activity: "backing up", totalBytes: entry.sourceBytes)
            let written = try writer.write(entry, manifest: &manifest)
            manifest.components.append(written)
            node.log.notice(
                "\(Self.sentence(about: written, entry.work))",
                metadata: ["component": "\(written.name)", "recovery_point": "\(partial.generation)"]
            )
        }
        if let executable = request.executable {
            try store.install(executable)
        }
        var verified: [String: Verification.Result] = [:]
        if request.verifies {
            verified = try verify(&manifest, plan, writer, in: partial)
        }
        manifest.durationSeconds = (ContinuousClock.now - begun).seconds
        guard let deployment = plan.pinned else {
            return try store.commit(partial, manifest: manifest, verified: verified)
        }
        manifest.ownsPin = try await Pins.own(deployment, node, store) ? true : nil
        do {
            return try store.commit(partial, manifest: manifest, verified: verified)
        } catch {
            if !deployment.isPinned { await Pins.release([deployment.pointName], node) }
            throw error
        }
    }

    /// Reads back all that the recovery point has, what it shares with an earlier one as well.
    ///
    /// What is shared and turns out to be damaged is written again: then the earlier one has a recorded fault.
    private func verify(
        _ manifest: inout Manifest,
        _ plan: ResolvedPlan,
        _ writer: ComponentWriter,
        in partial: PartialPoint
    ) throws -> [String: Verification.Result] {
        let verifier = PointVerifier(node: node, jobs: request.jobs, meter: meter)
        var results: [String: Verification.Result] = [:]
        meter.plan(components: manifest.components.count, totalBytes: manifest.sourceBytes)
        for index in manifest.components.indices {
            let component = manifest.components[index]
            meter.begin(component.name, activity: "verifying", totalBytes: component.sourceBytes)
            // A snapshot was checked from end to end when it came.
            let isNewSnapshot = component.file(.snapshot) != nil && component.sharedWith == nil
            let point = try partial.provisional(manifest)
            var result = try verifier.verify(component, of: point, pagesAreProved: isNewSnapshot)
            if !result.faults.isEmpty,
                let written = try writeAgain(component, plan, writer, &manifest, faults: result.faults)
            {
                manifest.components[index] = written
                let isSnapshot = written.file(.snapshot) != nil
                result = try verifier.verify(
                    written,
                    of: try partial.provisional(manifest),
                    pagesAreProved: isSnapshot
                )
            }
            guard result.faults.isEmpty else {
                throw BackupError.verificationFailed(generation: manifest.generation, faults: result.faults)
            }
            results[component.name] = result
        }
        return results
    }

    /// Writes a component that was shared and is damaged; `nil` for one that was not shared.
    private func writeAgain(
        _ component: ComponentEntry,
        _ plan: ResolvedPlan,
        _ writer: ComponentWriter,
        _ manifest: inout Manifest,
        faults: [String]
    ) throws -> ComponentEntry? {
        guard var entry = plan.entries.first(where: { $0.component.name.rawValue == component.name }) else {
            return nil
        }
        let earlier: RecoveryPoint
        switch entry.work {
        case .share(let selection, let point, _, _):
            earlier = point
            entry.work = .tree(selection)
        case .shareSnapshot(let endpoint, let point, _, _):
            earlier = point
            entry.work = .etcd(endpoint, try node.etcd.status(of: endpoint, limit: .seconds(10)))
        default: return nil
        }
        node.log.warning(
            "\(component.name) of recovery point \(earlier.generation) is damaged: \(faults[0]); it is written again, continuing",
            metadata: ["component": "\(component.name)"]
        )
        do throws(StoreError) {
            try earlier.record([component.name: Verification.Result(verifiedAt: node.now().iso8601, faults: faults)])
        } catch {
            node.log.warning("\(error.summary), continuing without the record")
        }
        for file in component.files.compactMap({ FilePath.Component($0.name) }) {
            try writer.directory.removeTree(file)
        }
        return try writer.write(entry, manifest: &manifest)
    }

    /// `etc: 1 204 files, 3.1 MiB, stored in 0.9 MiB`.
    private static func sentence(about entry: ComponentEntry, _ work: ResolvedPlan.Work) -> String {
        let stored = ByteCount(entry.files.reduce(0) { $0 + $1.sizeBytes })
        switch work {
        case .share(_, let point, _, _), .shareSnapshot(_, let point, _, _):
            return "\(entry.name): nothing has changed, shared with recovery point \(point.generation)"
        default: break
        }
        var text = "\(entry.name): \(entry.sourceFiles) \(entry.sourceFiles == 1 ? "file" : "files")"
        if entry.sourceBytes > 0 { text += ", \(ByteCount(entry.sourceBytes)), stored in \(stored)" }
        if entry.leftOutCount > 0 { text += ", \(entry.leftOutCount) left out" }
        if entry.unstableCount > 0 { text += ", \(entry.unstableCount) kept changing" }
        if entry.unreadableCount > 0 { text += ", \(entry.unreadableCount) unreadable" }
        return text
    }
}
