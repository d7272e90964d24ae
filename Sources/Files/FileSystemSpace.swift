import CLinux
import Glibc
public import SystemPackage

/// How much room a file system has.
public struct FileSystemSpace: Hashable, Sendable {
    /// Bytes in all.
    public let totalBytes: Int64
    /// Bytes that may still be written, without what is kept for root: that is what the system itself lives on.
    public let availableBytes: Int64
    /// Files that may still be made; `nil` where the file system has no such limit.
    public let availableFiles: Int64?
    /// Whether it is mounted read-only.
    public let isReadOnly: Bool

    /// Asks the file system that `path` lies on.
    public init(at path: FilePath) throws(FilesError) {
        var raw = statvfs()
        guard path.withPlatformString({ statvfs($0, &raw) }) == 0 else {
            throw .last("measure the space at", path.operatorText)
        }
        self.init(raw)
    }

    /// Asks the file system that a file below a root lies on; links are followed inside the root.
    public init(at path: FilePath, in root: RootDirectory) throws(FilesError) {
        let file = try root.open(path, CLinux_O_PATH, "look for")
        var raw = statvfs()
        guard fstatvfs(file.descriptor.rawValue, &raw) == 0 else {
            throw .last("measure the space at", root.fullPath(of: path).operatorText)
        }
        self.init(raw)
    }

    private init(_ raw: statvfs) {
        func bytes(_ blocks: fsblkcnt_t) -> Int64 {
            let (bytes, isTooLarge) = blocks.multipliedReportingOverflow(by: raw.f_frsize)
            return isTooLarge ? .max : Int64(clamping: bytes)
        }
        totalBytes = bytes(raw.f_blocks)
        availableBytes = bytes(raw.f_bavail)
        isReadOnly = raw.f_flag & UInt(ST_RDONLY) != 0
        availableFiles = raw.f_files == 0 ? nil : Int64(clamping: raw.f_favail)
    }
}
