import CLinux
import Glibc
import SystemPackage

/// Opens directories of chosen subtrees of a root.
///
/// The path to a top is resolved inside the root; below it every path is resolved beneath the top, through no symbolic
/// link and onto no other mount. For one thread at a time.
final class AnchoredDirectories {
    /// One of them, open for its path.
    final class Opened {
        let path: TreePath
        /// Of its file system.
        let device: UInt64
        /// Whether it hands a default ACL on to what is made in it.
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

    /// What paths are resolved beneath: tops, and what is made in the place of one.
    var anchors: Set<TreePath>
    /// One open directory of each file system that was written to, by its device number.
    private(set) var fileSystems: [UInt64: Opened] = [:]
    private let root: RootDirectory
    /// The anchor that was opened last.
    private var anchor: Opened?
    /// The directory that was opened last, as the next file is most often its neighbour.
    private var current: Opened?

    init(root: RootDirectory, tops: some Sequence<TreePath>) {
        self.root = root
        anchors = Set(tops)
    }

    /// Takes over the file systems that were written to through another one.
    func adopt(_ other: AnchoredDirectories) {
        fileSystems.merge(other.fileSystems) { own, _ in own }
    }

    /// A directory that is going to be written to.
    func forWriting(_ path: TreePath) throws(FilesError) -> Opened {
        if let current, current.path == path { return current }
        let opened = try open(path)
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

    /// A directory, resolved beneath its anchor; one above all anchors inside the root.
    func open(_ path: TreePath) throws(FilesError) -> Opened {
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
        let name = path.isRoot ? [0x2E, 0] : path.name.map { CChar(bitPattern: $0) } + [0]
        // it may be a mount point itself
        let flags = CLinux_O_PATH | O_DIRECTORY
        let descriptor = openFile(at: above.descriptor.rawValue, name, flags, resolve: beneath)
        guard descriptor >= 0 else { throw .last("open", root.text(of: path)) }
        let owned = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        let opened = try Opened(owned, path: path, text: root.text(of: path))
        anchor = opened
        return opened
    }

}
