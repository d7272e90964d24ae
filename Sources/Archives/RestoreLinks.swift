internal import Files
internal import SystemPackage

/// Knows which files have several names, in the archive and in the tree, and which names are to be one file.
struct RestoreLinks {
    /// What a line of the index is among the names of its file.
    enum Role {
        /// The first name that counts: it has the metadata, and its content is the archive's file `source`.
        case first(FileRecord, group: TreePath, source: TreePath)
        /// A further name of a file that came before.
        case further(group: TreePath, First)
    }

    /// The first name of a group.
    struct First {
        var path: TreePath
        var kind: FileKind
        /// The file that it is in the tree; `nil` when it is not there.
        var identity: FileIdentity?
        /// Whether another file takes its place.
        var isMade = false
        /// In what that file differs.
        var aspects: [FileAspect] = []
    }

    /// Names in the tree of one file.
    private struct Names {
        /// The group of the archive that keeps this file.
        var group: TreePath?
        /// Its names that belong to the group, or go away before anything else is done.
        var ours: UInt32 = 0
    }

    private let firstNames: Set<TreePath>
    private var firsts: [TreePath: First] = [:]
    /// First names that are neither written nor looked at.
    private var skipped: [TreePath: FileRecord] = [:]
    /// Of those, the next name, which takes their place.
    private var standIns: [TreePath: TreePath] = [:]
    private var names: [FileIdentity: Names] = [:]
    /// Further names of files whose metadata differs, by group.
    private var sharing: [TreePath: [FileRecord]] = [:]

    init(firstNames: Set<TreePath>) {
        self.firstNames = firstNames
    }

    // MARK: - In the index

    /// The part that a line plays; a group is called by the first name that the index gives it.
    /// - Throws: ``ArchiveError`` when a hard link leads to nothing, or to a file of another kind.
    mutating func role(of line: FileRecord, index: FilePath) throws(ArchiveError) -> Role {
        guard let group = line.hardLink else { return .first(line, group: line.path, source: line.path) }
        if var record = skipped[group], standIns[group] ?? line.path == line.path {
            guard record.kind == line.kind else { throw mismatch(line, index) }
            standIns[group] = line.path
            record.path = line.path
            return .first(record, group: group, source: group)
        }
        guard let first = firsts[group] else {
            let reason = "it is a hard link to '\(group)', which is no file with several names"
            throw ArchiveError("restore", entry: line.path.bytes, in: index, .damaged(reason))
        }
        guard first.kind == line.kind else { throw mismatch(line, index) }
        return .further(group: group, first)
    }

    func mismatch(_ line: FileRecord, _ index: FilePath) -> ArchiveError {
        let reason = "it is a hard link to a file of another kind"
        return ArchiveError("restore", entry: line.path.bytes, in: index, .damaged(reason))
    }

    /// A line is passed over.
    mutating func skip(_ line: FileRecord) {
        if firstNames.contains(line.path), line.hardLink == nil, line.kind != .directory { skipped[line.path] = line }
    }

    /// A first name is in the tree and stays the file that it is.
    mutating func found(_ line: FileRecord, _ group: TreePath, _ stat: FileStat, _ aspects: [FileAspect]) {
        guard firstNames.contains(group) else { return }
        firsts[group] = First(path: line.path, kind: line.kind, identity: stat.identity, aspects: aspects)
    }

    /// A first name is made.
    /// - Returns: whether further names may come.
    mutating func made(_ record: FileRecord, _ group: TreePath) -> Bool {
        guard firstNames.contains(group) else { return false }
        firsts[group] = First(path: record.path, kind: record.kind, identity: nil, isMade: true)
        return true
    }

    /// What the first name was that is made anew, so that its further names can be told of alike.
    mutating func replaced(_ group: TreePath, _ stat: FileStat, _ aspects: [FileAspect]) {
        firsts[group]?.identity = stat.identity
        firsts[group]?.aspects = aspects
    }

    /// A further name of a file whose metadata differs.
    mutating func note(_ line: FileRecord, sharing group: TreePath) {
        sharing[group, default: []].append(line)
    }

    // MARK: - In the tree

    /// Whether a name in the tree may stay the file that it is: no other group has that file already.
    mutating func claim(_ stat: FileStat, for group: TreePath) -> Bool {
        guard stat.linkCount > 1 else { return true }
        var found = names[stat.identity] ?? Names()
        guard found.group == nil || found.group == group else { return false }
        found.group = group
        found.ours += 1
        names[stat.identity] = found
        return true
    }

    /// The file of a name is not kept after all.
    mutating func release(_ stat: FileStat, from group: TreePath) {
        guard stat.linkCount > 1, names[stat.identity]?.group == group else { return }
        names[stat.identity]?.group = nil
        names[stat.identity]?.ours -= 1
    }

    /// A name that goes away.
    /// - Parameter isLeftover: whether it goes before anything else is done.
    mutating func pass(_ stat: FileStat, isLeftover: Bool) {
        guard stat.linkCount > 1, stat.kind != .directory, isLeftover else { return }
        names[stat.identity, default: Names()].ours += 1
    }

    // MARK: - At the end

    /// A file that is made again, with its further names.
    struct Remade {
        var record: FileRecord
        var group: TreePath
        var further: [FileRecord]
    }

    /// Tells the files that can change in place from those that have to be made again, as they have names that are
    /// none of theirs.
    func finish(_ updated: [RestorePlan.Updated]) -> (inPlace: [RestorePlan.Updated], remade: [Remade]) {
        var result: (inPlace: [RestorePlan.Updated], remade: [Remade]) = ([], [])
        for file in updated {
            if file.stat.linkCount > 1, names[file.stat.identity]?.ours != file.stat.linkCount {
                let further = sharing[file.group] ?? []
                result.remade.append(Remade(record: file.record, group: file.group, further: further))
            } else {
                result.inPlace.append(file)
            }
        }
        return result
    }
}
