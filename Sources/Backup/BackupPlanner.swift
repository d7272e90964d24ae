import Archives
import Files
import FoundationEssentials
import Logging
import NodeInterface
package import RecoveryPoints
import Reporting
import SystemPackage

/// Finds the source of every component on a node and what it would cost.
///
/// Changes nothing.
struct BackupPlanner {
    let request: BackupRequest
    let node: Node
    let root: RootDirectory
    /// The readable recovery points, the newest first: for sharing what has not changed, and for the estimate of the rest.
    let earlier: [RecoveryPoint]

    func plan() async throws -> ResolvedPlan {
        let finding: ProfileDetector.Finding =
            switch request.profile {
            case .detect: try ProfileDetector.detect(in: root)
            case .fixed(let profile): ProfileDetector.Finding(profile: profile, evidence: nil)
            }
        if let sign = finding.signs.first {
            node.log.warning(
                """
                this looks like Kubernetes ('\(sign)'), but neither etcd nor an API server was found: it is taken for a \
                plain node; if it is a control plane, say so with --profile, continuing
                """
            )
        }
        let identity = try NodeIdentity.read(from: root, isRunningSystem: node.isRunningSystem)
        var plan = ResolvedPlan(
            profile: finding,
            identity: identity,
            entries: [],
            directory: request.directory,
            freeBytes: try FileSystemSpace(at: request.directory).availableBytes
        )
        for component in BackupPlan.components {
            try node.cancellation.check()
            do {
                plan.entries.append(try await entry(for: component, profile: finding.profile, identity: identity))
            } catch let error as any OperatorError where request.leavesOutWhatFails && !(error is Stopped) {
                plan.entries.append(skip(component, error.summary, makesPartial: true))
            }
        }
        return plan
    }

    /// What a component of files would take on this node now; `nil` for a component that has no files or no source.
    func selection(for name: ComponentName) throws -> TreeSelection? {
        guard let component = BackupPlan.components.first(where: { $0.name == name }) else { return nil }
        let subtrees: [FilePath]
        var exclusions: [String] = []
        switch component.source {
        case .staticPods: subtrees = try StaticPods.subtrees(in: root)
        case .tree(let path, let except):
            subtrees = try top(of: path)
            exclusions = except
        case .machineConfig: subtrees = try machineConfigPaths() ?? []
        case .etcdSnapshot, .deployment, .images: return nil
        }
        return try selection(subtrees, except: exclusions)
    }

    private func entry(
        for component: Component,
        profile: NodeProfile,
        identity: NodeIdentity
    ) async throws -> ResolvedPlan.Entry {
        let isWanted = request.onlyComponents?.contains(component.name)
        if request.excludedComponents.contains(component.name), isWanted != true {
            return skip(component, "left out by the configuration")
        }
        if isWanted == false || request.skippedComponents.contains(component.name) {
            return skip(
                component,
                isWanted == false ? "not asked for" : "left out as asked",
                makesPartial: await isOnNode(component, profile: profile)
            )
        }
        let entry: ResolvedPlan.Entry =
            switch component.source {
            case .etcdSnapshot: try etcdEntry(component, profile: profile, identity: identity)
            case .staticPods: try staticPodsEntry(component)
            case .tree(let path, let exclusions):
                try treeEntry(
                    component,
                    try top(of: path),
                    except: exclusions,
                    none: "'/\(path)' does not exist"
                )
            case .machineConfig: try machineConfigEntry(component)
            case .deployment: try await deploymentEntry(component)
            case .images: try imagesEntry(component, profile: profile)
            }
        if isWanted == true, case .skip(let reason, _) = entry.work {
            throw BackupError.sourceMissing(component: component.name, reason: reason)
        }
        return entry
    }

    // MARK: etcd

    private func etcdEntry(
        _ component: Component,
        profile: NodeProfile,
        identity: NodeIdentity
    ) throws -> ResolvedPlan.Entry {
        let endpoint = try EtcdLocator.locate(
            in: root,
            profile: profile,
            nodeName: identity.name,
            overrides: request.etcd,
            now: node.now().seconds
        )
        guard let endpoint else {
            if profile == .plain { return skip(component, "a plain node has no etcd") }
            throw BackupError.etcdNotFound(profile: profile.rawValue)
        }
        let status = try node.etcd.status(of: endpoint, limit: .seconds(10))
        for alarm in status.alarms {
            node.log.warning(
                "etcd has raised the alarm \(alarm), continuing",
                metadata: ["component": "\(component.name)"]
            )
        }
        if let (previous, shared) = shareable(component, .snapshot), previous.manifest.node == identity,
            let entry = previous.manifest.etcd, entry.isStill(of: status, endpoint, node)
        {
            return ResolvedPlan.Entry(
                component: component,
                work: .shareSnapshot(endpoint, from: previous, shared, entry),
                sourceBytes: shared.sourceBytes,
                sourceFiles: shared.sourceFiles,
                storedBytes: 0
            )
        }
        // The member may grow until the snapshot is taken.
        let bytes = status.databaseSizeBytes + 32
        return ResolvedPlan.Entry(
            component: component,
            work: .etcd(endpoint, status),
            sourceBytes: bytes,
            sourceFiles: 1,
            storedBytes: estimate(component, sourceBytes: bytes),
            workingBytes: bytes
        )
    }

    // MARK: trees

    /// The selection of a component's files.
    func selection(_ subtrees: [FilePath], except: [String]) throws -> TreeSelection {
        TreeSelection(
            root: root,
            subtrees: subtrees.compactMap { TreePath($0) },
            exclusions: except.compactMap { PathPattern(text: $0) } + request.exclusions,
            leaveOut: try storeIdentity()
        )
    }

    /// Where a component's tree really is; nothing when it does not exist.
    ///
    /// Systems with a read-only `/usr` have `/usr/local` as a link to a directory in `/var`.
    private func top(of path: String) throws -> [FilePath] {
        try root.exists(FilePath(path)) ? [FilePath(root.resolve(FilePath(path)))] : []
    }

    /// The identity of the directory that holds the recovery points, which is never inside its own backup.
    private func storeIdentity() throws -> [FileIdentity: String] {
        let store = try RootDirectory(path: request.directory)
        return [try store.stat(".").identity: "recovery store"]
    }

    private func treeEntry(
        _ component: Component,
        _ subtrees: [FilePath],
        except: [String] = [],
        none: String
    ) throws -> ResolvedPlan.Entry {
        guard !subtrees.isEmpty else { return skip(component, none) }
        let selection = try selection(subtrees, except: except)
        if let (previous, shared) = shareable(component, .archive, .index), let index = shared.file(.index) {
            if let found = try comparison(of: selection, component, with: previous, index), found.isComplete,
                found.differences == 0, found.unreadable.isEmpty
            {
                return ResolvedPlan.Entry(
                    component: component,
                    work: .share(selection, from: previous, shared, leftOut: found.leftOut),
                    sourceBytes: shared.sourceBytes,
                    sourceFiles: shared.sourceFiles,
                    storedBytes: 0
                )
            }
        }
        let totals = try totals(of: selection)
        return ResolvedPlan.Entry(
            component: component,
            work: .tree(selection),
            sourceBytes: totals.bytes,
            sourceFiles: totals.files,
            // A line of the index is about 60 bytes after compression, a tar header about 40.
            storedBytes: estimate(component, sourceBytes: totals.bytes) + totals.files * 100
        )
    }

    private func staticPodsEntry(_ component: Component) throws -> ResolvedPlan.Entry {
        let pods = try StaticPods(in: root)
        let places = try pods.places(in: root)
        for remark in pods.remarks + places.remarks {
            node.log.warning("\(remark), continuing", metadata: ["component": "\(component.name)"])
        }
        return try treeEntry(component, places.subtrees, none: "there are no static pod manifests")
    }

    /// The current machine config; `nil` when the node has none.
    private func machineConfig() throws -> MachineConfig? {
        let path = WellKnownPaths.currentMachineConfig
        guard try root.exists(path) else { return nil }
        return try MachineConfig.decode(
            try root.readFile(path, limitBytes: 64 << 20),
            file: root.fullPath(of: path).string
        )
    }

    /// The paths that the machine config manages outside the other trees; `nil` when the node has none.
    private func machineConfigPaths() throws -> [FilePath]? {
        guard let config = try machineConfig() else { return nil }
        let trees = try BackupPlan.wholeTrees.flatMap { try [$0] + top(of: $0).map(\.string) }
        return config.paths(outside: trees).map { FilePath($0) }
    }

    private func machineConfigEntry(_ component: Component) throws -> ResolvedPlan.Entry {
        guard let paths = try machineConfigPaths() else { return skip(component, "the node has no machine config") }
        var entry = try treeEntry(
            component,
            paths,
            none: "the machine config manages nothing outside the other trees"
        )
        entry.leftOut = try (machineConfig()?.unclearPaths ?? []).map {
            PathNote(path: $0, reason: "not a plain path: it has '.' or '..' in it")
        }
        return entry
    }

    // MARK: deployment and images

    private func deploymentEntry(_ component: Component) async throws -> ResolvedPlan.Entry {
        guard let deployments = try await node.deployments.deployments() else {
            return skip(component, "the node is not managed by ostree")
        }
        // In a rescue system nothing below the root is booted; the boot loader's default is what would be.
        let chosen =
            deployments.first { $0.isBooted }
            ?? (node.isRunningSystem ? nil : deployments.first { !$0.isStaged })
        guard let chosen else {
            throw BackupError.sourceMissing(
                component: component.name,
                reason: "none of the node's \(deployments.count) ostree deployments is the one that is running"
            )
        }
        return ResolvedPlan.Entry(
            component: component,
            work: .deployment(deployments, pinned: chosen),
            sourceBytes: 0,
            sourceFiles: 1,
            storedBytes: 4096
        )
    }

    private func imagesEntry(_ component: Component, profile: NodeProfile) throws -> ResolvedPlan.Entry {
        guard let runtime = try node.containers.runtime() else {
            return skip(component, "no container runtime is running", makesPartial: profile != .plain)
        }
        let images = try node.containers.images()
        return ResolvedPlan.Entry(
            component: component,
            work: .images(images, runtime: runtime),
            sourceBytes: 0,
            sourceFiles: Int64(images.count),
            storedBytes: 4096 + Int64(images.count) * 512
        )
    }

    // MARK: helpers

    /// How much a selection is, by one look at each file.
    private func totals(of selection: TreeSelection) throws -> (files: Int64, bytes: Int64) {
        var walk = TreeWalk(
            root: selection.root,
            subtrees: selection.subtrees,
            exclusions: selection.exclusions,
            leaveOut: selection.leaveOut
        )
        var totals: (files: Int64, bytes: Int64) = (0, 0)
        while let event = try walk.next() {
            try node.cancellation.check()
            guard case .file(let record) = event else { continue }
            totals.files += 1
            if record.hardLink == nil { totals.bytes = totals.bytes.addingSaturated(walk.stat.dataBytes) }
        }
        return totals
    }

    /// The newest recovery point that has a component in these files, all of them in their full length and without a
    /// recorded fault.
    ///
    /// Of one with a fault nothing older is taken either: it says why, and the component is written again.
    private func shareable(
        _ component: Component,
        _ roles: StoredFile.Role...
    ) -> (point: RecoveryPoint, entry: ComponentEntry)? {
        guard let point = earlier.first(where: { $0.manifest.component(component.name) != nil }),
            let entry = point.manifest.component(component.name)
        else { return nil }
        func refuse(_ reason: String) {
            node.log.warning(
                "\(component.name) of recovery point \(point.generation) \(reason), so it is written again, continuing",
                metadata: ["component": "\(component.name)"]
            )
        }
        if point.hasFault(in: entry.name) {
            refuse("was found damaged")
            return nil
        }
        for role in roles {
            guard let file = entry.file(role) else {
                refuse("has no \(role.rawValue)")
                return nil
            }
            guard point.has(file) else {
                refuse("has a '\(file.name)' that is missing or has another length")
                return nil
            }
        }
        return (point, entry)
    }

    /// Compares a tree with an earlier index; `nil` when that cannot be read, which is told.
    private func comparison(
        of selection: TreeSelection,
        _ component: Component,
        with point: RecoveryPoint,
        _ index: StoredFile
    ) throws -> TreeComparison.Summary? {
        do {
            return try TreeComparison(selection, index: point.path(of: index), cancellation: node.cancellation)
                .run { _ in false }
        } catch let error as ArchiveError where !error.isForWantOfResources {
            node.log.warning(
                "\(error.summary), so \(component.name) is written again, continuing",
                metadata: ["component": "\(component.name)"]
            )
            return nil
        }
    }

    /// Whether the node has a component; what cannot be found out counts as a yes.
    private func isOnNode(_ component: Component, profile: NodeProfile) async -> Bool {
        do {
            switch component.source {
            case .etcdSnapshot: return profile != .plain || request.etcd.endpoint != nil
            case .images: return try profile != .plain || node.containers.runtime() != nil
            case .deployment: return try await node.deployments.deployments() != nil
            case .staticPods, .tree, .machineConfig:
                return try selection(for: component.name)?.subtrees.isEmpty == false
            }
        } catch {
            return true
        }
    }

    private func skip(_ component: Component, _ reason: String, makesPartial: Bool = false) -> ResolvedPlan.Entry {
        ResolvedPlan.Entry(
            component: component,
            work: .skip(reason, makesPartial: makesPartial),
            sourceBytes: 0,
            sourceFiles: 0,
            storedBytes: 0
        )
    }

    /// Bytes on disk for bytes of content: as last time and a quarter more, or six tenths when there was no last time.
    private func estimate(_ component: Component, sourceBytes: Int64) -> Int64 {
        if let entry = earlier.lazy.compactMap({ $0.manifest.component(component.name) }).first,
            entry.sourceBytes > 1 << 20
        {
            let stored = entry.files.reduce(0) { $0 + $1.sizeBytes }
            let ratio = min(1, Double(stored) / Double(entry.sourceBytes) * 1.25)
            return Int64(nearestTo: Double(sourceBytes) * ratio)
        }
        return Int64(nearestTo: Double(sourceBytes) * 0.6)
    }
}

extension RecoveryPoint {
    /// Whether one of its files exists in its full length.
    package func has(_ file: StoredFile) -> Bool {
        // ignored: a file that cannot be checked is not shared, and verify says why
        guard let stat = try? RootDirectory(path: directory).stat(FilePath(file.name)) else { return false }
        return stat.kind == .regular && stat.size == file.sizeBytes
    }
}
