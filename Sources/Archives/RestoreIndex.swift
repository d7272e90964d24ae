internal import Files
internal import Reporting
internal import SystemPackage

/// What an index tells as a whole, read before a tree is compared with it.
struct RestoreIndex {
    /// The tops of the trees: records whose directory is not recorded.
    private(set) var tops: [TreePath] = []
    /// The first names of files with several.
    private(set) var firstNames: Set<TreePath> = []

    /// The longest name that a file can have on Linux (`NAME_MAX`).
    private static let longestName = 255

    /// Reads an index to its end.
    /// - Throws: ``ArchiveError`` for damage, and for what no tree can be: a file in something that is no directory, a
    ///   directory that is missing between two others, a name that is too long.
    /// - Parameter within: what all of it must lie in.
    init(_ path: FilePath, within: [TreePath], cancellation: Cancellation) throws {
        let lines = ArchiveIndexReader(from: try FrameReader(path: path, jobs: 1, cancellation: cancellation))
        /// From a top down to the directory that the last record is or lies in.
        var directories: [TreePath] = []
        var last: FileRecord?
        while let record = try lines.next() {
            func refuse(_ reason: String) -> ArchiveError {
                ArchiveError("restore", entry: record.path.bytes, in: path, .damaged(reason))
            }
            if record.path.bytes.count > Self.longestName,
                record.path.components.contains(where: { $0.count > Self.longestName })
            {
                throw refuse("a name in it is longer than \(Self.longestName) bytes")
            }
            if let last, last.kind != .directory, record.path.isWithin(last.path) {
                throw refuse("'\(last.path)' is not a directory")
            }
            while let directory = directories.last, !record.path.isWithin(directory) { directories.removeLast() }
            if let directory = directories.last {
                guard record.path.parent == directory else { throw refuse("the directory that holds it is missing") }
            } else {
                guard !record.path.isRoot || record.kind == .directory else { throw refuse("'/' is a directory") }
                guard within.contains(where: { record.path.isWithin($0) }) else {
                    throw refuse("it does not belong to the component")
                }
                tops.append(record.path)
            }
            if record.kind == .directory { directories.append(record.path) }
            if let first = record.hardLink { firstNames.insert(first) }
            last = record
        }
    }
}
