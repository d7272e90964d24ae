internal import Files
internal import Reporting
internal import SystemPackage

/// What an index must be for a tree to be made of it: the same check for a verification, an extraction and a restore,
/// so that what the one calls good the others take.
struct IndexStructure {
    /// The tops of the trees: records whose directory is not recorded.
    private(set) var tops: [TreePath] = []
    /// The first names of files with several, and what kind of file each must be.
    private(set) var firstNames: [TreePath: FileKind] = [:]

    private let index: FilePath
    /// What all of it must lie in.
    private let within: [TreePath]
    /// From a top down to the directory that the last record is or lies in.
    private var directories: [TreePath] = []
    private var last: (path: TreePath, kind: FileKind)?

    /// The longest name that a file can have on Linux (`NAME_MAX`).
    private static let longestName = 255

    /// - Parameter within: what all of it must lie in.
    init(of index: FilePath, within: [TreePath] = [.root]) {
        self.index = index
        self.within = within
    }

    /// Reads an index to its end.
    /// - Throws: ``ArchiveError`` for damage, and for what no tree can be.
    init(reading index: FilePath, within: [TreePath], cancellation: Cancellation) throws {
        self.init(of: index, within: within)
        let lines = ArchiveIndexReader(from: try FrameReader(path: index, jobs: 1, cancellation: cancellation))
        while let record = try lines.next() { try check(record) }
        try checkLinks(cancellation)
    }

    /// Takes the next record, in the order of the index.
    /// - Throws: ``ArchiveError`` for a file in something that is no directory, a directory that is missing between two
    ///   others, a name that is too long, a place outside of what the index may be about.
    mutating func check(_ record: FileRecord) throws(ArchiveError) {
        if record.path.bytes.count > Self.longestName,
            record.path.components.contains(where: { $0.count > Self.longestName })
        {
            throw fault(record.path, "a name in it is longer than \(Self.longestName) bytes")
        }
        if let last, last.kind != .directory, record.path.isWithin(last.path) {
            throw fault(record.path, "'\(last.path)' is not a directory")
        }
        while let directory = directories.last, !record.path.isWithin(directory) { directories.removeLast() }
        if let directory = directories.last {
            guard record.path.parent == directory else {
                throw fault(record.path, "the directory that holds it is missing")
            }
        } else {
            guard !record.path.isRoot || record.kind == .directory else {
                throw fault(record.path, "'/' is a directory")
            }
            guard within.contains(where: { record.path.isWithin($0) }) else {
                throw fault(record.path, "it does not belong to the component")
            }
            tops.append(record.path)
        }
        if record.kind == .directory { directories.append(record.path) }
        if let first = record.hardLink {
            guard firstNames.updateValue(record.kind, forKey: first).map({ $0 == record.kind }) ?? true else {
                throw fault(record.path, "it is a hard link to a file of another kind")
            }
        }
        last = (record.path, record.kind)
    }

    /// Proves that each hard link leads to a file of its kind: reads the index once more, when there are any.
    func checkLinks(_ cancellation: Cancellation) throws {
        guard !firstNames.isEmpty else { return }
        var missing = firstNames
        let lines = ArchiveIndexReader(from: try FrameReader(path: index, jobs: 1, cancellation: cancellation))
        while !missing.isEmpty, let record = try lines.next() {
            guard let kind = missing.removeValue(forKey: record.path) else { continue }
            guard record.hardLink == nil else {
                throw fault(record.path, "a hard link leads to it, and it is one itself")
            }
            guard record.kind == kind else { throw fault(record.path, "a hard link of another kind leads to it") }
        }
        if let path = missing.keys.min() {
            throw fault(path, "a hard link leads to it, and it is no file with several names")
        }
    }

    private func fault(_ path: TreePath, _ reason: String) -> ArchiveError {
        ArchiveError("restore", entry: path.bytes, in: index, .damaged(reason))
    }
}
