import CLinux
import Glibc
public import SystemPackage

/// Makes the files of records in a directory, for a tree that comes out of an archive.
///
/// Nothing that a record says leads out of the directory: every path is resolved with `openat2(2)` beneath it and
/// through no symbolic link, and nothing that exists is opened, replaced or followed. A parent that no record has
/// made yet is made with mode 0700 and gets its own when its record comes. Directories get their owner, mode, times
/// and attributes in ``finish()``, the deepest first: until then they can be written to, inherit nothing and are
/// closed to others.
///
/// For one thread at a time.
public final class TreeWriter {
    /// Something of a file that could not be set.
    public struct NotKept: Hashable, Sendable {
        /// The file.
        public let path: TreePath
        /// What it lost: `owner`, `attribute 'trusted.x'`, `link`.
        public let what: String
        /// Why.
        public let errno: Errno
    }

    /// The directory's own path, for messages.
    public let path: FilePath
    /// What was lost so far, the first thousand of it; stays empty unless the writer tolerates losses.
    public var notKept: [NotKept] { maker.notKept }
    /// How much was lost in all.
    public var lossCount: Int { maker.lossCount }

    private let root: OwnedDescriptor
    private let maker: FileMaker
    /// Whether the directory hands its default ACL on to what is made in it.
    private let inheritsACL: Bool
    /// The directories that were made here; those that no record came for yet have none.
    private var directories: [TreePath: FileRecord?] = [:]
    /// The directory that the last file was made in, as the next one is most often its neighbour.
    private var parent: OwnedDescriptor?
    private var parentPath: TreePath?

    /// Opens the directory that the files are to be made in.
    /// - Parameter toleratesLosses: an owner, an attribute, a mode, a time, a link or a device that cannot be made for
    ///   lack of permission or of support goes into ``notKept``, and a file that lost its owner loses setuid and setgid; `false` throws.
    public init(directory path: FilePath, toleratesLosses: Bool = false) throws(FilesError) {
        let descriptor = path.withPlatformString { openFile(at: AT_FDCWD, $0, O_RDONLY | O_DIRECTORY) }
        guard descriptor >= 0 else { throw .last("open", path.operatorText) }
        self.path = path
        root = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        maker = FileMaker(toleratesLosses: toleratesLosses)
        inheritsACL = CLinux_lgetxattr(procPath(of: descriptor) + "/.", "system.posix_acl_default", nil, 0) >= 0
    }

    /// Makes a directory; for the root's record, gives the directory itself what the record says.
    ///
    /// Its metadata is set in ``finish()``.
    public func makeDirectory(_ record: FileRecord) throws(FilesError) {
        if record.path.isRoot || directories[record.path] == .some(nil) {
            directories[record.path] = record
            return
        }
        let parent = try parentDirectory(of: record)
        try makeDirectory(record.path, in: parent, for: record)
    }

    /// Makes a regular file of ``FileRecord/size`` bytes, and what `content` does not write is a hole.
    ///
    /// Nothing is left of the file when `content` or this throws.
    /// - Throws: what `content` throws, otherwise ``FilesError``.
    public func makeFile(_ record: FileRecord, content: (borrowing Content) throws -> Void) throws {
        try maker.makeFile(record, at: place(of: record), content: content)
    }

    /// Makes a symbolic link to ``FileRecord/linkTarget``, whatever that is.
    public func makeSymbolicLink(_ record: FileRecord) throws(FilesError) {
        try maker.makeSymbolicLink(record, at: place(of: record))
    }

    /// Makes a FIFO or a device.
    public func makeNode(_ record: FileRecord) throws(FilesError) {
        try maker.makeNode(record, at: place(of: record))
    }

    /// Makes a further name for the file at ``FileRecord/hardLink``, which was made before.
    public func makeHardLink(_ record: FileRecord) throws(FilesError) {
        guard let first = record.hardLink, let firstParent = first.parent else {
            throw FilesError(operation: "link", path: text(of: record.path), errno: .invalidArgument)
        }
        let source = try openDirectory(firstParent, makesMissing: false)
        let parent = try parentDirectory(of: record)
        // without a flag a symbolic link at the end is linked itself, not followed
        guard linkat(source.descriptor.rawValue, cName(of: first), parent, cName(of: record.path), 0) == 0 else {
            return try maker.lose(
                "hard link",
                .last("link '\(text(of: first))' to", text(of: record.path)),
                record
            )
        }
    }

    /// Gives the directories their owner, mode, times and attributes; without this the tree is not whole.
    public func finish() throws(FilesError) {
        parent = nil
        parentPath = nil
        // the reverse of the order of a walk: what is in a directory comes before it
        for (path, record) in directories.sorted(by: { $0.key > $1.key }) {
            guard let record else { continue }
            let directory = try openDirectory(path, makesMissing: false)
            let descriptor = directory.descriptor.rawValue
            try maker.applyToNew(record, descriptor, place(path, in: descriptor))
        }
        directories = [:]
    }

    // MARK: - Directories

    private func parentDirectory(of record: FileRecord) throws(FilesError) -> Int32 {
        guard let wanted = record.path.parent else {
            throw FilesError(operation: "create", path: text(of: record.path), errno: .fileExists)
        }
        if wanted == parentPath, let descriptor = parent?.descriptor.rawValue { return descriptor }
        let directory = try openDirectory(wanted, makesMissing: true)
        let descriptor = directory.descriptor.rawValue
        parent = consume directory
        parentPath = wanted
        return descriptor
    }

    private func openDirectory(_ path: TreePath, makesMissing: Bool) throws(FilesError) -> OwnedDescriptor {
        let name = FilePath(path).withPlatformString { openDirectory(at: root.descriptor.rawValue, $0) }
        if name >= 0 { return OwnedDescriptor(owning: FileDescriptor(rawValue: name)) }
        // one by one: some are missing, or together they are longer than the kernel takes
        guard errno == ENAMETOOLONG || makesMissing && errno == ENOENT else { throw .last("open", text(of: path)) }
        var directory = try openAt(root.descriptor.rawValue, ".", .root)
        var reached = TreePath.root
        for component in path.components {
            reached = reached.appending(component)
            let name = cName(of: reached)
            var next = openDirectory(at: directory.descriptor.rawValue, name)
            if next < 0, errno == ENOENT, makesMissing {
                try makeDirectory(reached, in: directory.descriptor.rawValue, for: nil)
                next = openDirectory(at: directory.descriptor.rawValue, name)
            }
            guard next >= 0 else { throw .last("open", text(of: reached)) }
            directory = OwnedDescriptor(owning: FileDescriptor(rawValue: next))
        }
        return directory
    }

    private func openAt(
        _ directory: Int32,
        _ name: UnsafePointer<CChar>,
        _ path: TreePath
    ) throws(FilesError) -> OwnedDescriptor {
        let descriptor = openDirectory(at: directory, name)
        guard descriptor >= 0 else { throw .last("open", text(of: path)) }
        return OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
    }

    private func openDirectory(at directory: Int32, _ name: UnsafePointer<CChar>) -> Int32 {
        let beneath = CLinux_RESOLVE_BENEATH | CLinux_RESOLVE_NO_SYMLINKS | CLinux_RESOLVE_NO_MAGICLINKS
        return openFile(at: directory, name, CLinux_O_PATH | O_DIRECTORY, resolve: beneath)
    }

    private func makeDirectory(_ path: TreePath, in parent: Int32, for record: FileRecord?) throws(FilesError) {
        try maker.makeDirectory(at: place(path, in: parent))
        directories[path] = .some(record)
    }

    private func place(of record: FileRecord) throws(FilesError) -> FileMaker.Place {
        place(record.path, in: try parentDirectory(of: record))
    }

    private func place(_ path: TreePath, in directory: Int32) -> FileMaker.Place {
        FileMaker.Place(
            directory: directory,
            name: cName(of: path),
            path: path,
            root: self.path,
            inheritsACL: inheritsACL
        )
    }

    private func text(of path: TreePath) -> String { self.path.appending(path).operatorText }

    private func cName(of path: TreePath) -> [CChar] { path.name.map { CChar(bitPattern: $0) } + [0] }
}

extension TreeWriter {
    /// Where the content of one new file goes.
    public struct Content: ~Copyable {
        /// The new file, open for reading and writing; it gets its length when all is written.
        public let descriptor: FileDescriptor
        /// How long the file is.
        public let size: Int64
        /// Its name for errors.
        public let path: String

        /// Writes a piece at its place; pieces may come in any order.
        /// - Throws: `EFBIG` for a piece that does not lie within the size that the record gave.
        public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FilesError) {
            guard offset >= 0, Int64(bytes.count) <= size, offset <= size - Int64(bytes.count) else {
                throw FilesError(operation: "write", path: path, errno: Errno(rawValue: EFBIG))
            }
            try descriptor.writeAll(bytes, at: offset, path: path)
        }
    }
}
