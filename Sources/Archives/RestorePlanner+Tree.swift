internal import Files
internal import SystemPackage

extension RestorePlanner {
    /// A file of the tree.
    /// - Parameter stat: `nil` for a socket.
    func meet(_ record: FileRecord, _ stat: FileStat?, _ walk: borrowing TreeWalk) throws {
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
            try touch(line.path)
            plan.summary.metadataOnly += 1
            try tell(line, .changed(first.aspects))
        case .first(let resolved, let group, _):
            guard links.claim(stat, for: group) else { return try replace(line, stat, [.hardLink]) }
            let aspects = try readableDifferences(resolved, record, walk)
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
            if stat.linkCount > 1 { try touch(line.path) }
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

    func immutable(_ path: TreePath) -> ArchiveError {
        let text = request.root.text(of: path)
        let reason = "it is immutable or append-only, see 'lsattr -d \(text)' and 'chattr -i -a \(text)'"
        return ArchiveError("restore", entry: path.bytes, in: request.archive, .obstructed(reason))
    }

    /// A file that the disk does not give back any more differs in its content: to make it anew is the cure.
    private func readableDifferences(
        _ line: FileRecord,
        _ record: FileRecord,
        _ walk: borrowing TreeWalk
    ) throws -> [FileAspect] {
        do {
            return try differences(line, record, walk)
        } catch let error as FilesError {
            guard error.errno == .ioError else { throw error }
            return [.content]
        }
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
    func flush(_ extra: RestoreExtras.Extra) throws {
        guard !extra.isHeld else { return }
        if request.keepsExtras, !extra.path.components.contains(where: TreeEditor.isStagedName) { return }
        if extra.isImmutable { throw immutable(extra.path) }
        plan.summary.removed += 1
        if extra.isTop {
            try touch(extra.path)
            if TreeEditor.isStagedName(extra.path.name) {
                plan.leftovers.append(extra.path)
            } else {
                plan.removed.append(extra.path)
            }
        }
        try tell(extra.path, extra.kind, .removed)
    }

    func tellExtras() throws { try extras.leave(for: nil, flush) }

    /// Whether a file is in a directory that goes away as a whole, as far as is known.
    func isExtra(_ path: TreePath) -> Bool {
        extras.contains(path) || replaced.map { path.isWithin($0) } ?? false
    }

    /// A mount point, an exclusion, or what else is to be kept: neither written nor removed, nor anything in it.
    func keep(_ file: LeftOut) throws {
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
    init(socket path: TreePath) {
        let never = FileTime(seconds: 0, nanoseconds: 0)
        self.init(path: path, kind: .socket, mode: 0, uid: 0, gid: 0, modified: never)
    }
}
