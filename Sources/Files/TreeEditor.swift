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
    private let directories: AnchoredDirectories
    private let maker: FileMaker
    private let observer: (any ChangeObserver)?

    /// - Parameter tops: the tops of the subtrees; none lies in another.
    /// - Parameter observer: is told before each change.
    package init(root: RootDirectory, tops: some Sequence<TreePath>, observer: (any ChangeObserver)? = nil) {
        self.root = root
        directories = AnchoredDirectories(root: root, tops: tops)
        self.observer = observer
        maker = FileMaker(observer: observer)
    }

    /// One that makes files in the same trees, for another thread, with the same observer.
    package func copy() -> TreeEditor {
        TreeEditor(root: root, tops: directories.anchors, observer: observer)
    }

    /// From here on ``sync()`` waits for what another editor has written to, too.
    package func adopt(_ other: TreeEditor) {
        directories.adopt(other.directories)
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
            if try root.exists(FilePath(path)) { continue }
            let place = try place(path, in: directories.forWriting(above), for: path)
            try maker.makeDirectory(at: place)
            made.append(path)
            let directory = try directories.open(path)
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
        directories.anchors.insert(path)
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
    /// - Parameter path: what it is to become, for messages.
    package func makeHardLink(_ path: TreePath, to first: TreePath, at location: TreePath) throws(FilesError) {
        let source = try directories.open(first.parent ?? .root)
        let place = try place(of: location, for: path)
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
        if directories.anchors.remove(location) != nil { directories.anchors.insert(path) }
    }

    /// Removes a file, or a directory with everything in it; what is not there is removed already.
    /// - Throws: `EBUSY` at a mount point, on which nothing is touched.
    package func remove(_ path: TreePath) throws(FilesError) {
        let place = try place(of: path, for: path)
        let above = path.parent ?? .root
        let device = try directories.forWriting(above).device
        let text = root.fullPath(of: FilePath(above))
        try removeTree(place.name, in: place.directory, on: device, text, observer: observer)
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
            ? try place(.root, in: directories.forWriting(.root), for: .root)
            : try place(of: record.path, for: record.path)
        try maker.update(record, at: place, expecting: identity)
    }

    /// Gives a directory that was made here all of its metadata.
    package func setMetadata(_ record: FileRecord, of location: TreePath) throws(FilesError) {
        let directory = try directories.open(location)
        try maker.applyToNew(record, directory.descriptor, place(location, in: directory, for: record.path))
    }

    /// Sets the modification time of a directory.
    package func setTime(_ time: FileTime, of path: TreePath) throws(FilesError) {
        let directory = try directories.open(path)
        try maker.setTime(time, directory.descriptor, place(path, in: directory, for: path))
    }

    /// Called before a change that is made by others, such as writing into a file that is being made.
    package func willChange(_ operation: StaticString) throws(FilesError) {
        try maker.before(operation)
    }

    /// Waits until everything on the file systems that were written to is on the disk.
    package func sync() throws(FilesError) {
        for directory in directories.fileSystems.values {
            try maker.before("sync")
            guard CLinux_syncfs(directory.descriptor) == 0 else {
                throw .last("sync the file system of", root.text(of: directory.path))
            }
        }
    }

    // MARK: - Places

    private func place(of location: TreePath, for path: TreePath) throws(FilesError) -> FileMaker.Place {
        guard let parent = location.parent else {
            throw FilesError(operation: "replace", path: root.text(of: location), errno: .resourceBusy)
        }
        return place(location, in: try directories.forWriting(parent), for: path)
    }

    private func place(_ location: TreePath, in directory: AnchoredDirectories.Opened, for path: TreePath)
        -> FileMaker.Place
    {
        FileMaker.Place(
            directory: directory.descriptor,
            name: location.isRoot ? [0x2E, 0] : cName(location),
            path: path,
            root: root.path,
            inheritsACL: directory.inheritsACL
        )
    }

    private func cName(_ path: TreePath) -> [CChar] { path.name.map { CChar(bitPattern: $0) } + [0] }
}
