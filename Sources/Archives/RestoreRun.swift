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
    /// What was made beside its place.
    private var staged: [TreePath] = []
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
        for file in plan.made where tops.contains(file.record.path) {
            parents += try editor.makeParents(of: file.record.path)
        }
        for file in plan.made {
            guard case .directory = file.making else { continue }
            try begin(file, progress)
            if tops.contains(file.record.path) { editor.addAnchor(file.location) }
            try editor.makeDirectory(file.record, at: file.location)
        }
        try stageContents(progress)
        for file in plan.made {
            guard case .other = file.making else { continue }
            try begin(file, progress)
            try editor.makeOther(file.record, at: file.location)
        }
        for file in plan.made {
            guard case .link(let first) = file.making else { continue }
            try begin(file, progress)
            try editor.makeHardLink(file.record, to: plan.locations[first] ?? first, at: file.location)
        }
        // the deepest first, as a file that is made changes the time of its directory
        for file in plan.made.reversed() {
            guard case .directory = file.making else { continue }
            try editor.setMetadata(file.record, of: file.location)
        }
    }

    private func begin(_ file: RestorePlan.Made, _ progress: (_ files: Int, _ bytes: Int64) -> Void) throws {
        try cancellation.check()
        if file.placing != nil { staged.append(file.location) }
        files += 1
        progress(files, bytes)
    }

    /// Reads the archive up to the last content that is wanted.
    private func stageContents(_ progress: (_ files: Int, _ bytes: Int64) -> Void) throws {
        var wanted: [TreePath: Int] = [:]
        for (index, file) in plan.made.enumerated() {
            if case .content(let source) = file.making { wanted[source] = index }
        }
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
        while !wanted.isEmpty, let (record, extents) = try archive.next() {
            guard let index = wanted.removeValue(forKey: record.path) else { continue }
            let file = plan.made[index]
            try begin(file, progress)
            bytes += file.record.size
            if SmallFiles.takes(file.record, extents) {
                try small.add(file)
                continue
            }
            try editor.makeFile(file.record, at: file.location) { content throws in
                // A closure of its own cannot take the borrowed value along.
                let descriptor = content.descriptor
                let path = content.path
                try archive.readContent(of: file.record) { offset, piece in
                    try editor.willChange("write")
                    try descriptor.writeAll(piece, at: offset, path: path)
                }
            }
        }
        try small.finish()
        if let path = wanted.keys.min() {
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
        for path in staged { try? editor.remove(path) }
    }

    // MARK: - In their places

    private func place() throws {
        for file in plan.made {
            guard let placing = file.placing else { continue }
            try editor.rename(file.location, to: file.record.path, exchanging: placing == .exchange)
        }
    }

    private func finish() throws {
        for file in plan.made where file.placing == .exchange { try editor.remove(file.location) }
        for path in plan.removed { try editor.remove(path) }
        for file in plan.updated { try editor.update(file.record, expecting: file.stat.identity) }
        // the deepest first
        for (_, directory) in plan.directories.sorted(by: { $0.key > $1.key }) {
            try editor.update(directory.record, expecting: directory.stat.identity)
        }
    }
}
