internal import Files
internal import Reporting
internal import SystemPackage

/// Compares a tree with an index and finds what makes them equal: one walk beside one reading of the index.
final class RestorePlanner {
    /// The caller has seen enough.
    struct Ended: Error {}

    let request: TreeRestorer.Request
    private let cancellation: Cancellation
    let comparison: FileComparison
    private let index: RestoreIndex
    let lines: ArchiveIndexReader
    private let report: (TreeDifference) throws -> Bool

    var plan = RestorePlan()
    var links: RestoreLinks
    private var space: RestoreSpace
    var extras = RestoreExtras()
    /// The line of the index that comes next.
    var recorded: FileRecord?
    /// The recorded directories that are there, from a top down to where the walk is.
    var directories: [RestorePlan.Updated] = []
    /// A directory that is made anew, while the index is in it.
    private var newDirectory: RestorePlan.Made?
    /// A directory of the tree that another kind of file takes the place of, while the walk is in it.
    var replaced: TreePath?

    init(
        _ request: TreeRestorer.Request,
        cancellation: Cancellation,
        report: @escaping (TreeDifference) throws -> Bool
    ) throws {
        self.request = request
        self.cancellation = cancellation
        self.report = report
        comparison = FileComparison(root: request.root, cancellation: cancellation)
        index = try RestoreIndex(request.index, within: request.within, cancellation: cancellation)
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

    // MARK: - The index

    /// Makes what the index has and the tree does not, up to where the walk is.
    func addLines(before path: TreePath?) throws {
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
    func enter(_ line: FileRecord) throws {
        try extras.leave(for: line.path, flush)
        if let last = replaced, !line.path.isWithin(last) { replaced = nil }
        if let last = newDirectory, !line.path.isWithin(last.record.path) { newDirectory = nil }
        while let last = directories.last, !line.path.isWithin(last.record.path) { directories.removeLast() }
        plan.summary.files += 1
    }

    /// Has a file made.
    func make(_ line: FileRecord, _ placing: RestorePlan.Placing) throws {
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
            try touch(line.path)
            if line.kind == .directory { newDirectory = made }
        }
        if let group { links.made(record, group, made.location, &plan) }
        plan.add(made)
    }

    /// Remembers to set the time of the directory that holds a file.
    /// - Throws: when nothing can be put into it or taken out.
    func touch(_ path: TreePath) throws {
        guard let directory = directories.last(where: { path.isWithin($0.record.path) && path != $0.record.path })
        else { return }
        if directory.stat.isImmutable { throw immutable(directory.record.path) }
        if plan.directories[directory.record.path] == nil { plan.directories[directory.record.path] = directory }
    }

    func tell(_ record: FileRecord, _ change: TreeDifference.Change) throws {
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
