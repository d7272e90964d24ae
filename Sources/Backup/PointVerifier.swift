import Archives
import CLinux
import Files
import Logging
public import NodeInterface
public import RecoveryPoints
public import Reporting
import SystemPackage

/// Reads recovery points back and compares them with their manifests.
public struct PointVerifier {
    private let node: Node
    private let jobs: Int
    private let meter: ProgressMeter?

    /// A verifier that decompresses with `jobs` threads.
    public init(node: Node, jobs: Int, meter: ProgressMeter? = nil) {
        self.node = node
        self.jobs = jobs
        self.meter = meter
    }

    /// Verifies every component of a recovery point.
    ///
    /// Damage is not an error: it is in the results, by component. What cannot be read because the system refuses is
    /// damage as well, as a recovery could not read it either. Of what a newer program wrote and this one does not know, the
    /// digests are compared, and the result says that no more was proved.
    /// - Throws: ``BackupError`` when it is stopped, and when this machine lacks what it takes to verify (room to unpack a
    ///   snapshot, descriptors, threads, memory): that says nothing about the recovery point.
    public func verify(_ point: RecoveryPoint) throws(BackupError) -> [String: Verification.Result] {
        var results: [String: Verification.Result] = [:]
        meter?.plan(components: point.manifest.components.count, totalBytes: point.manifest.sourceBytes)
        for component in point.manifest.components {
            meter?.begin(component.name, activity: "verifying", totalBytes: component.sourceBytes)
            results[component.name] = try verify(component, of: point)
        }
        return results
    }

    /// Verifies one component.
    /// - Parameter pagesAreProved: whether an etcd snapshot was looked at page by page when it came, so that it is
    ///   enough to see that it is still the same.
    public func verify(
        _ component: ComponentEntry,
        of point: RecoveryPoint,
        pagesAreProved: Bool = false
    ) throws(BackupError) -> Verification.Result {
        var faults: [String] = missingFiles(of: component)
        var unproved: [String] = []
        for file in component.files where file.role == .document {
            faults += try check { try digestFaults(file, of: point) }
        }
        for file in component.unknownFiles {
            faults += try check { try digestFaults(file, of: point) }
            unproved.append("'\(point.path(of: file))' was written by a newer program: only its digest was compared")
        }
        if component.component == nil {
            unproved.append("component '\(component.name)' was written by a newer program: this one cannot restore it")
        }
        if let archive = component.file(.archive), let index = component.file(.index) {
            faults += try check { try archiveFaults(archive, index, of: point, within: places(of: component, point)) }
        }
        if let snapshot = component.file(.snapshot) {
            faults += try check {
                pagesAreProved
                    ? try changesOfSnapshot(snapshot, component, of: point)
                    : try snapshotFaults(snapshot, component, of: point)
            }
        }
        return Verification.Result(verifiedAt: node.now().iso8601, faults: faults, unproved: unproved)
    }

    /// The faults that `body` finds, or the error that it ends with as a fault; being stopped, and what this machine
    /// lacks, is thrown.
    private func check(_ body: () throws -> [String]) throws(BackupError) -> [String] {
        do {
            return try body()
        } catch let error as ScratchFailure {
            throw .wrapping(error.cause)
        } catch {
            let error = BackupError.wrapping(error)
            if case .stopped = error { throw error }
            if error.isForWantOfSpace || error.isForWantOfResources { throw error }
            return [error.summary]
        }
    }

    private func digestFaults(_ file: StoredFile, of point: RecoveryPoint) throws -> [String] {
        let path = point.path(of: file).string
        let opened = try RootDirectory(path: point.directory).open(FilePath(file.name))
        guard try FileStat(of: opened.descriptor, path: path).size == file.sizeBytes,
            try SHA256Hasher.digest(of: opened.descriptor, path: path) == file.sha256
        else {
            return ["'\(point.path(of: file))' is not the file that the manifest lists: its digest differs"]
        }
        return []
    }

    /// What a component of this kind must have and the manifest does not list: a restore could not use it.
    private func missingFiles(of component: ComponentEntry) -> [String] {
        guard let name = component.component else { return [] }
        let needed: [StoredFile.Role] =
            switch name {
            case .etcd: [.snapshot]
            case .deployment, .images: [.document]
            case .staticPods, .etc, .usrLocal, .kubelet, .machineConfig: [.archive, .index]
            }
        return needed.filter { component.file($0) == nil }
            .map { "the manifest lists no \($0.rawValue) of component '\(name)'" }
    }

    /// What the archive of a component may be about, as for a restore; anything when the node of the point is not at
    /// hand, whose links nobody knows then.
    private func places(of component: ComponentEntry, _ point: RecoveryPoint) throws -> [TreePath] {
        let root = try RootDirectory(path: node.root)
        guard let name = component.component, let machine = point.manifest.node.machineID,
            try NodeIdentity.read(from: root, isRunningSystem: false).machineID == machine
        else { return [.root] }
        return try ComponentPlaces.of(name, in: root, unusual: component.places)
    }

    private func archiveFaults(
        _ archive: StoredFile,
        _ index: StoredFile,
        of point: RecoveryPoint,
        within: [TreePath]
    ) throws -> [String] {
        var done: Int64 = 0
        _ = try ArchiveVerifier.verify(
            archive: point.path(of: archive),
            archiveDigest: archive.sha256,
            index: point.path(of: index),
            indexDigest: index.sha256,
            within: within,
            jobs: jobs,
            cancellation: node.cancellation
        ) { _, bytes in
            meter?.advance(bytes: bytes - done)
            done = bytes
        }
        return []
    }

    private func changesOfSnapshot(
        _ file: StoredFile,
        _ component: ComponentEntry,
        of point: RecoveryPoint
    ) throws -> [String] {
        let path = point.path(of: file)
        let fault = try PackedSnapshot(path: path, expected: file)
            .compare(length: component.sourceBytes, node, jobs: jobs) { meter?.advance(bytes: $0) }
        return fault.map { ["'\(path)': \($0)"] } ?? []
    }

    private func snapshotFaults(
        _ file: StoredFile,
        _ component: ComponentEntry,
        of point: RecoveryPoint
    ) throws -> [String] {
        let path = point.path(of: file)
        let report = try PackedSnapshot(path: path, expected: file).inspect(
            length: component.sourceBytes,
            node,
            jobs: jobs
        ) { bytes in
            meter?.advance(bytes: bytes)
        }
        var faults = report.faults.map { "'\(path)': \($0)" }
        if let status = report.status, let entry = point.manifest.etcd,
            status.hash != entry.hash || status.revision != entry.revision
        {
            faults.append("'\(path)' does not hold revision \(entry.revision) with the hash that the manifest lists")
        }
        return faults
    }
}
