public import SystemPackage

/// Files of a node by their paths, wherever they lie: on the node itself, or in a recovery point.
public protocol FileSource {
    /// Whether there is a file, links followed; a link that leads nowhere is none.
    func exists(_ path: FilePath) throws(FilesError) -> Bool

    /// What a file is; a link that is the last component is not followed.
    func kind(of path: FilePath) throws(FilesError) -> FileKind

    /// The names in a directory, sorted by their bytes.
    func names(in path: FilePath) throws(FilesError) -> [FilePath.Component]

    /// Reads a whole file, links followed.
    /// - Parameter limitBytes: the most that it may be; a larger file is `EFBIG`.
    func readFile(_ path: FilePath, limitBytes: Int) throws(FilesError) -> [UInt8]
}

extension RootDirectory: FileSource {
    /// What a file is; a link that is the last component is not followed.
    public func kind(of path: FilePath) throws(FilesError) -> FileKind {
        try stat(path, followsLink: false).kind
    }
}
