import Archives
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// Writes one component after the other into a partial recovery point.
struct ComponentWriter {
    let request: BackupRequest
    let node: Node
    let meter: ProgressMeter
    /// The partial recovery point's directory.
    let directory: Directory

    /// Writes a component and says what it wrote; facts about the whole point go into `manifest`.
    func write(_ entry: ResolvedPlan.Entry, manifest: inout Manifest) throws -> ComponentEntry {
        let name = entry.component.name
        switch entry.work {
        case .skip(let reason, _):
            throw UnexpectedError(reason: "component '\(name)' was to be skipped: \(reason)")
        case .etcd(let endpoint, let status):
            return try writeSnapshot(name, endpoint, status, manifest: &manifest)
        case .shareSnapshot(_, let point, let shared, let entry):
            manifest.etcd = entry
            return try share(shared, of: point, leftOut: [])
        case .tree(let selection):
            var written = try writeTree(name, selection)
            written.leftOut += entry.leftOut
            return written
        case .share(_, let point, let shared, let leftOut):
            var written = try share(shared, of: point, leftOut: leftOut)
            written.leftOut += entry.leftOut
            return written
        case .deployment(let deployments, let pinned):
            manifest.deployment = pinned.pointName
            let document = DeploymentDocument(
                kept: DeploymentDocument.Entry(pinned),
                deployments: deployments.map(DeploymentDocument.Entry.init)
            )
            return try writeDocument(name, DeploymentDocument.fileName, try document.encoded(), sourceFiles: 1)
        case .images(let images, let runtime):
            let document = ImagesDocument(runtime: runtime, images: images.map(ImagesDocument.Entry.init))
            return try writeDocument(
                name,
                ImagesDocument.fileName,
                try document.encoded(),
                sourceFiles: Int64(images.count)
            )
        }
    }

    // MARK: etcd

    /// Streams a snapshot into a packed file, and looks at all of it before it counts.
    ///
    /// The same bytes go into a file without a name, which is gone afterwards, as the pages have to be looked at in an
    /// order of their own.
    private func writeSnapshot(
        _ name: ComponentName,
        _ endpoint: EtcdEndpoint,
        _ status: EtcdMemberStatus,
        manifest: inout Manifest
    ) throws -> ComponentEntry {
        let file: FilePath.Component = "etcd.snapshot.zst"
        let packed = try directory.create(file)
        let writer = try FrameWriter(
            to: packed.descriptor,
            path: directory.path.appending(file),
            level: level,
            jobs: 1,
            layout: .stream,
            cancellation: node.cancellation
        )
        defer { writer.stop() }
        let unpacked = try UnnamedFile(in: directory.path)
        var received: Int64 = 0
        let length = try node.etcd.streamSnapshot(
            from: endpoint,
            stallLimit: request.etcd.stallLimit,
            progress: { done, _ in
                meter.advance(bytes: done - received)
                received = done
            },
            sink: { piece in
                try writer.write(piece)
                try unpacked.write(piece)
            }
        )
        let stored = StoredFile(file.string, role: .snapshot, try writer.finish())
        let report = try node.etcd.inspectSnapshot(
            unpacked.descriptor,
            isDigestProved: true,
            cancellation: node.cancellation
        )
        guard report.faults.isEmpty, let contents = report.status else {
            throw BackupError.snapshotDamaged(endpoint: "\(endpoint)", faults: report.faults)
        }
        manifest.etcd = EtcdEntry(
            endpoint: "\(endpoint)",
            serverVersion: status.serverVersion,
            clusterID: String(status.clusterID, radix: 16),
            memberID: String(status.memberID, radix: 16),
            snapshotBytes: length,
            hash: contents.hash,
            revision: contents.revision,
            totalKeys: contents.totalKeys,
            totalSizeBytes: contents.totalSizeBytes,
            currentRevision: contents.currentRevision,
            alarms: contents.alarms,
            standstill: EtcdStandstill(
                at: contents.consistentIndex,
                revision: contents.currentRevision,
                endpoint,
                node
            ),
            members: contents.members.map {
                EtcdMemberEntry(name: $0.name, peerURLs: $0.peerURLs, isLearner: $0.isLearner)
            }
        )
        return ComponentEntry(
            name: name.rawValue,
            files: [stored],
            sourceFiles: 1,
            sourceBytes: length
        )
    }

    // MARK: trees

    private func writeTree(_ name: ComponentName, _ selection: TreeSelection) throws -> ComponentEntry {
        var options = TreeArchiver.Options(level: level, jobs: request.jobs)
        options.skipsUnreadable = request.skipsUnreadable
        var done: Int64 = 0
        let summary = try TreeArchiver.write(
            selection,
            name: name.rawValue,
            into: directory.path,
            options: options,
            cancellation: node.cancellation
        ) { _, bytes in
            meter.advance(bytes: bytes - done)
            done = bytes
        }
        for path in summary.changed {
            node.log.warning(
                "'/\(path)' kept changing while it was read, continuing",
                metadata: ["component": "\(name)"]
            )
        }
        for file in summary.unreadable {
            node.log.warning("\(file.error.summary), continuing without it", metadata: ["component": "\(name)"])
        }
        for file in summary.leftOut {
            guard case .notStorable(let reason) = file.reason else { continue }
            node.log.warning(
                "'/\(file.path)' cannot be stored (\(reason)), continuing without it",
                metadata: ["component": "\(name)"]
            )
        }
        let vanished = summary.vanished.map { LeftOut(path: $0, reason: .vanished) }
        return ComponentEntry(
            name: name.rawValue,
            files: [
                StoredFile("\(name).tar.zst", role: .archive, summary.archive),
                StoredFile("\(name).files.zst", role: .index, summary.index),
            ],
            sourceFiles: Int64(summary.files),
            sourceBytes: summary.sourceBytes,
            leftOut: (summary.leftOut + vanished).map(PathNote.init),
            unstable: summary.changed.map { PathNote(path: "\($0)", reason: "kept changing while it was read") },
            unreadable: summary.unreadable.map { PathNote(path: "\($0.path)", reason: $0.error.summary) },
            places: Self.unusualPlaces(of: name, selection)
        )
    }

    /// The tops of a set of static pods that are not all below `/etc/kubernetes`: a restore takes them from here.
    private static func unusualPlaces(of component: ComponentName, _ selection: TreeSelection) -> [String]? {
        let isUsual = selection.subtrees.allSatisfy { $0.isWithin("etc/kubernetes") }
        return component != .staticPods || isUsual ? nil : selection.subtrees.map { "\($0)" }
    }

    /// Gives the files of an earlier recovery point a second name here.
    private func share(
        _ entry: ComponentEntry,
        of point: RecoveryPoint,
        leftOut: [LeftOut]
    ) throws -> ComponentEntry {
        let earlier = try Directory(path: point.directory)
        for name in entry.files.compactMap({ FilePath.Component($0.name) }) {
            try earlier.link(name, as: name, in: directory)
        }
        var shared = entry
        shared.sharedWith = entry.sharedWith ?? point.generation
        shared.leftOut = leftOut.map(PathNote.init)
        shared.leftOutMore = nil
        return shared
    }

    // MARK: documents

    private func writeDocument(
        _ name: ComponentName,
        _ fileName: String,
        _ bytes: [UInt8],
        sourceFiles: Int64
    ) throws -> ComponentEntry {
        guard let file = FilePath.Component(fileName) else {
            throw UnexpectedError(reason: "'\(fileName)' is not a file name")
        }
        try AtomicFile.write(bytes, to: file, in: directory)
        return ComponentEntry(
            name: name.rawValue,
            files: [
                StoredFile(
                    name: fileName,
                    role: .document,
                    sizeBytes: Int64(bytes.count),
                    sha256: SHA256Hasher.digest(of: bytes)
                )
            ],
            sourceFiles: sourceFiles,
            sourceBytes: 0
        )
    }

    private var level: CompressionLevel { request.level.map { .fixed(Int32($0)) } ?? .automatic }
}

extension StoredFile {
    /// A file that was written as zstd frames.
    init(_ name: String, role: Role, _ totals: FrameTotals) {
        self.init(name: name, role: role, sizeBytes: totals.fileBytes, sha256: totals.fileDigest)
    }
}

extension PathNote {
    /// What a walk left out.
    init(_ file: LeftOut) {
        self.init(path: "\(file.path)", reason: "\(file.reason)")
    }
}

extension Deployment {
    /// The name by which recovery points record it, `CHECKSUM.SERIAL`.
    var pointName: String { "\(checksum).\(serial)" }
}

extension DeploymentDocument.Entry {
    fileprivate init(_ deployment: Deployment) {
        self.init(
            osName: deployment.osName,
            checksum: deployment.checksum,
            serial: deployment.serial,
            origin: deployment.origin,
            version: deployment.version,
            kernelArguments: deployment.kernelArguments,
            isBooted: deployment.isBooted,
            isPinned: deployment.isPinned,
            isStaged: deployment.isStaged
        )
    }
}

extension ImagesDocument.Entry {
    fileprivate init(_ image: ContainerImage) {
        self.init(
            id: image.id,
            tags: image.tags,
            digests: image.digests,
            sizeBytes: image.sizeBytes,
            isPinned: image.isPinned,
            usedBy: image.usedBy
        )
    }
}
