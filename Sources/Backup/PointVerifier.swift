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
    /// Damage is no error: it is in the results, by component. What cannot be read because the system refuses is
    /// damage as well, as a recovery could not read it either.
    /// - Throws: ``BackupError`` when it is stopped, and when this machine lacks what it takes to look, such as room to
    ///   unpack a snapshot: that says nothing about the recovery point.
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
        var faults: [String] = []
        for file in component.files where file.role == .document {
            faults += try check { try documentFaults(file, of: point) }
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
        return Verification.Result(verifiedAt: node.now().iso8601, faults: faults)
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

    private func documentFaults(_ file: StoredFile, of point: RecoveryPoint) throws -> [String] {
        let path = point.path(of: file).string
        let opened = try RootDirectory(path: point.directory).open(FilePath(file.name))
        guard try FileStat(of: opened.descriptor, path: path).size == file.sizeBytes,
            try SHA256Hasher.digest(of: opened.descriptor, path: path).hex == file.sha256
        else {
            return ["'\(point.path(of: file))' is not the file that the manifest lists: its digest differs"]
        }
        return []
    }

    /// Where the trees of the components are; a link may lead elsewhere.
    private static let places: [String: TreePath] = [
        "etc": "etc", "usr-local": "usr/local", "kubelet": "var/lib/kubelet",
    ]

    /// What the archive of a component may be about; anything when the node of the point is not at hand, whose links
    /// nobody knows then.
    private func places(of component: ComponentEntry, _ point: RecoveryPoint) throws -> [TreePath] {
        let root = try RootDirectory(path: node.root)
        guard let place = Self.places[component.name], let machine = point.manifest.node.machineID,
            try NodeIdentity.read(from: root, isRunningSystem: false).machineID == machine
        else { return [.root] }
        return try root.exists(FilePath(place)) ? [place, root.resolve(FilePath(place))] : [place]
    }

    private func archiveFaults(
        _ archive: StoredFile,
        _ index: StoredFile,
        of point: RecoveryPoint,
        within: [TreePath]
    ) throws -> [String] {
        guard let archiveDigest = SHA256Digest(hex: archive.sha256), let indexDigest = SHA256Digest(hex: index.sha256)
        else { return ["the manifest's digests of '\(point.path(of: archive))' are none"] }
        var done: Int64 = 0
        _ = try ArchiveVerifier.verify(
            archive: point.path(of: archive),
            archiveDigest: archiveDigest,
            index: point.path(of: index),
            indexDigest: indexDigest,
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
