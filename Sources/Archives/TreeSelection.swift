public import Files

/// The part of a node's files that goes into one archive.
public struct TreeSelection: Sendable {
    /// The directory that stands for the node's `/`.
    public var root: RootDirectory
    /// The tops of the trees, relative to the root; the paths in the archive are relative to the root too.
    public var subtrees: [TreePath]
    /// What is left out below them.
    public var exclusions: [PathPattern]
    /// Files that are left out whatever they are called, and what they are.
    public var leaveOut: [FileIdentity: String]

    /// A selection.
    public init(
        root: RootDirectory,
        subtrees: [TreePath],
        exclusions: [PathPattern] = [],
        leaveOut: [FileIdentity: String] = [:]
    ) {
        self.root = root
        self.subtrees = subtrees
        self.exclusions = exclusions
        self.leaveOut = leaveOut
    }

    /// Starts a walk, on one file system a tree.
    func walk() -> TreeWalk {
        TreeWalk(root: root, subtrees: subtrees, exclusions: exclusions, leaveOut: leaveOut, oneFileSystem: true)
    }
}

/// A file that could not be read, with the reason.
public struct UnreadableFile: Sendable, Hashable {
    /// Where it lies, relative to the root.
    public var path: TreePath
    /// Why.
    public var error: FilesError

    /// A file with the reason.
    public init(path: TreePath, error: FilesError) {
        self.path = path
        self.error = error
    }
}
