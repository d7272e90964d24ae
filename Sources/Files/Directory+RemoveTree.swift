import CLinux
import Glibc
public import SystemPackage

extension Directory {
    /// Removes a file, or a directory with everything in it; what does not exist is removed already.
    ///
    /// Links are removed, never followed. Keeps few descriptors open, however deep the tree is.
    /// - Throws: `EBUSY` at a mount point, on which nothing is touched; what was removed before it is gone.
    public func removeTree(_ name: FilePath.Component) throws(FilesError) {
        let bytes = name.withPlatformString { Array(UnsafeBufferPointer(start: $0, count: strlen($0) + 1)) }
        let device = try FileStat(of: descriptor, path: path.operatorText).identity.device
        try Files.removeTree(bytes, in: raw, on: device, path, observer: nil)
    }
}

/// Removes the file or tree `name` of an open directory, which lies on `device`; see ``Directory/removeTree(_:)``.
func removeTree(
    _ name: [CChar],
    in directory: Int32,
    on device: UInt64,
    _ path: FilePath,
    observer: (any ChangeObserver)?
) throws(FilesError) {
    var removal = TreeRemoval(path: path, observer: observer)
    try removal.run(name, in: directory, on: device)
}

/// One removal of a tree: from directory to directory without recursion, as a tree can be deeper than a stack.
private struct TreeRemoval: ~Copyable {
    /// A directory that is being emptied.
    private final class Level {
        /// Its name with a NUL behind it.
        let name: [CChar]
        let identity: FileIdentity
        let names: DirectoryNames
        /// The name that comes next.
        var position = 0
        /// `nil` while the removal is too far below.
        var directory: OwnedDescriptor?

        init(_ name: [CChar], _ identity: FileIdentity, _ names: DirectoryNames, _ directory: consuming OwnedDescriptor)
        {
            self.name = name
            self.identity = identity
            self.names = names
            self.directory = consume directory
        }

        /// -1, which every system call refuses, while it is closed.
        var descriptor: Int32 { directory?.descriptor.rawValue ?? -1 }
    }

    /// How many levels keep their descriptor.
    private static let openLevels = 64

    /// Of the directory that the tree is in.
    private let path: FilePath
    private let observer: (any ChangeObserver)?
    private var levels: [Level] = []

    init(path: FilePath, observer: (any ChangeObserver)?) {
        self.path = path
        self.observer = observer
    }

    mutating func run(_ name: [CChar], in directory: Int32, on device: UInt64) throws(FilesError) {
        try visit(name, in: directory, on: device)
        while let level = levels.last {
            if level.position < level.names.count {
                let name = level.names[level.position].map { CChar(bitPattern: $0) } + [0]
                level.position += 1
                try visit(name, in: level.descriptor, on: level.identity.device)
            } else {
                try leave(level, top: directory)
            }
        }
    }

    /// Removes a file, or goes down into a directory.
    private mutating func visit(_ name: [CChar], in directory: Int32, on device: UInt64) throws(FilesError) {
        var raw = CLinux_stat()
        guard CLinux_statx(directory, name, &raw) == 0 else {
            if errno == ENOENT { return }
            throw .last("examine", text(name))
        }
        let stat = FileStat(raw)
        guard !stat.isMountPoint(inDirectoryOn: device) else {
            throw FilesError(operation: "remove what is mounted on", path: text(name), errno: .resourceBusy)
        }
        guard stat.kind == .directory else {
            if let observer { try observer.willChange("remove") }
            guard unlinkat(directory, name, 0) == 0 || errno == ENOENT else { throw .last("remove", text(name)) }
            return
        }
        let descriptor = openFile(at: directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        guard descriptor >= 0 else { throw .last("open", text(name)) }
        let inner = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        let names = try DirectoryNames(of: descriptor, path: text(name))
        let opened = try FileStat(of: inner.descriptor, path: text(name))
        levels.append(Level(name, opened.identity, names, inner))
        if levels.count > Self.openLevels { levels[levels.count - 1 - Self.openLevels].directory = nil }
    }

    /// Removes a directory that has been emptied, and goes up.
    private mutating func leave(_ level: Level, top: Int32) throws(FilesError) {
        levels.removeLast()
        if let above = levels.last, above.directory == nil {
            let descriptor = openFile(at: level.descriptor, "..", O_RDONLY | O_DIRECTORY)
            guard descriptor >= 0 else { throw .last("go back to the directory of", text(level.name)) }
            let directory = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
            guard try FileStat(of: directory.descriptor, path: text(level.name)).identity == above.identity else {
                let operation = "go back to the directory of"
                throw FilesError(operation: operation, path: text(level.name), errno: Errno(rawValue: ESTALE))
            }
            above.directory = consume directory
        }
        if let observer { try observer.willChange("remove a directory") }
        guard unlinkat(levels.last?.descriptor ?? top, level.name, AT_REMOVEDIR) == 0 || errno == ENOENT else {
            throw .last("remove", text(level.name))
        }
    }

    /// A name in the directory that the removal is in, for errors.
    private func text(_ name: [CChar]) -> String {
        var text = path
        for level in levels { text.append(FilePath(platformString: level.name).components) }
        return text.appending(FilePath(platformString: name).components).operatorText
    }
}
