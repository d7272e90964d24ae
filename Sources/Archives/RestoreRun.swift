internal import Files
internal import Glibc
internal import Reporting
internal import SystemPackage

/// Does what a plan says: makes everything beside its place, puts it there, removes what is too much, sets metadata.
final class RestoreRun {
    private let plan: RestorePlan
    private let request: TreeRestorer.Request
    private let editor: TreeEditor
    private let cancellation: Cancellation
    /// Directories above tops that were made, the highest first.
    private var parents: [TreePath] = []
    /// What was made beside its place: indices of the plan's files.
    private var staged: [Int32] = []
    private var files = 0
    private var bytes: Int64 = 0

    init(
        _ plan: RestorePlan,
        _ request: TreeRestorer.Request,
        _ editor: TreeEditor,
        _ cancellation: Cancellation
    ) {
        self.plan = plan
        self.request = request
        self.editor = editor
        self.cancellation = cancellation
    }

    func run(_ progress: (_ files: Int, _ bytes: Int64) -> Void) throws {
        for path in plan.leftovers { try editor.remove(path) }
        if !plan.made.isEmpty {
            do {
                try stage(progress)
                try editor.sync()
                try cancellation.check()
            } catch {
                undo()
                throw error
            }
        }
        do {
            try place()
            if removesAnything { try editor.sync() }
            try finish()
        } catch {
            removeStaged()
            throw error
        }
        try editor.sync()
    }

    /// Whether old files go away that the renames have not replaced: not before the new ones are on the disk.
    private var removesAnything: Bool { !plan.removed.isEmpty || plan.made.contains { $0.placing == .exchange } }

    // MARK: - Beside their places

    private func stage(_ progress: (_ files: Int, _ bytes: Int64) -> Void) throws {
        let tops = Set(plan.tops)
        for file in plan.made where tops.contains(file.path) {
            parents += try editor.makeParents(of: file.path)
        }
        for (index, file) in plan.made.enumerated() {
            guard case .directory(let record) = file.making else { continue }
            let location = try begin(index, progress)
            if tops.contains(file.path) { editor.addAnchor(location) }
            try editor.makeDirectory(record, at: location)
        }
        try stageContents(progress)
        for (index, file) in plan.made.enumerated() {
            guard case .other(let record) = file.making else { continue }
            try editor.makeOther(record, at: begin(index, progress))
        }
        for (index, file) in plan.made.enumerated() {
            guard case .link(let first) = file.making else { continue }
            let location = try begin(index, progress)
            try editor.makeHardLink(file.path, to: plan.locations[first] ?? first, at: location)
        }
        // the deepest first, as a file that is made changes the time of its directory
        for file in plan.made.reversed() {
            guard case .directory(let record) = file.making else { continue }
            try editor.setMetadata(record, of: plan.location(of: file))
        }
    }

    /// Counts a file that is about to be made.
    /// - Returns: where.
    private func begin(_ index: Int, _ progress: (_ files: Int, _ bytes: Int64) -> Void) throws -> TreePath {
        try cancellation.check()
        if plan.made[index].placing != nil { staged.append(Int32(index)) }
        files += 1
        progress(files, bytes)
        return plan.location(of: plan.made[index])
    }

    /// Reads the archive up to the last content that is wanted.
    private func stageContents(_ progress: (_ files: Int, _ bytes: Int64) -> Void) throws {
        func source(_ index: Int32) -> TreePath? {
            if case .content(let source) = plan.made[Int(index)].making { source } else { nil }
        }
        // In the archive's order, which is that of a walk.
        let wanted = plan.made.indices.map { Int32($0) }.filter { source($0) != nil }
            .sorted { (source($0) ?? .root) < (source($1) ?? .root) }
        guard !wanted.isEmpty else { return }
        let archive = try IndexedArchive(
            archive: request.archive,
            index: request.index,
            jobs: request.jobs,
            cancellation: cancellation
        )
        let small = try SmallFiles(editor: editor, archive: archive)
        // before anything is taken back: nothing may be made any more by then
        defer { small.stop() }
        var next = 0
        while next < wanted.count, let (line, dataBytes) = try archive.next() {
            let index = Int(wanted[next])
            guard line.path == source(wanted[next]) else { continue }
            next += 1
            var record = line
            record.path = plan.made[index].path
            let location = try begin(index, progress)
            bytes = bytes.addingSaturated(dataBytes)
            if SmallFiles.takes(record, dataBytes: dataBytes) {
                try small.add(record, at: location)
                continue
            }
            try editor.makeFile(record, at: location) { content throws in
                // A closure of its own cannot take the borrowed value along.
                let descriptor = content.descriptor
                let path = content.path
                try archive.readContent(of: record) { offset, piece in
                    try editor.willChange("write")
                    try descriptor.writeAll(piece, at: offset, path: path)
                }
            }
        }
        try small.finish()
        if next < wanted.count, let path = source(wanted[next]) {
            throw ArchiveError("restore", entry: path.bytes, in: request.archive, .missing)
        }
    }

    /// Takes back what was made; the first error tells more than any that comes up here.
    private func undo() {
        removeStaged()
        for path in parents.reversed() { try? editor.removeDirectory(path) }
        for (path, directory) in plan.directories { try? editor.setTime(directory.stat.modified, of: path) }
    }

    /// Removes what is not in its place, new files and old ones.
    private func removeStaged() {
        for index in staged { try? editor.remove(plan.location(of: plan.made[Int(index)])) }
    }

    // MARK: - In their places

    private func place() throws {
        for file in plan.made {
            guard let placing = file.placing else { continue }
            try editor.rename(plan.location(of: file), to: file.path, exchanging: placing == .exchange)
        }
    }

    private func finish() throws {
        for file in plan.made where file.placing == .exchange { try editor.remove(plan.location(of: file)) }
        for path in plan.removed { try editor.remove(path) }
        for file in plan.updated { try editor.update(file.record, expecting: file.stat.identity) }
        // the deepest first
        for (_, directory) in plan.directories.sorted(by: { $0.key > $1.key }) {
            try editor.update(directory.record, expecting: directory.stat.identity)
        }
    }
}
