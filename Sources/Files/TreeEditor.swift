import CLinux
import Glibc
import SystemPackage

/// Changes chosen subtrees of a live root: makes files beside their places, renames, removes, sets metadata.
///
/// The path to a top is resolved inside the root. Below it every path is resolved beneath the top, through no symbolic
/// link and onto no other mount (`openat2(2)`); a top itself may be a mount point. A file that is made under a
/// ``stagedName()`` and renamed appears whole or not at all.
///
/// For one thread at a time.
package final class TreeEditor {
    private let root: RootDirectory
    private let maker: FileMaker
    private let observer: (any ChangeObserver)?
    /// The directories that paths are resolved beneath: tops, and what is made in the place of one.
    private var anchors: Set<TreePath>
    /// The anchor that was opened last.
    private var anchor: Opened?
    /// The directory that was opened last, as the next file is most often its neighbour.
    private var current: Opened?
    /// One open directory of each file system that was written to, by its device number.
    private var fileSystems: [UInt64: Opened] = [:]

    /// - Parameter tops: the tops of the subtrees; none lies in another.
    /// - Parameter observer: is told before each change.
    package init(root: RootDirectory, tops: some Sequence<TreePath>, observer: (any ChangeObserver)? = nil) {
        self.root = root
        anchors = Set(tops)
        self.observer = observer
        maker = FileMaker(observer: observer)
    }

    // MARK: - Names

    /// A name for a file that is being made: `.node-recovery.` and 16 random hexadecimal digits.
    ///
    /// It does not depend on the file's own name, which may be as long as a name can be.
    package static func stagedName() -> [UInt8] {
        let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
        return Array((stagedPrefix + String(repeating: "0", count: 16 - digits.count) + digits).utf8)
    }

    /// Whether a name is one of those.
    package static func isStagedName(_ name: ArraySlice<UInt8>) -> Bool {
        name.count == stagedPrefix.utf8.count + 16 && name.starts(with: stagedPrefix.utf8)
            && name.suffix(16).allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private static let stagedPrefix = ".node-recovery."

    /// What a run that was killed has left beside tops, in directories above them.
    package static func leftovers(beside tops: [TreePath], in root: RootDirectory) throws(FilesError) -> [TreePath] {
        var found = [TreePath]()
        for directory in Set(tops.compactMap(\.parent)) {
            do {
                for name in try root.names(in: FilePath(directory)) {
                    let bytes = name.withPlatformString { Array(UnsafeBufferPointer(start: $0, count: strlen($0))) }
                    let path = directory.appending(bytes.map { UInt8(bitPattern: $0) })
                    if isStagedName(path.name), !tops.contains(path) { found.append(path) }
                }
            } catch {
                guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory else { throw error }
            }
        }
        return found
    }

    // MARK: - Making

    /// Makes the directories above a top that are missing, with mode 0755.
    /// - Returns: those that were made, the highest first.
    package func makeParents(of top: TreePath) throws(FilesError) -> [TreePath] {
        guard let parent = top.parent else { return [] }
        var made = [TreePath]()
        var path = TreePath.root
        for name in parent.components {
            let above = path
            path = path.appending(name)
            do {
                _ = try root.openDirectory(path)
                continue
            } catch {
                guard error.errno == .noSuchFileOrDirectory else { throw error }
            }
            let place = try place(path, in: directory(above), for: path)
            try maker.makeDirectory(at: place)
            made.append(path)
            let directory = try openFresh(path)
            // the mode 0755 whatever the umask is
            try maker.before("set the mode of")
            guard chmod(procPath(of: directory.descriptor), 0o755) == 0 else {
                throw .last("set the mode of", place.text)
            }
        }
        return made
    }

    /// From here on paths are resolved beneath this directory too: one that is made in the place of a top.
    package func addAnchor(_ path: TreePath) {
        anchors.insert(path)
    }

    /// Makes an empty directory with mode 0700; ``setMetadata(_:of:)`` gives it the rest.
    /// - Parameter location: where it is made.
    package func makeDirectory(_ record: FileRecord, at location: TreePath) throws(FilesError) {
        try maker.makeDirectory(at: place(of: location, for: record.path))
    }

    /// Makes a regular file with all its metadata; see ``TreeWriter/makeFile(_:content:)``.
    package func makeFile(
        _ record: FileRecord,
        at location: TreePath,
        content: (borrowing TreeWriter.Content) throws -> Void
    ) throws {
        try maker.makeFile(record, at: place(of: location, for: record.path), content: content)
    }

    /// Makes a symbolic link, a FIFO or a device with all its metadata.
    package func makeOther(_ record: FileRecord, at location: TreePath) throws(FilesError) {
        let place = try place(of: location, for: record.path)
        if record.kind == .symbolicLink {
            try maker.makeSymbolicLink(record, at: place)
        } else {
            try maker.makeNode(record, at: place)
        }
    }

    /// Makes a further name for a file.
    package func makeHardLink(_ record: FileRecord, to first: TreePath, at location: TreePath) throws(FilesError) {
        let source = try openFresh(first.parent ?? .root)
        let place = try place(of: location, for: record.path)
        try maker.before("link")
        // without a flag a symbolic link at the end is linked itself, not followed
        guard linkat(source.descriptor, cName(first), place.directory, place.name, 0) == 0 else {
            throw .last("link '\(root.text(of: first))' to", place.text)
        }
    }

    // MARK: - Changing what is there

    /// Puts what was made at `location` under the name `path` of the same directory.
    /// - Parameter exchanging: what has the name is at `location` afterwards; else it goes away in the same moment.
    package func rename(_ location: TreePath, to path: TreePath, exchanging: Bool) throws(FilesError) {
        let place = try place(of: location, for: path)
        try maker.before("rename")
        let flags = exchanging ? CLinux_RENAME_EXCHANGE : 0
        guard CLinux_renameat2(place.directory, place.name, place.directory, cName(path), flags) == 0 else {
            throw .last("put in place", place.text)
        }
        if anchors.remove(location) != nil { anchors.insert(path) }
    }

    /// Removes a file, or a directory with everything in it; what is not there is removed already.
    /// - Throws: `EBUSY` at a mount point, on which nothing is touched.
    package func remove(_ path: TreePath) throws(FilesError) {
        let place = try place(of: path, for: path)
        guard let directory = current else { return }
        let above = root.fullPath(of: FilePath(path.parent ?? .root))
        try removeTree(place.name, in: place.directory, on: directory.device, above, observer: observer)
    }

    /// Removes an empty directory.
    package func removeDirectory(_ path: TreePath) throws(FilesError) {
        let place = try place(of: path, for: path)
        try maker.before("remove a directory")
        guard unlinkat(place.directory, place.name, AT_REMOVEDIR) == 0 else { throw .last("remove", place.text) }
    }

    /// Gives a file the metadata of its record; what it has and the record does not goes away.
    /// - Throws: `ESTALE` when it is not the file `identity` any more.
    package func update(_ record: FileRecord, expecting identity: FileIdentity) throws(FilesError) {
        let place =
            record.path.isRoot
            ? try place(.root, in: directory(.root), for: .root) : try place(of: record.path, for: record.path)
        try maker.update(record, at: place, expecting: identity)
    }

    /// Gives a directory that was made here all of its metadata.
    package func setMetadata(_ record: FileRecord, of location: TreePath) throws(FilesError) {
        let directory = try openFresh(location)
        try maker.applyToNew(record, directory.descriptor, place(location, in: directory, for: record.path))
    }

    /// Sets the modification time of a directory.
    package func setTime(_ time: FileTime, of path: TreePath) throws(FilesError) {
        let directory = try openFresh(path)
        try maker.setTime(time, directory.descriptor, place(path, in: directory, for: path))
    }

    /// Called before a change that is made by others, such as writing into a file that is being made.
    package func willChange(_ operation: StaticString) throws(FilesError) {
        try maker.before(operation)
    }

    /// Waits until everything on the file systems that were written to is on the disk.
    package func sync() throws(FilesError) {
        for directory in fileSystems.values {
            try maker.before("sync")
            guard CLinux_syncfs(directory.descriptor) == 0 else {
                throw .last("sync the file system of", root.text(of: directory.path))
            }
        }
    }

    // MARK: - Directories

    private final class Opened {
        let path: TreePath
        let device: UInt64
        let inheritsACL: Bool
        private let owned: OwnedDescriptor
        /// Valid for as long as this value.
        var descriptor: Int32 { owned.descriptor.rawValue }

        init(_ descriptor: consuming OwnedDescriptor, path: TreePath, text: @autoclosure () -> String)
            throws(FilesError)
        {
            self.path = path
            device = try FileStat(of: descriptor.descriptor, path: text()).identity.device
            let number = descriptor.descriptor.rawValue
            inheritsACL = CLinux_lgetxattr(procPath(of: number) + "/.", "system.posix_acl_default", nil, 0) >= 0
            owned = descriptor
        }
    }

    private func place(of location: TreePath, for path: TreePath) throws(FilesError) -> FileMaker.Place {
        guard let parent = location.parent else {
            throw FilesError(operation: "replace", path: root.text(of: location), errno: .resourceBusy)
        }
        return place(location, in: try directory(parent), for: path)
    }

    private func place(_ location: TreePath, in directory: Opened, for path: TreePath) -> FileMaker.Place {
        FileMaker.Place(
            directory: directory.descriptor,
            name: location.isRoot ? [0x2E, 0] : cName(location),
            path: path,
            root: root.path,
            inheritsACL: directory.inheritsACL
        )
    }

    /// A directory that is going to be written to.
    private func directory(_ path: TreePath) throws(FilesError) -> Opened {
        if let current, current.path == path { return current }
        let opened = try openFresh(path)
        if fileSystems[opened.device] == nil {
            // descriptors that are open for their path only take no syncfs
            let descriptor = openFile(at: opened.descriptor, ".", O_RDONLY | O_DIRECTORY)
            guard descriptor >= 0 else { throw .last("open", root.text(of: path)) }
            let owned = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
            fileSystems[opened.device] = try Opened(owned, path: path, text: root.text(of: path))
        }
        current = opened
        return opened
    }

    private func openFresh(_ path: TreePath) throws(FilesError) -> Opened {
        guard let top = anchorPath(above: path) else {
            return try Opened(root.openDirectory(path), path: path, text: root.text(of: path))
        }
        let anchor = try openAnchor(top)
        let rest = Array(path.bytes.dropFirst(top.isRoot ? 0 : top.bytes.count + 1))
        let name = rest.isEmpty ? [0x2E, 0] : rest.map { CChar(bitPattern: $0) } + [0]
        var descriptor = openBeneath(anchor.descriptor, name)
        if descriptor < 0, errno == ENAMETOOLONG {
            descriptor = openBeneath(anchor.descriptor, ".")
            for component in TreePath(unchecked: rest).components where descriptor >= 0 {
                let above = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
                let name = component.map { CChar(bitPattern: $0) } + [0]
                descriptor = openBeneath(above.descriptor.rawValue, name)
            }
        }
        guard descriptor >= 0 else { throw .last("open", root.text(of: path)) }
        let owned = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        return try Opened(owned, path: path, text: root.text(of: path))
    }

    private func openBeneath(_ directory: Int32, _ name: UnsafePointer<CChar>) -> Int32 {
        let beneath = CLinux_RESOLVE_BENEATH | CLinux_RESOLVE_NO_SYMLINKS | CLinux_RESOLVE_NO_MAGICLINKS
        let flags = CLinux_O_PATH | O_DIRECTORY
        return openFile(at: directory, name, flags, resolve: beneath | CLinux_RESOLVE_NO_XDEV)
    }

    private func anchorPath(above path: TreePath) -> TreePath? {
        var next: TreePath? = path
        while let candidate = next {
            if anchors.contains(candidate) { return candidate }
            next = candidate.parent
        }
        return nil
    }

    private func openAnchor(_ path: TreePath) throws(FilesError) -> Opened {
        if let anchor, anchor.path == path { return anchor }
        let above = try root.openDirectory(path.parent ?? .root)
        let beneath = CLinux_RESOLVE_BENEATH | CLinux_RESOLVE_NO_SYMLINKS | CLinux_RESOLVE_NO_MAGICLINKS
        let name = path.isRoot ? [0x2E, 0] : cName(path)
        // it may be a mount point itself
        let flags = CLinux_O_PATH | O_DIRECTORY
        let descriptor = openFile(at: above.descriptor.rawValue, name, flags, resolve: beneath)
        guard descriptor >= 0 else { throw .last("open", root.text(of: path)) }
        let owned = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        let opened = try Opened(owned, path: path, text: root.text(of: path))
        anchor = opened
        return opened
    }

    private func cName(_ path: TreePath) -> [CChar] { path.name.map { CChar(bitPattern: $0) } + [0] }
}
