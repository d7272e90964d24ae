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
    private let index: IndexStructure
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
    /// A directory that is made, while the index is in it: its index in the plan.
    private var newDirectory: Int?
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
        index = try IndexStructure(reading: request.index, within: request.within, cancellation: cancellation)
        links = RestoreLinks(firstNames: Set(index.firstNames.keys))
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
                case .notStorable where isExtra(file.path): break  // goes away with the directory that it is in
                case .excluded, .mountPoint, .named, .notStorable: try keep(file)
                }
            case .file(let record): try meet(record, walk.stat, walk)
            }
        }
        try addLines(before: nil)
        try tellExtras()
        let (inPlace, remade) = links.finish(plan.updated)
        plan.updated = inPlace
        for file in remade {
            let making: RestorePlan.Made.Making =
                file.record.kind == .regular ? .content(from: file.group) : .other(file.record)
            plan.locations[file.record.path] = try remake(file.record, making)
            for further in file.further { _ = try remake(further, .link(to: file.record.path)) }
        }
        try refuseReadOnlyTrees()
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
        if let last = newDirectory, !line.path.isWithin(plan.made[last].path) { newDirectory = nil }
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
            making = record.kind == .regular ? .content(from: source) : .other(record)
        case nil:
            making = .directory(record)
        }
        var made = RestorePlan.Made(path: line.path, making: making, place: .inside(0), placing: nil)
        if let newDirectory {
            made.place = .inside(Int32(newDirectory))
        } else {
            made.place = .beside(.random(in: 0 ... .max))
            made.placing = placing
            try touch(line.path)
            if line.kind == .directory { newDirectory = plan.made.count }
        }
        if let group, links.made(record, group) { plan.locations[record.path] = plan.location(of: made) }
        try add(made, record)
    }

    /// Has a file made that was to change in place.
    /// - Returns: where it is made.
    private func remake(_ record: FileRecord, _ making: RestorePlan.Made.Making) throws -> TreePath {
        let place = RestorePlan.Made.Place.beside(.random(in: 0 ... .max))
        let made = RestorePlan.Made(path: record.path, making: making, place: place, placing: .rename)
        plan.summary.metadataOnly -= 1
        try add(made, record)
        return plan.location(of: made)
    }

    /// Adds a file that is made, and counts it.
    private func add(_ file: RestorePlan.Made, _ record: FileRecord) throws {
        plan.made.append(file)
        plan.summary.written += 1
        var dataBytes: Int64 = 0
        if case .content = file.making { dataBytes = record.dataBytes }
        plan.summary.writtenBytes = plan.summary.writtenBytes.addingSaturated(dataBytes)
        try space.add(dataBytes: dataBytes, in: file.placing == nil ? nil : file.path.parent ?? .root)
    }

    /// Refuses to change a tree on a file system that is mounted read-only, before anything is changed.
    private func refuseReadOnlyTrees() throws {
        guard !plan.isEmpty else { return }
        // What is mounted below a top is never entered: a tree is on one file system.
        for top in plan.tops where changes(below: top) {
            var place = top
            while try !request.root.exists(FilePath(place)), let above = place.parent { place = above }
            guard try FileSystemSpace(at: FilePath(place), in: request.root).isReadOnly else { continue }
            throw FilesError(operation: "write to", path: request.root.text(of: place), errno: .readOnlyFileSystem)
        }
    }

    private func changes(below top: TreePath) -> Bool {
        plan.made.contains { $0.placing != nil && $0.path.isWithin(top) }
            || plan.removed.contains { $0.isWithin(top) } || plan.leftovers.contains { $0.isWithin(top) }
            || plan.updated.contains { $0.record.path.isWithin(top) }
            || plan.directories.keys.contains { $0.isWithin(top) }
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
        try tell(record.path, record.kind, change)
    }

    func tell(_ path: TreePath, _ kind: FileKind, _ change: TreeDifference.Change) throws {
        guard try report(TreeDifference(path: path, kind: kind, change: change)) else { throw Ended() }
    }
}
