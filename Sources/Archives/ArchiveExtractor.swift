public import Files
public import Reporting
public import SystemPackage

/// Takes files out of an archive.
public enum ArchiveExtractor {
    /// What was taken out.
    public struct Contents: Sendable, Hashable {
        /// Files of all kinds, directories and hard links too.
        public var files = 0
        /// The directories among them.
        public var directories = 0
        /// Bytes of content.
        public var sourceBytes: Int64 = 0
    }

    /// Makes files of an archive in the writer's directory, with all their metadata; every content is compared with
    /// its digest.
    ///
    /// The directories above a chosen path come along, themselves only. A hard link whose first name is not chosen
    /// becomes a file of its own. The writer is not finished here.
    /// - Parameter paths: Files and directories, each with everything in it; empty for the whole archive.
    /// - Throws: ``ArchiveError`` when a path is not in the archive, before anything is made, and for damage;
    ///   `FilesError` when a file cannot be made; `Stopped`.
    public static func extract(
        _ paths: [TreePath],
        archive: FilePath,
        index: FilePath,
        to writer: TreeWriter,
        jobs: Int = 2,
        cancellation: Cancellation,
        progress: (_ files: Int, _ bytes: Int64) -> Void = { _, _ in }
    ) throws -> Contents {
        let plan = try ExtractionPlan(paths, archive: archive, index: index, cancellation: cancellation)
        let files = try IndexedArchive(archive: archive, index: index, jobs: jobs, cancellation: cancellation)
        var contents = Contents()
        while let (record, dataBytes) = try files.next() {
            guard let record = plan.resolve(record) else { continue }
            contents.files += 1
            switch record.kind {
            case _ where record.hardLink != nil: try writer.makeHardLink(record)
            case .directory:
                try writer.makeDirectory(record)
                contents.directories += 1
            case .symbolicLink: try writer.makeSymbolicLink(record)
            case .regular:
                try writer.makeFile(record) { content throws in
                    // A closure of its own cannot take the borrowed value along.
                    let descriptor = content.descriptor
                    let path = content.path
                    try files.readContent(of: record) { offset, bytes in
                        try descriptor.writeAll(bytes, at: offset, path: path)
                    }
                }
                contents.sourceBytes = contents.sourceBytes.addingSaturated(dataBytes)
            case .fifo, .characterDevice, .blockDevice, .socket: try writer.makeNode(record)
            }
            progress(contents.files, contents.sourceBytes)
        }
        return contents
    }
}

/// Which files of an archive are wanted, and under which name.
private struct ExtractionPlan {
    private let paths: [TreePath]
    /// The first names that are not wanted, of files that are wanted under another name: that name.
    private var standIns: [TreePath: TreePath] = [:]

    /// Reads the index once to see that a tree can be made of it, and that every path is in it.
    init(_ paths: [TreePath], archive: FilePath, index: FilePath, cancellation: Cancellation) throws {
        self.paths = paths
        let lines = ArchiveIndexReader(from: try FrameReader(path: index, jobs: 1, cancellation: cancellation))
        var structure = IndexStructure(of: index)
        var missing = Set(paths)
        while let record = try lines.next() {
            try structure.check(record)
            if !missing.isEmpty { missing = missing.filter { !record.path.isWithin($0) } }
            if !paths.isEmpty, let first = record.hardLink, isWanted(record.path), !isWanted(first),
                standIns[first] == nil
            {
                standIns[first] = record.path
            }
        }
        try structure.checkLinks(cancellation)
        if let path = paths.first(where: missing.contains) {
            throw ArchiveError("extract", entry: path.bytes, in: archive, .missing)
        }
    }

    private func isWanted(_ path: TreePath) -> Bool {
        paths.isEmpty || paths.contains { path.isWithin($0) }
    }

    /// The record as it is to be made; `nil` when it is not wanted.
    func resolve(_ record: FileRecord) -> FileRecord? {
        var record = record
        if let standIn = standIns[record.path] {
            record.path = standIn
            return record
        }
        if let first = record.hardLink, let standIn = standIns[first] {
            guard isWanted(record.path), record.path != standIn else { return nil }
            record.hardLink = standIn
            return record
        }
        if isWanted(record.path) { return record }
        let leadsToWanted = record.kind == .directory && paths.contains { $0.isWithin(record.path) }
        return leadsToWanted && !record.path.isRoot ? record : nil
    }
}
