import Files
import NodeInterface
import SystemPackage

/// Where a snapshot is unpacked to be looked at.
enum ScratchPlace {
    /// A scratch file with room for so many bytes: beside `path`, else in the node's `/var/tmp`.
    ///
    /// A full or read-only recovery partition does not keep its recovery points from being read back. In `/var/tmp` a
    /// tenth of the file system stays free: below that a kubelet begins to evict pods (`nodefs.available`).
    /// - Throws: ``BackupError/noScratchSpace(snapshot:neededBytes:places:)`` when no place has the room.
    static func file(for path: FilePath, lengthBytes: Int64, _ node: Node) throws -> UnnamedFile {
        var places: [(directory: String, freeBytes: Int64)] = []
        let beside = path.removingLastComponent()
        let space = try FileSystemSpace(at: beside)
        if !space.isReadOnly {
            if space.availableBytes >= lengthBytes { return try UnnamedFile(in: beside) }
            places.append((beside.string, space.availableBytes))
        }
        let root = try RootDirectory(path: node.root)
        if try root.exists("/var/tmp") {
            let elsewhere = try root.fullPath(of: FilePath(root.resolve("/var/tmp")))
            let space = try FileSystemSpace(at: elsewhere)
            let free = space.isReadOnly ? 0 : max(0, space.availableBytes - space.totalBytes / 10)
            if free >= lengthBytes { return try UnnamedFile(in: elsewhere) }
            places.append((elsewhere.string, free))
        }
        throw BackupError.noScratchSpace(snapshot: path.string, neededBytes: lengthBytes, places: places)
    }
}

/// The scratch file failed: nothing is known of the snapshot that was to be looked at.
struct ScratchFailure: Error {
    var cause: any Error
}
