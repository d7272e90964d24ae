import CLinux
import Glibc
import SystemPackage

extension TreeWalk {
    /// One open directory of a walk.
    final class Level {
        let path: TreePath
        /// How many components the path has.
        let depth: Int
        /// `nil` while the walk is too far below.
        var directory: OwnedDescriptor?
        /// `nil` above the top of a subtree.
        let stat: FileStat?
        let names: DirectoryNames
        /// The name that comes next.
        var position = 0
        /// The exclusions that the path fits so far, as indices.
        let patterns: [Int]
        /// Where it lies in this thread's mount namespace, without the leading slash; `nil` when that is not known.
        var place: TreePath?
        /// The names that something is mounted on.
        var mounts: [[UInt8]: MountTable.Mount] = [:]

        init(
            path: TreePath,
            directory: consuming OwnedDescriptor,
            stat: FileStat?,
            names: DirectoryNames,
            patterns: [Int]
        ) {
            self.path = path
            depth = path.components.count
            self.directory = consume directory
            self.stat = stat
            self.names = names
            self.patterns = patterns
        }

        /// -1, which every system call refuses, while it is closed.
        var descriptor: Int32 { directory?.descriptor.rawValue ?? -1 }

        /// The path of a name; `.` stands for the root itself, when it is the top of a subtree.
        func path(_ index: Int) -> TreePath {
            let name = names[index]
            return name.elementsEqual(CollectionOfOne(UInt8(ascii: "."))) ? path : path.appending(name)
        }

        /// `statx(2)` of a name: 0, or -1 with `errno`.
        func look(_ index: Int, _ raw: inout CLinux_stat) -> Int32 {
            names.withName(index) { CLinux_statx(descriptor, $0, &raw) }
        }

        /// Opens a name without changing its access time, where the kernel allows that; -1 with `errno`.
        func open(_ index: Int, _ flags: Int32) -> Int32 {
            names.withName(index) { name in
                let opened = openFile(at: descriptor, name, flags | CLinux_O_NOATIME)
                // only the owner and CAP_FOWNER may leave the access time alone
                return opened < 0 && errno == EPERM ? openFile(at: descriptor, name, flags) : opened
            }
        }

        /// The extended attributes of a name, a link's own among them.
        ///
        /// By its path through the open directory: a link and a device cannot be opened for it.
        func attributes(_ index: Int, path: @autoclosure () -> String) throws(FilesError) -> [ExtendedAttribute] {
            let file = procPath(of: descriptor).utf8.map { CChar(bitPattern: $0) } + [0x2F]
            return try ExtendedAttribute.all(
                of: file + names[index].map { CChar(bitPattern: $0) } + [0],
                path: path()
            )
        }

        /// Where an open directory lies; `nil` when that cannot be told.
        static func place(of descriptor: Int32) -> TreePath? {
            // ignored: a kernel without /proc here still tells mount points by statx
            (try? linkTarget(at: AT_FDCWD, procPath(of: descriptor), path: "")).flatMap { TreePath(validating: $0) }
        }
    }

    /// Knows the first name of each file that has several, for as long as there are names to come.
    struct HardLinks {
        private struct First {
            var path: TreePath
            var namesToCome: UInt32
        }

        private var files: [FileIdentity: First] = [:]

        /// The name under which the walk has met the file already; `nil` when it has not, and then remembers it.
        mutating func firstName(of stat: FileStat, _ path: TreePath) -> TreePath? {
            guard stat.linkCount > 1, stat.kind != .directory else { return nil }
            guard var first = files[stat.identity] else {
                files[stat.identity] = First(path: path, namesToCome: stat.linkCount - 1)
                return nil
            }
            first.namesToCome -= 1
            files[stat.identity] = first.namesToCome > 0 ? first : nil
            return first.path
        }
    }
}

extension MountTable {
    /// What is mounted on names in an open directory of a walk.
    func mounts(in level: TreeWalk.Level) -> [[UInt8]: Mount] {
        guard let place = level.place, let mountID = level.stat?.mountID else { return [:] }
        return mounts(in: place, of: mountID)
    }
}
