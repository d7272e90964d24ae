import CLinux
import Glibc
public import SystemPackage

extension RootDirectory {
    /// Opens a directory below the root, following symbolic links inside the root.
    public func directory(_ path: FilePath) throws(FilesError) -> Directory {
        Directory(owning: try open(path, O_RDONLY | O_DIRECTORY, "open"), path: fullPath(of: path))
    }

    /// Opens a directory below the root; `nil` when it does not exist.
    public func directoryIfPresent(_ path: FilePath) throws(FilesError) -> Directory? {
        try ifPresent { () throws(FilesError) in try directory(path) }
    }

    /// Opens a directory below the root, and makes it and those above it where they are missing.
    ///
    /// What is made is on the disk when this returns; links on the way are followed inside the root.
    /// - Parameter mode: of each directory that is made, whatever the umask is.
    /// - Throws: `EEXIST` for a symbolic link that leads nowhere, `ENOTDIR` for another kind of file.
    public func makeDirectory(_ path: FilePath, mode: UInt32 = 0o755) throws(FilesError) -> Directory {
        var directory = try directory("")
        var reached = FilePath()
        for name in path.components {
            reached.append(name)
            if let next = try directoryIfPresent(reached) {
                directory = next
                continue
            }
            try directory.makeDirectory(name, mode: mode)
            let made = try directory.directory(name)
            try made.setMode(mode)
            try directory.sync()
            directory = made
        }
        return directory
    }

    /// Reads a whole file; `nil` when it does not exist.
    /// - Parameter limitBytes: the most that it may be; a larger file is `EFBIG`.
    public func readFileIfPresent(_ path: FilePath, limitBytes: Int) throws(FilesError) -> [UInt8]? {
        try ifPresent { () throws(FilesError) in try readFile(path, limitBytes: limitBytes) }
    }

    /// Where a symbolic link points; `nil` when there is no link at the path.
    public func target(ofLink path: FilePath) throws(FilesError) -> FilePath? {
        let target = try ifPresent { () throws(FilesError) -> FilePath? in
            let link = try open(path, CLinux_O_PATH | O_NOFOLLOW, "read the link")
            let text = fullPath(of: path).operatorText
            guard try FileStat(of: link.descriptor, path: text).kind == .symbolicLink else { return nil }
            return FilePath(bytes: try linkTarget(at: link.descriptor.rawValue, "", path: text))
        }
        return target ?? nil
    }

    /// Puts a file of these bytes at a path, in the place of what was there: whole or not at all, and on the disk.
    ///
    /// Its directory exists; a symbolic link at the path itself is replaced, not followed.
    public func writeFile(
        _ path: FilePath,
        _ bytes: some Collection<UInt8>,
        mode: UInt32 = 0o644
    ) throws(FilesError) {
        guard let name = path.lastComponent else {
            throw FilesError(operation: "write", path: fullPath(of: path).operatorText, errno: .isDirectory)
        }
        try AtomicFile.write(bytes, to: name, in: directory(path.removingLastComponent()), mode: mode)
    }

    /// Writes into a file that exists, from its start and in place, for files of the kernel that cannot be replaced.
    public func overwrite(_ path: FilePath, with bytes: some Collection<UInt8>) throws(FilesError) {
        let file = try open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK, "open")
        try file.descriptor.writeAll(Array(bytes)[...], path: fullPath(of: path).operatorText)
    }

    private func ifPresent<Value>(_ body: () throws(FilesError) -> Value) throws(FilesError) -> Value? {
        do throws(FilesError) {
            return try body()
        } catch {
            guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory else { throw error }
            return nil
        }
    }
}
