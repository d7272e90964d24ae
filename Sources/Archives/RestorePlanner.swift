internal import Files
internal import Reporting
internal import SystemPackage

/// Compares a tree with an index and finds what makes them equal: one walk beside one reading of the index.
final class RestorePlanner {
    /// The caller has seen enough.
    struct Ended: Error {}

    let request: TreeRestorer.Request
    private let cancellation: Cancellation
    private let comparison: FileComparison
    private let index: RestoreIndex
    private let lines: ArchiveIndexReader
    private let report: (TreeDifference) throws -> Bool

    var plan = RestorePlan()
    var links: RestoreLinks
    private var space: RestoreSpace
    private var extras = RestoreExtras()
    /// The line of the index that comes next.
    private var recorded: FileRecord?
    /// The recorded directories that are there, from a top down to where the walk is.
    private var directories: [RestorePlan.Updated] = []
    /// A directory that is made anew, while the index is in it.
    private var newDirectory: RestorePlan.Made?
    /// A directory of the tree that another kind of file takes the place of, while the walk is in it.
    private var replaced: TreePath?

    init(
        _ request: TreeRestorer.Request,
        cancellation: Cancellation,
        report: @escaping (TreeDifference) throws -> Bool
    ) throws {
        self.request = request
        self.cancellation = cancellation
        self.report = report
        comparison = FileComparison(root: request.root, cancellation: cancellation)
        index = try RestoreIndex(request.index, cancellation: cancellation)
        links = RestoreLinks(firstNames: index.firstNames)
        space = RestoreSpace(root: request.root)
        lines = ArchiveIndexReader(
            from: try FrameReader(path: request.index, jobs: 1, cancellation: cancellation)
        )
        plan.tops = index.tops
    }

    /// Makes the plan.
    /// - Throws: ``Ended`` when the caller wants no more differences; what is in the way of the restore.
    func run() throws -> RestorePlan {
        recorded = try lines.next()
        var walk = TreeWalk(
            root: request.root,
            subtrees: try index.tops + TreeEditor.leftovers(beside: index.tops, in: request.root),
            exclusions: request.exclusions,
            leaveOut: request.leaveOut
        )
        while let event = try walk.next() {
            try cancellation.check()
            switch event {
            case .unreadable(_, let error): throw error
            case .leftOut(let file):
                switch file.reason {
                case .missing, .vanished: break  // as if it had never been there
                case .socket: try meet(FileRecord(socket: file.path), nil, walk)
                case .excluded, .mountPoint, .recoveryStore: try keep(file)
                }
            case .file(let record): try meet(record, walk.stat, walk)
            }
        }
        try addLines(before: nil)
        try tellExtras()
        links.finish(&plan)
        for made in plan.made { try space.add(made) }
        plan.summary.neededSpace = space.needed
        plan.summary.unchanged = plan.summary.files - plan.summary.written - plan.summary.metadataOnly
        return plan
    }

    // MARK: - What the walk meets

    /// A file of the tree.
    /// - Parameter stat: `nil` for a socket.
    private func meet(_ record: FileRecord, _ stat: FileStat?, _ walk: borrowing TreeWalk) throws {
        try addLines(before: record.path)
        guard let line = recorded, line.path == record.path else { return try meetExtra(record, stat) }
        recorded = try lines.next()
        try enter(line)
        guard let stat, line.kind == record.kind else {
            if let stat { try refuse(line, stat) }
            if record.kind == .directory { replaced = record.path }
            let placing: RestorePlan.Placing =
                line.kind == .directory || record.kind == .directory ? .exchange : .rename
            try make(line, placing)
            return try tell(line, .changed([.type]))
        }
        do {
            if line.kind == .directory {
                try meetDirectory(line, record, stat, walk)
            } else {
                try meetFile(line, record, stat, walk)
            }
        } catch let error as FilesError {
            guard error.errno == .noSuchFileOrDirectory || error.errno == .staleNFSFileHandle else { throw error }
            try make(line, .rename)
            try tell(line, .added)
        }
    }

    private func meetDirectory(
        _ line: FileRecord,
        _ record: FileRecord,
        _ stat: FileStat,
        _ walk: borrowing TreeWalk
    ) throws {
        let aspects = try differences(line, record, walk)
        let updated = RestorePlan.Updated(record: line, stat: stat, group: line.path, differs: !aspects.isEmpty)
        directories.append(updated)
        guard !aspects.isEmpty else { return }
        if stat.isImmutable { throw immutable(line.path) }
        plan.directories[line.path] = updated
        plan.summary.metadataOnly += 1
        try tell(line, .changed(aspects))
    }

    private func meetFile(
        _ line: FileRecord,
        _ record: FileRecord,
        _ stat: FileStat,
        _ walk: borrowing TreeWalk
    ) throws {
        switch try links.role(of: line, index: request.index) {
        case .further(let group, let first):
            guard first.identity == stat.identity, first.isMade || links.claim(stat, for: group) else {
                return try replace(line, stat, [.hardLink])
            }
            if first.isMade { return try replace(line, stat, first.aspects) }
            guard !first.aspects.isEmpty else { return }
            links.note(line, sharing: group)
            touch(line.path)
            plan.summary.metadataOnly += 1
            try tell(line, .changed(first.aspects))
        case .first(let resolved, let group, _):
            guard links.claim(stat, for: group) else { return try replace(line, stat, [.hardLink]) }
            let aspects = try differences(resolved, record, walk)
            if aspects.contains(where: \.needsNewFile) {
                links.release(stat, from: group)
                try replace(line, stat, aspects)
                return links.replaced(group, stat, aspects)
            }
            links.found(resolved, group, stat, aspects)
            guard !aspects.isEmpty else { return }
            if stat.isImmutable { throw immutable(line.path) }
            plan.updated.append(RestorePlan.Updated(record: resolved, stat: stat, group: group))
            // it may turn out to be shared with files that are none of ours
            if stat.linkCount > 1 { touch(line.path) }
            plan.summary.metadataOnly += 1
            try tell(line, .changed(aspects))
        }
    }

    private func replace(_ line: FileRecord, _ stat: FileStat, _ aspects: [FileAspect]) throws {
        try refuse(line, stat)
        try make(line, .rename)
        try tell(line, .changed(aspects))
    }

    /// Refuses to replace a top that something is mounted on, and what nobody can change.
    private func refuse(_ line: FileRecord, _ stat: FileStat) throws {
        if stat.isMountRoot == true, line.kind != .directory || stat.kind != .directory {
            let reason = LeftOut.Reason.mountPoint(type: nil, source: nil)
            throw obstructed(line.path, by: LeftOut(path: line.path, reason: reason))
        }
        if stat.isImmutable { throw immutable(line.path) }
    }

    private func immutable(_ path: TreePath) -> ArchiveError {
        let text = request.root.text(of: path)
        let reason = "it is immutable or append-only, see 'lsattr -d \(text)' and 'chattr -i -a \(text)'"
        return ArchiveError("restore", entry: path.bytes, in: request.archive, .obstructed(reason))
    }

    private func differences(
        _ line: FileRecord,
        _ record: FileRecord,
        _ walk: borrowing TreeWalk
    ) throws -> [FileAspect] {
        var record = record
        record.hardLink = nil
        let aspects = try comparison.differences(of: record, from: line, walk)
        return aspects.filter { aspect in
            // nobody can take the kernel's own label away
            guard case .attribute(let name) = aspect, ExtendedAttribute(name: name, value: []).isKernelLabel else {
                return true
            }
            return line.attributes.contains { $0.name == name }
        }
    }

    // MARK: - What is only in the tree

    private func meetExtra(_ record: FileRecord, _ stat: FileStat?) throws {
        if let stat { links.pass(stat, isLeftover: TreeEditor.isStagedName(record.path.name)) }
        if replaced.map({ record.path.isWithin($0) }) ?? false {
            if stat?.isImmutable ?? false { throw immutable(record.path) }
            plan.summary.removed += 1
            return try tell(record, .removed)
        }
        try extras.leave(for: record.path, flush)
        extras.add(record, isImmutable: stat?.isImmutable ?? false)
    }

    /// Tells of files that go away, now that it is known which of them have to stay.
    private func flush(_ extra: RestoreExtras.Extra) throws {
        guard !extra.isHeld else { return }
        if extra.isImmutable { throw immutable(extra.record.path) }
        plan.summary.removed += 1
        if extra.isTop {
            touch(extra.record.path)
            if TreeEditor.isStagedName(extra.record.path.name) {
                plan.leftovers.append(extra.record.path)
            } else {
                plan.removed.append(extra.record.path)
            }
        }
        try tell(extra.record, .removed)
    }

    private func tellExtras() throws { try extras.leave(for: nil, flush) }

    /// A mount point, an exclusion or the recovery store: neither written nor removed, nor anything in it.
    private func keep(_ file: LeftOut) throws {
        try addLines(before: file.path)
        plan.summary.leftOut.append(file)
        if let replaced, file.path.isWithin(replaced) { throw obstructed(replaced, by: file) }
        try extras.leave(for: file.path, flush)
        extras.hold(above: file.path)
        if let line = recorded, line.path == file.path, case .mountPoint = file.reason, line.kind != .directory,
            try request.root.stat(FilePath(file.path), followsLink: false).kind != line.kind
        {
            throw obstructed(line.path, by: file)
        }
        while let line = recorded, line.path.isWithin(file.path) {
            links.skip(line)
            recorded = try lines.next()
        }
    }

    private func obstructed(_ path: TreePath, by file: LeftOut) -> ArchiveError {
        let what =
            switch file.reason {
            case .mountPoint: "something is mounted on '\(request.root.text(of: file.path))'"
            default: "'\(request.root.text(of: file.path))' is to be kept (\(file.reason))"
            }
        return ArchiveError("restore", entry: path.bytes, in: request.archive, .obstructed(what))
    }

    // MARK: - What is only in the index

    /// Makes what the index has and the tree does not, up to where the walk is.
    private func addLines(before path: TreePath?) throws {
        while let line = recorded, path.map({ line.path < $0 }) ?? true {
            recorded = try lines.next()
            if !request.exclusions.isEmpty, request.exclusions.contains(where: { $0.matches(line.path) }) {
                links.skip(line)
                continue
            }
            try enter(line)
            try make(line, .rename)
            try tell(line, .added)
        }
    }

    /// Comes to the next line of the index that counts.
    private func enter(_ line: FileRecord) throws {
        try extras.leave(for: line.path, flush)
        if let last = replaced, !line.path.isWithin(last) { replaced = nil }
        if let last = newDirectory, !line.path.isWithin(last.record.path) { newDirectory = nil }
        while let last = directories.last, !line.path.isWithin(last.record.path) { directories.removeLast() }
        plan.summary.files += 1
    }

    /// Has a file made.
    private func make(_ line: FileRecord, _ placing: RestorePlan.Placing) throws {
        var record = line
        let making: RestorePlan.Made.Making
        var group: TreePath?
        switch line.kind == .directory ? nil : try links.role(of: line, index: request.index) {
        case .further(_, let first)?:
            making = .link(to: first.path)
        case .first(let resolved, let key, let source)?:
            record = resolved
            group = key
            making = record.kind == .regular ? .content(from: source) : .other
        case nil:
            making = .directory
        }
        var made = RestorePlan.Made(record: record, making: making, location: line.path, placing: nil)
        if let newDirectory {
            let rest = line.path.bytes.dropFirst(newDirectory.record.path.bytes.count)
            made.location = TreePath(unchecked: newDirectory.location.bytes + rest)
        } else {
            made.place(beside: line.path, placing)
            touch(line.path)
            if line.kind == .directory { newDirectory = made }
        }
        if let group { links.made(record, group, made.location, &plan) }
        plan.add(made)
    }

    /// Remembers to set the time of the directory that holds a file.
    private func touch(_ path: TreePath) {
        guard let directory = directories.last(where: { path.isWithin($0.record.path) && path != $0.record.path })
        else { return }
        if plan.directories[directory.record.path] == nil { plan.directories[directory.record.path] = directory }
    }

    private func tell(_ record: FileRecord, _ change: TreeDifference.Change) throws {
        guard try report(TreeDifference(path: record.path, kind: record.kind, change: change)) else { throw Ended() }
    }
}

extension RestorePlan {
    /// Adds a file that is made, and counts it.
    mutating func add(_ file: Made) {
        made.append(file)
        summary.written += 1
        if case .content = file.making { summary.writtenBytes += file.record.size }
    }
}

extension RestorePlan.Made {
    /// Has it made under a staged name.
    mutating func place(beside path: TreePath, _ placing: RestorePlan.Placing) {
        location = (path.parent ?? .root).appending(TreeEditor.stagedName())
        self.placing = placing
    }
}

extension FileAspect {
    /// Whether the difference cannot be taken away in place.
    fileprivate var needsNewFile: Bool {
        switch self {
        case .type, .content, .size, .linkTarget, .device, .hardLink: true
        case .mode, .owner, .time, .attribute: false
        }
    }
}

extension FileRecord {
    /// A socket, of which a walk tells nothing else.
    fileprivate init(socket path: TreePath) {
        let never = FileTime(seconds: 0, nanoseconds: 0)
        self.init(path: path, kind: .socket, mode: 0, uid: 0, gid: 0, modified: never)
    }
}
