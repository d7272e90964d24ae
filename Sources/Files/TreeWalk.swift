import CLinux
import Glibc
import SystemPackage

/// Walks chosen subtrees of a root in the order of ``TreePath``, file by file.
///
/// Every step goes through the open descriptor of the directory above, and no symbolic link is followed below the top
/// of a subtree; the path to a top is resolved inside the root. One `statx(2)` is made for each file. Memory: the
/// names in the directories that are open at the moment, the first name of each file with several, and one
/// descriptor for each of the last 64 levels.
///
/// A mount point is told by the mount table, before it is touched, and by `STATX_ATTR_MOUNT_ROOT`, which also knows
/// bind mounts of the same file system and of single files. On kernels before 5.8, which say neither, a directory on
/// another device is one.
public struct TreeWalk: ~Copyable {
    /// What a walk comes across.
    public enum Event: Hashable, Sendable {
        /// A file, with what one look tells; its link target and attributes are not read yet.
        case file(FileRecord)
        /// A file that is not handed out, nor anything in it.
        case leftOut(LeftOut)
        /// A file that cannot be looked at, or a directory that cannot be read after its record was handed out; the
        /// walk goes on behind it.
        case unreadable(TreePath, FilesError)
    }

    private let root: RootDirectory
    private let subtrees: [TreePath]
    private let exclusions: [PathPattern]
    private let leaveOut: [FileIdentity: String]
    private let oneFileSystem: Bool

    private var nextSubtree = 0
    /// The last top that needs no second walk when another one lies in it.
    private var covered: TreePath?
    /// From the directory above the top down to the open directory.
    private var levels: [Level] = []
    /// The file that was handed out last.
    private var current: Position?
    private var names = HardLinks()
    private var mounts: MountTable?

    /// Chooses what to walk; nothing is opened yet.
    ///
    /// - Parameter subtrees: files, links or directories in any order. One that lies in another is walked once; one
    ///   that is not there is told as ``LeftOut/Reason-swift.enum/missing``. The top may itself be a mount point.
    /// - Parameter exclusions: what is left out, relative to the root.
    /// - Parameter leaveOut: files that are left out whatever their names are, and what they are for the reason.
    /// - Parameter oneFileSystem: whether mount points below the tops are left out.
    public init(
        root: RootDirectory,
        subtrees: [TreePath] = [.root],
        exclusions: [PathPattern] = [],
        leaveOut: [FileIdentity: String] = [:],
        oneFileSystem: Bool = true
    ) {
        self.root = root
        self.subtrees = subtrees.sorted()
        self.exclusions = exclusions
        self.leaveOut = leaveOut
        self.oneFileSystem = oneFileSystem
    }

    /// The next file in order; `nil` at the end.
    ///
    /// A directory comes before what is in it. A file that is only a further name of an earlier one has
    /// ``FileRecord/hardLink`` set.
    /// - Throws: when the walk itself cannot go on: no descriptors, no memory. After that it must not be used.
    public mutating func next() throws(FilesError) -> Event? {
        if let last = current.take(), last.stat.kind == .directory {
            if let event = try enter(last) { return event }
        }
        while true {
            guard let level = levels.last else {
                guard nextSubtree < subtrees.count else { return nil }
                nextSubtree += 1
                if let event = try start(subtrees[nextSubtree - 1]) { return event }
                continue
            }
            if level.position < level.names.count {
                level.position += 1
                return try visit(level, level.position - 1)
            }
            if let event = leave() { return event }
        }
    }

    // MARK: - The file that was handed out last

    /// Completes the record that was returned last: where a link points, and all extended attributes.
    /// - Throws: `ENOENT` when the file is gone by now.
    public func readDetails(_ record: inout FileRecord) throws(FilesError) {
        let (level, index, stat) = position()
        if stat.kind == .symbolicLink {
            do throws(FilesError) {
                record.linkTarget = try level.names.withName(index) { name throws(FilesError) in
                    try linkTarget(at: level.descriptor, name, path: root.text(of: record.path))
                }
            } catch {
                // no link any more
                guard error.errno == .invalidArgument else { throw error }
                throw self.error(error.operation, record.path, ESTALE)
            }
        }
        record.attributes = try level.attributes(index, path: root.text(of: record.path))
    }

    /// Opens the regular file that was returned last, for reading its content.
    ///
    /// Its access time stays as it is where the kernel allows that (to its owner and to root).
    /// - Throws: `ENOENT` when it is gone by now, `ESTALE` when another file took its place.
    public func openContent() throws(FilesError) -> OwnedDescriptor {
        let (level, index, stat) = position()
        let descriptor = level.open(index, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            let failure = FilesError.last("open", root.text(of: level.path(index)))
            // a link, or a device without a driver, took its place
            var raw = CLinux_stat()
            if level.look(index, &raw) == 0 {
                let now = FileStat(raw)
                // a number of a file that is gone may be given to the next one
                if now.identity != stat.identity || now.kind != stat.kind {
                    throw error("open", level.path(index), ESTALE)
                }
            }
            throw failure
        }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        let opened = try FileStat(of: file.descriptor, path: root.text(of: level.path(index)))
        guard opened.identity == stat.identity, opened.kind == .regular else {
            throw error("open", level.path(index), ESTALE)
        }
        return file
    }

    /// Goes past everything in the directory that was returned last.
    public mutating func skipContents() {
        guard let last = current.take() else { return }
        if levels.count == 1 { covered = last.level.path(last.index) }
    }

    /// What the walk itself saw of the file that was returned last.
    public var stat: FileStat { position().stat }

    // MARK: - The walk

    private struct Position {
        var level: Level
        var index: Int
        var stat: FileStat
    }

    private func position() -> (level: Level, index: Int, stat: FileStat) {
        guard let current else { preconditionFailure("the walk has not just returned a file") }
        return (current.level, current.index, current.stat)
    }

    /// Opens the directory above a top; the top is then its only name.
    private mutating func start(_ top: TreePath) throws(FilesError) -> Event? {
        if let covered, top.isWithin(covered) { return nil }
        var patterns = Array(exclusions.indices)
        if let parent = top.parent {
            for (depth, name) in parent.components.enumerated() {
                let (isExcluded, deeper) = match(name, at: depth, patterns)
                if isExcluded {
                    covered = top
                    return .leftOut(LeftOut(path: top, reason: .excluded))
                }
                patterns = deeper
            }
        }
        do {
            let directory = try root.openDirectory(top.parent ?? .root)
            let level = Level(
                path: top.parent ?? .root,
                directory: directory,
                stat: nil,
                names: DirectoryNames(top.isRoot ? [UInt8(ascii: ".")] : Array(top.name)),
                patterns: patterns
            )
            levels.append(level)
            return nil
        } catch {
            if error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
                return .leftOut(LeftOut(path: top, reason: .missing))
            }
            return try unreadable(top, error)
        }
    }

    private mutating func visit(_ level: Level, _ index: Int) throws(FilesError) -> Event {
        let path = level.path(index)
        let isTop = levels.count == 1
        if !level.patterns.isEmpty, !path.isRoot, match(level.names[index], at: level.depth, level.patterns).isExcluded
        {
            if isTop { covered = path }
            return .leftOut(LeftOut(path: path, reason: .excluded))
        }
        if !level.mounts.isEmpty, let mount = level.mounts[Array(level.names[index])] {
            return .leftOut(LeftOut(path: path, reason: .mountPoint(type: mount.type, source: mount.source)))
        }
        guard path.bytes.count <= TreePath.longest else {
            let reason = "its path is longer than \(TreePath.longest) bytes"
            return .leftOut(LeftOut(path: path, reason: .notStorable(reason)))
        }
        var raw = CLinux_stat()
        guard level.look(index, &raw) == 0 else {
            let error = FilesError.last("examine", root.text(of: path))
            if error.errno == .noSuchFileOrDirectory {
                return .leftOut(LeftOut(path: path, reason: isTop ? .missing : .vanished))
            }
            return try unreadable(path, error)
        }
        let stat = FileStat(raw)
        if !leaveOut.isEmpty, let what = leaveOut[stat.identity] {
            if isTop { covered = path }
            return .leftOut(LeftOut(path: path, reason: .named(what)))
        }
        if oneFileSystem, !isTop, stat.isMountPoint(inDirectoryOn: level.stat?.identity.device) {
            return .leftOut(LeftOut(path: path, reason: mountReason(level, index)))
        }
        if stat.kind == .socket { return .leftOut(LeftOut(path: path, reason: .socket)) }
        current = Position(level: level, index: index, stat: stat)
        return .file(stat.record(path: path, hardLink: names.firstName(of: stat, path)))
    }

    /// What was mounted after the table had been read.
    private func mountReason(_ level: Level, _ index: Int) -> LeftOut.Reason {
        // ignored: it only adds to a message
        let mount = try? MountTable().mounts(in: level)[Array(level.names[index])]
        return .mountPoint(type: mount?.type, source: mount?.source)
    }

    /// Goes down into the directory that was handed out last.
    private mutating func enter(_ last: Position) throws(FilesError) -> Event? {
        let path = last.level.path(last.index)
        if levels.count == 1 { covered = path }
        let descriptor = last.level.open(last.index, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        guard descriptor >= 0 else {
            let error = FilesError.last("open", root.text(of: path))
            switch error.errno {
            case .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels:
                return .leftOut(LeftOut(path: path, reason: .vanished))
            default:
                return try unreadable(path, error)
            }
        }
        let directory = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        do {
            let stat = try FileStat(of: directory.descriptor, path: root.text(of: path))
            guard stat.identity == last.stat.identity else {
                return .leftOut(LeftOut(path: path, reason: .vanished))
            }
            let names = try DirectoryNames(of: descriptor, path: root.text(of: path))
            let patterns =
                path.isRoot
                ? last.level.patterns
                : match(last.level.names[last.index], at: last.level.depth, last.level.patterns).deeper
            let level = Level(path: path, directory: directory, stat: stat, names: names, patterns: patterns)
            if oneFileSystem {
                if mounts == nil { mounts = try MountTable() }
                level.place = last.level.place?.appending(last.level.names[last.index]) ?? Level.place(of: descriptor)
                level.mounts = mounts?.mounts(in: level) ?? [:]
            }
            levels.append(level)
        } catch {
            return try unreadable(path, error)
        }
        if levels.count > Self.openLevels { levels[levels.count - 1 - Self.openLevels].directory = nil }
        return nil
    }

    /// How many levels keep their descriptor; a tree can be deeper than a process may have descriptors.
    private static let openLevels = 64

    /// Goes up; opens the directory above again when it was closed for its depth.
    private mutating func leave() -> Event? {
        let left = levels.removeLast()
        guard levels.count > 1, let level = levels.last, level.directory == nil else { return nil }
        do throws(FilesError) {
            let descriptor = openFile(at: left.descriptor, "..", O_RDONLY | O_DIRECTORY)
            guard descriptor >= 0 else { throw FilesError.last("go back to", root.text(of: level.path)) }
            let directory = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
            let stat = try FileStat(of: directory.descriptor, path: root.text(of: level.path))
            guard stat.identity == level.stat?.identity else { throw error("go back to", level.path, ESTALE) }
            level.directory = consume directory
            return nil
        } catch {
            level.position = level.names.count
            return .unreadable(level.path, error)
        }
    }

    /// The patterns that `name` fits, of those that its directory fits.
    private func match(_ name: ArraySlice<UInt8>, at depth: Int, _ patterns: [Int]) -> (isExcluded: Bool, deeper: [Int])
    {
        var deeper = [Int]()
        for index in patterns where exclusions[index].matches(name, at: depth) {
            if exclusions[index].depth == depth + 1 { return (true, []) }
            deeper.append(index)
        }
        return (false, deeper)
    }

    private func unreadable(_ path: TreePath, _ error: FilesError) throws(FilesError) -> Event {
        switch error.errno {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory: throw error
        default: return .unreadable(path, error)
        }
    }

    private func error(_ operation: String, _ path: TreePath, _ number: Int32) -> FilesError {
        FilesError(operation: operation, path: root.text(of: path), errno: Errno(rawValue: number))
    }
}
