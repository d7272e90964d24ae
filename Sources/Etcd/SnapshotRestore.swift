internal import Bolt
internal import Files
import Glibc
internal import NodeInterface
public import Reporting
public import SystemPackage

/// Makes a data directory for a fresh cluster out of a snapshot, as `etcdutl snapshot restore` does.
///
/// Everything is checked before the first byte is written: the options, the place, the digest, every page, etcd's own
/// keys, versions and space. The database is then written anew and compact, compared with the snapshot pair by pair,
/// and joined by a write-ahead log and a raft snapshot that are the tool's byte for byte; one result fits etcd 3.4 to
/// 3.7. It is made beside its place and gets its name by rename when all of it is on the disk.
///
/// Memory does not grow with the snapshot, but for 8 to 24 bytes for each live key while it is checked.
public struct SnapshotRestore {
    /// What a restore is doing.
    public enum Phase: Sendable {
        case check, write, compare
    }

    private let options: SnapshotRestoreOptions
    private let cancellation: Cancellation
    private let progress: (Phase, _ done: Int64, _ total: Int64) -> Void
    /// For tests of the comparison: runs on the database file before it is compared.
    var spoil: (FileDescriptor) throws -> Void = { _ in }

    /// A restore.
    ///
    /// - Parameter progress: called now and then with bytes done and bytes to do in a phase.
    public init(
        _ options: SnapshotRestoreOptions = SnapshotRestoreOptions(),
        cancellation: Cancellation,
        progress: @escaping (Phase, _ done: Int64, _ total: Int64) -> Void = { _, _, _ in }
    ) {
        self.options = options
        self.cancellation = cancellation
        self.progress = progress
    }

    /// Restores to `dataDirectory`, which must not exist, or be empty but for `lost+found`.
    ///
    /// A directory that does not exist appears whole; in one that does, which may be a mount point, `member` appears
    /// whole. With a write-ahead log of its own place, that appears first: etcd does not take a log without a
    /// database for a member, but would take a database without its log for a new one.
    /// - Parameter snapshot: unpacked, open for reading; its offset is not used.
    /// - Parameter name: what the snapshot is called in messages.
    /// - Throws: ``SnapshotDamaged``, ``SnapshotError``, ``BoltError``, ``Stopped``; then nothing is left at the place or beside it.
    public func restore(_ snapshot: FileDescriptor, named name: String, to dataDirectory: FilePath) throws
        -> RestoredSnapshot
    {
        let exists = try isEmptyDirectory(dataDirectory, snapshot: name)
        let final = exists ? dataDirectory.appending("member") : dataDirectory
        let partial = Self.partial(of: final)
        var restored = try build(snapshot, named: name, at: partial, isMember: exists, replacesLeftover: true) {
            files in
            guard let wal = options.walDirectory else { return try files.rename(partial, to: final) }
            try files.rename(Self.partial(of: wal), to: wal)
            do {
                try files.rename(partial, to: final)
            } catch {
                // ignored: the first error matters more
                try? files.rename(wal, to: Self.partial(of: wal))
                throw error
            }
        }
        restored.dataDirectory = dataDirectory
        return restored
    }

    /// Restores to `directory`, which must not exist, for a caller that renames it into place.
    ///
    /// The directory is a whole data directory and is on the disk when this returns; it is removed when this throws.
    /// Otherwise the same as ``restore(_:named:to:)``.
    /// - Precondition: the options have no ``SnapshotRestoreOptions/walDirectory``.
    public func build(_ snapshot: FileDescriptor, named name: String, at directory: FilePath) throws -> RestoredSnapshot
    {
        precondition(options.walDirectory == nil, "a data directory that is renamed later keeps its log")
        guard SnapshotFiles.kind(of: directory) == nil else {
            throw SnapshotError(snapshot: name, .targetInUse(directory, "it exists"))
        }
        return try build(snapshot, named: name, at: directory, isMember: false, replacesLeftover: false) { files in
            try files.sync(SnapshotFiles.parent(of: directory))
        }
    }

    /// Checks a snapshot and the options as a restore does, and gives the bytes that the new database will have.
    ///
    /// - Throws: as ``restore(_:named:to:)``, but for what concerns the place.
    public func forecast(_ snapshot: FileDescriptor, named name: String) throws -> Int64 {
        try plan(snapshot, named: name).sizeBytes
    }

    // MARK: - Steps

    /// - Parameter isMember: `directory` is what etcd calls `member`, not what holds it.
    private func build(
        _ snapshot: FileDescriptor,
        named name: String,
        at directory: FilePath,
        isMember: Bool,
        replacesLeftover: Bool,
        commit: (SnapshotFiles) throws -> Void
    ) throws -> RestoredSnapshot {
        if let wal = options.walDirectory, SnapshotFiles.kind(of: wal) != nil {
            throw SnapshotError(snapshot: name, .targetInUse(wal, "it exists"))
        }
        let plan = try plan(snapshot, named: name)
        let files = SnapshotFiles(snapshot: name, owner: options.owner ?? SnapshotFiles.defaultOwner(for: directory))
        // The database to the byte, and what the log, the directories and the file system's own records take.
        let needed = plan.sizeBytes + Int64(plan.raft.wal.count + plan.raft.snap.count) + 1 << 20
        try files.checkSpace(for: directory, needed: needed)
        let walPartial = options.walDirectory.map { Self.partial(of: $0) }
        try files.makeParents(of: directory)
        if let wal = options.walDirectory { try files.makeParents(of: wal) }
        if replacesLeftover {
            try files.removeTree(directory)
            if let walPartial { try files.removeTree(walPartial) }
        }
        do {
            let size = try write(
                plan.database,
                plan.rewrite,
                plan.raft,
                member: isMember ? directory : directory.appending("member"),
                wal: walPartial,
                isMember: isMember,
                files
            )
            try cancellation.check()
            try commit(files)
            return RestoredSnapshot(
                dataDirectory: directory,
                memberID: plan.membership.local.id,
                clusterID: plan.membership.clusterID,
                revision: plan.revision,
                contents: plan.contents,
                databaseSizeBytes: size,
                warnings: plan.warnings
            )
        } catch {
            // ignored: the first error matters more, and the next run removes what is left
            try? files.removeTree(directory)
            if let walPartial { try? files.removeTree(walPartial) }
            throw error
        }
    }

    /// What is to be done with a snapshot that was found good.
    private struct Plan {
        var database: BoltFile
        var contents: SnapshotContents
        var membership: SnapshotMembership
        /// The revision that the server starts at.
        var revision: Int64
        var rewrite: SnapshotRewrite
        var raft: SnapshotRaftFiles
        /// Bytes that the new database will have.
        var sizeBytes: Int64
        var warnings: [String]
    }

    /// Checks everything but the place.
    private func plan(_ snapshot: FileDescriptor, named name: String) throws -> Plan {
        let membership = try membership(snapshot: name)
        let (database, contents, currentRevision, sizes, inspectionWarnings) = try inspect(snapshot, named: name)
        var warnings = inspectionWarnings
        try checkVersion(contents, snapshot: name, warnings: &warnings)
        let raised = try raisedRevision(from: currentRevision, snapshot: name)
        warnings += Self.warnings(of: Set(contents.alarms.map(\.name)), areCleared: options.clearAlarms)
        try checkMembers(contents, membership, snapshot: name, warnings: &warnings)
        let rewrite = Self.rewrite(contents, membership, raised: raised, clearAlarms: options.clearAlarms)
        return Plan(
            database: database,
            contents: contents,
            membership: membership,
            revision: raised ?? currentRevision,
            rewrite: rewrite,
            raft: SnapshotRaftFiles(membership),
            sizeBytes: sizes.restored(rewrite),
            warnings: warnings
        )
    }

    private func membership(snapshot: String) throws(SnapshotError) -> SnapshotMembership {
        if options.bumpRevision > 0, !options.markCompacted {
            throw SnapshotError(snapshot: snapshot, .options("--bump-revision needs --mark-compacted"))
        }
        if options.markCompacted, options.bumpRevision == 0 {
            throw SnapshotError(snapshot: snapshot, .options("--mark-compacted needs --bump-revision"))
        }
        do {
            return try SnapshotMembership(
                name: options.name,
                initialCluster: options.initialCluster,
                token: options.token,
                advertisedURLs: options.advertisedPeerURLs
            )
        } catch {
            throw SnapshotError(snapshot: snapshot, .options(error.text))
        }
    }

    /// Whether `directory` exists and may be filled.
    private func isEmptyDirectory(_ directory: FilePath, snapshot: String) throws(SnapshotError) -> Bool {
        var status = stat()
        guard directory.withPlatformString({ stat($0, &status) }) == 0 else { return false }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw SnapshotError(snapshot: snapshot, .targetInUse(directory, "it is not a directory"))
        }
        let files = SnapshotFiles(snapshot: snapshot, owner: SnapshotRestoreOptions.Owner(uid: 0, gid: 0))
        for name in try files.names(in: directory) where name != "lost+found" && name != "member.partial" {
            throw SnapshotError(snapshot: snapshot, .targetInUse(directory, "it is not empty: it has '\(name)'"))
        }
        return true
    }

    private func inspect(
        _ snapshot: FileDescriptor,
        named name: String
    ) throws -> (BoltFile, SnapshotContents, revision: Int64, SnapshotSizes, warnings: [String]) {
        let inspector = SnapshotInspector(
            rule: options.skipHashCheck ? .optional : .required,
            cancellation: cancellation
        )
        let inspection = try inspector.inspect(snapshot) { progress(.check, $0, $1) }
        guard inspection.faults.isEmpty, let status = inspection.status, let contents = inspection.contents,
            let database = inspection.database, let sizes = inspection.sizes
        else {
            var error = SnapshotDamaged(name: name, faults: inspection.faults)
            error.lacksOnlyDigest = inspection.lacksOnlyDigest
            throw error
        }
        return (database, contents, status.currentRevision, sizes, inspection.warnings)
    }

    private func checkVersion(_ contents: SnapshotContents, snapshot: String, warnings: inout [String])
        throws(SnapshotError)
    {
        if let target = contents.downgradeTarget {
            warnings.append("a downgrade to etcd \(target) was under way when the snapshot was taken")
        }
        guard let text = options.serverVersion else { return }
        guard EtcdVersionFit.serverVersion(ofImage: "etcd:\(text)") == text else {
            throw SnapshotError(snapshot: snapshot, .options("'\(text)' is not a version of etcd"))
        }
        let fit = EtcdVersionFit(
            storageVersion: contents.storageVersion,
            clusterVersion: contents.clusterVersion,
            serverVersion: text
        )
        guard fit.verdict == .unsupported || fit.verdict == .refused else { return }
        if fit.verdict == .refused || !options.allowOlderServer {
            throw SnapshotError(snapshot: snapshot, .olderServer(fit))
        }
        warnings.append(fit.text)
    }

    /// The revision that the store is raised to; `nil` when it stays.
    private func raisedRevision(from current: Int64, snapshot: String) throws(SnapshotError) -> Int64? {
        guard options.bumpRevision > 0 else { return nil }
        // From the highest revision that anyone can have seen, so that it never goes back; etcdutl starts from the last
        // key.
        let highest = max(current, options.revisionFloor)
        guard let bump = Int64(exactly: options.bumpRevision), !highest.addingReportingOverflow(bump).overflow,
            highest + bump < .max
        else {
            throw SnapshotError(snapshot: snapshot, .revisionOverflow(current: highest, bump: options.bumpRevision))
        }
        return highest + bump
    }

    private static func warnings(of alarms: Set<String>, areCleared: Bool) -> [String] {
        let kept = alarms.filter { $0 != "NONE" && !(areCleared && $0 == "NOSPACE") }.sorted()
        var warnings = [String]()
        if areCleared, alarms.contains("NOSPACE") {
            warnings.append("the alarm NOSPACE of the snapshot was cleared: the restored database has no free pages")
        }
        if !kept.isEmpty {
            warnings.append("the snapshot has the alarm \(kept.joined(separator: ", ")), which was kept")
        }
        return warnings
    }

    private func checkMembers(
        _ contents: SnapshotContents,
        _ membership: SnapshotMembership,
        snapshot: String,
        warnings: inout [String]
    ) throws(SnapshotError) {
        guard contents.members.count > membership.members.count else { return }
        let names = contents.members.prefix(10).map(\.label)
        if options.refusesSeveralMembers, !contents.storageVersion.isEmpty {
            throw SnapshotError(snapshot: snapshot, .severalMembers(names))
        }
        warnings.append(
            "the snapshot lists \(contents.members.count) members (\(names.joined(separator: ", "))), and the new cluster "
                + "has \(membership.members.count): none of the others may run on its old data"
        )
    }

    /// Bytes of the database that a recovery makes of a snapshot, as a cluster of one member with a raised revision.
    ///
    /// Right but for the length of the member's name and URLs, which can make the difference of a page.
    static func sizeOfPlainRestore(_ sizes: SnapshotSizes, _ contents: SnapshotContents) -> Int64 {
        let options = SnapshotRestoreOptions()
        let membership = try? SnapshotMembership(
            name: options.name,
            initialCluster: options.initialCluster,
            token: options.token,
            advertisedURLs: options.advertisedPeerURLs
        )
        guard let membership else { return 0 }  // the defaults are good
        return sizes.restored(rewrite(contents, membership, raised: 1, clearAlarms: true))
    }

    private static func rewrite(
        _ contents: SnapshotContents,
        _ membership: SnapshotMembership,
        raised: Int64?,
        clearAlarms: Bool
    ) -> SnapshotRewrite {
        let raft = SnapshotRaftFiles(membership)
        func number(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
        var meta: [(key: [UInt8], value: [UInt8])] = [
            // A larger number than the log's end would make the server skip every new entry.
            (Array("consistent_index".utf8), number(raft.index)),
            (Array("term".utf8), number(raft.term)),
        ]
        if contents.hasConfState { meta.append((Array("confState".utf8), raft.confStateJSON)) }
        var rewrite = SnapshotRewrite()
        if let raised {
            let key = SnapshotRevision(main: raised).encoded
            rewrite.edits[.key] = SnapshotRewrite.Edit(insert: [(key, [])])
            meta.append((Array("scheduledCompactRev".utf8), key))
        }
        meta.sort { $0.key.lexicographicallyPrecedes($1.key) }
        rewrite.edits[.meta] = SnapshotRewrite.Edit(insert: meta)
        rewrite.edits[.members] = SnapshotRewrite.Edit(insert: raft.memberPairs, drops: { _ in true })
        rewrite.edits[.membersRemoved] = SnapshotRewrite.Edit(drops: { _ in true })
        if clearAlarms {
            rewrite.edits[.alarm] = SnapshotRewrite.Edit(drops: { SnapshotMessages.alarm($0)?.kind == 1 })
        }
        return rewrite
    }

    private func write(
        _ source: BoltFile,
        _ rewrite: SnapshotRewrite,
        _ raft: SnapshotRaftFiles,
        member: FilePath,
        wal: FilePath?,
        isMember: Bool,
        _ files: SnapshotFiles
    ) throws -> Int64 {
        if !isMember { try files.makeDirectory(SnapshotFiles.parent(of: member)) }
        try files.makeDirectory(member)
        let snapDirectory = member.appending("snap")
        let walDirectory = wal ?? member.appending("wal")
        try files.makeDirectory(snapDirectory)
        try files.makeDirectory(walDirectory)
        let size = try files.makeFile(snapDirectory.appending("db")) { file in
            let meta = try writeDatabase(source, rewrite, to: file, snapshot: files.snapshot)
            try spoil(file)
            try compare(source, rewrite, with: file, meta, snapshot: files.snapshot)
            return Int64(meta.pageCount) * Int64(meta.pageSize)
        }
        try files.makeFile(snapDirectory.appending(raft.snapName)) { _ = try $0.writeAll(raft.snap) }
        try files.makeFile(walDirectory.appending(raft.walName)) { _ = try $0.writeAll(raft.wal) }
        for directory in [walDirectory, snapDirectory, member] { try files.sync(directory) }
        if !isMember { try files.sync(SnapshotFiles.parent(of: member)) }
        return size
    }

    private func writeDatabase(
        _ source: BoltFile,
        _ rewrite: SnapshotRewrite,
        to file: FileDescriptor,
        snapshot: String
    ) throws -> BoltMeta {
        let walk = BoltWalk(source, cancellation: cancellation)
        let writer = BoltWriter(file, pageSize: source.meta.pageSize, cancellation: cancellation)
        var sink = BoltWriter.Sink(writer: writer)
        let total = Int64(source.length)
        try rewrite.run(walk, into: &sink) {
            progress(.write, min(total, Int64($0) * Int64(source.meta.pageSize)), total)
        }
        // It was good a moment ago.
        guard walk.faults.isEmpty else { throw SnapshotDamaged(name: snapshot, faults: walk.faults.lines) }
        return try writer.finish()
    }

    private func compare(
        _ source: BoltFile,
        _ rewrite: SnapshotRewrite,
        with file: FileDescriptor,
        _ meta: BoltMeta,
        snapshot: String
    ) throws {
        func wrong(_ text: String) -> SnapshotError { SnapshotError(snapshot: snapshot, .verification(text)) }
        let length = Int(try file.stat().size)
        guard case .file(let written) = try BoltFile.open(file, length: length, origin: .stream), written.meta == meta
        else {
            throw wrong("the meta pages differ")
        }
        let walk = BoltWalk(source, cancellation: cancellation)
        var comparison = SnapshotComparison(written: BoltWalk(written, cancellation: cancellation))
        let total = Int64(source.length)
        do {
            try rewrite.run(walk, into: &comparison) {
                progress(.compare, min(total, Int64($0) * Int64(source.meta.pageSize)), total)
            }
            try comparison.finish()
        } catch let difference as SnapshotComparison.Difference {
            throw wrong(difference.text)
        }
    }

    /// The name under which `path` is made.
    private static func partial(of path: FilePath) -> FilePath {
        path.withPlatformString { name in
            (Array(UnsafeBufferPointer(start: name, count: strlen(name))) + ".partial".utf8CString)
                .withUnsafeBufferPointer { FilePath(platformString: $0.baseAddress!) }
        }
    }
}
