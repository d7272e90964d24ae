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
        /// What it lost: `owner`, `attribute 'trusted.x'`, `device`.
        public let what: String
        /// Why.
        public let errno: Errno
    }

    /// The directory's own path, for messages.
    public let path: FilePath
    /// What was lost so far; stays empty unless the writer tolerates losses.
    public private(set) var notKept: [NotKept] = []

    private let root: OwnedDescriptor
    private let toleratesLosses: Bool
    /// Whether the directory hands its default ACL on to what is made in it.
    private let inheritsACL: Bool
    /// The directories that were made here; those that no record came for yet have none.
    private var directories: [TreePath: FileRecord?] = [:]
    /// The directory that the last file was made in, as the next one is most often its neighbour.
    private var parent: OwnedDescriptor?
    private var parentPath: TreePath?

    /// Opens the directory that the files are to be made in.
    /// - Parameter toleratesLosses: an owner, an attribute or a device that cannot be set for lack of permission or
    ///   of support goes into ``notKept``, and a file that lost its owner loses setuid and setgid; `false` throws.
    public init(directory path: FilePath, toleratesLosses: Bool = false) throws(FilesError) {
        let descriptor = path.withPlatformString { openFile(at: AT_FDCWD, $0, O_RDONLY | O_DIRECTORY) }
        guard descriptor >= 0 else { throw .last("open", path.operatorText) }
        self.path = path
        root = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        self.toleratesLosses = toleratesLosses
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
        let parent = try parentDirectory(of: record)
        let text = text(of: record.path)
        let name = cName(of: record.path)
        let descriptor = openFile(at: parent, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        guard descriptor >= 0 else { throw FilesError.last("create", text) }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        do {
            if record.size != 0, ftruncate(descriptor, Int(record.size)) != 0 {
                throw FilesError.last("set the size of", text)
            }
            try content(Content(descriptor: file.descriptor, size: record.size, path: text))
            try apply(record, to: descriptor)
            try file.close(path: text)
        } catch {
            _ = unlinkat(parent, name, 0)  // ignored: the first error tells more
            throw error
        }
    }

    /// Makes a symbolic link to ``FileRecord/linkTarget``, whatever that is.
    public func makeSymbolicLink(_ record: FileRecord) throws(FilesError) {
        let parent = try parentDirectory(of: record)
        let target = (record.linkTarget ?? []).map { CChar(bitPattern: $0) } + [0]
        guard symlinkat(target, parent, cName(of: record.path)) == 0 else {
            throw .last("create the link", text(of: record.path))
        }
        try applyToNew(record, in: parent)
    }

    /// Makes a FIFO or a device.
    public func makeNode(_ record: FileRecord) throws(FilesError) {
        let parent = try parentDirectory(of: record)
        let type: UInt32 =
            switch record.kind {
            case .fifo: S_IFIFO
            case .characterDevice: S_IFCHR
            case .blockDevice: S_IFBLK
            case .regular, .directory, .symbolicLink, .socket:
                throw FilesError(operation: "create a node", path: text(of: record.path), errno: .invalidArgument)
            }
        let number = record.device.map { makedev($0.major, $0.minor) } ?? 0
        guard mknodat(parent, cName(of: record.path), type | 0o600, number) == 0 else {
            try lose("device", .last("create the \(record.kind.rawValue) node", text(of: record.path)), record)
            return
        }
        try applyToNew(record, in: parent)
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
            throw .last("link '\(text(of: first))' to", text(of: record.path))
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
            try apply(record, to: directory.descriptor.rawValue)
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
        let name = cName(of: path)
        guard mkdirat(parent, name, 0o700) == 0 else { throw .last("create the directory", text(of: path)) }
        directories[path] = .some(record)
        if inheritsACL {
            let directory = try openAt(parent, name, path)
            removeInheritedACL(directory.descriptor.rawValue)
        }
    }

    // MARK: - Metadata

    /// Sets the metadata of a file that cannot be opened for it: a link, a FIFO, a device.
    private func applyToNew(_ record: FileRecord, in parent: Int32) throws(FilesError) {
        let descriptor = openFile(at: parent, cName(of: record.path), CLinux_O_PATH | O_NOFOLLOW)
        guard descriptor >= 0 else { throw .last("open", text(of: record.path)) }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        try apply(record, to: file.descriptor.rawValue)
    }

    /// Owner before mode and attributes, as a change of owner takes setuid and capabilities away; the mode after the
    /// ACL, which sets the group's bits; the time last.
    private func apply(_ record: FileRecord, to descriptor: Int32) throws(FilesError) {
        // through /proc: descriptors that are open for their path only take no other call. The last component leads
        // to the open file itself, and if that is a symbolic link, not further.
        let file = procPath(of: descriptor)
        if inheritsACL { removeInheritedACL(descriptor) }
        var mode = record.mode & 0o7777
        if fchownat(descriptor, "", record.uid, record.gid, CLinux_AT_EMPTY_PATH) != 0 {
            try lose("owner", .last("set the owner of", text(of: record.path)), record)
            mode &= 0o1777
        }
        for attribute in record.attributes {
            let name = attribute.name.map { CChar(bitPattern: $0) } + [0]
            if attribute.name.contains(0) || CLinux_setxattr(file, name, attribute.value, attribute.value.count) != 0 {
                if attribute.name.contains(0) { errno = EINVAL }
                let what = "attribute '\(FileName.text(of: attribute.name))'"
                try lose(what, .last("set the \(what) of", text(of: record.path)), record)
            }
        }
        if record.kind != .symbolicLink, chmod(file, mode) != 0 {
            throw .last("set the mode of", text(of: record.path))
        }
        // UTIME_OMIT: the access time is nobody's
        let times = [
            timespec(tv_sec: 0, tv_nsec: 0x3FFF_FFFE),
            timespec(tv_sec: Int(record.modified.seconds), tv_nsec: Int(record.modified.nanoseconds)),
        ]
        guard utimensat(AT_FDCWD, file, times, 0) == 0 else { throw .last("set the time of", text(of: record.path)) }
    }

    private func removeInheritedACL(_ descriptor: Int32) {
        let file = procPath(of: descriptor)
        // ignored: it had none
        _ = CLinux_removexattr(file, "system.posix_acl_access")
        _ = CLinux_removexattr(file, "system.posix_acl_default")
    }

    private func lose(_ what: String, _ error: FilesError, _ record: FileRecord) throws(FilesError) {
        switch error.errno {
        case .notPermitted, .permissionDenied, .notSupported, .invalidArgument:
            guard toleratesLosses else { throw error }
            notKept.append(NotKept(path: record.path, what: what, errno: error.errno))
        default: throw error
        }
    }

    private func text(of path: TreePath) -> String { self.path.appending(path).operatorText }

    private func cName(of path: TreePath) -> [CChar] { path.name.map { CChar(bitPattern: $0) } + [0] }
}

extension TreeWriter {
    /// Where the content of one new file goes.
    public struct Content: ~Copyable {
        /// The new file, open for reading and writing, as long as it is to be.
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

/// `makedev(3)`, a macro: the numbers as the kernel's 64 bits hold them.
private func makedev(_ major: UInt32, _ minor: UInt32) -> UInt {
    let (major, minor) = (UInt(major), UInt(minor))
    return (major & 0xFFF) << 8 | (major & ~0xFFF) << 32 | minor & 0xFF | (minor & ~0xFF) << 12
}
