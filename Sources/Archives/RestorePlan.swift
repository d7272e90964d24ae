internal import Files

/// What makes a tree equal to an archive: data, nothing is touched yet.
struct RestorePlan {
    /// A file that is made; kept small, as there can be hundreds of thousands.
    struct Made {
        /// How.
        enum Making {
            /// An empty directory; what is in it is made in it.
            indirect case directory(FileRecord)
            /// A regular file with the content and the metadata of the archive's file `from`.
            case content(from: TreePath)
            /// A further name for the file at this path.
            case link(to: TreePath)
            /// A symbolic link, a FIFO or a device.
            indirect case other(FileRecord)
        }

        /// Where it is made.
        enum Place {
            /// Beside its place, under the staged name with this number.
            case beside(UInt64)
            /// In a directory that is made, by its index in ``RestorePlan/made``.
            case inside(Int32)
        }

        /// Where it comes to be.
        var path: TreePath
        /// How it is made.
        var making: Making
        /// Where it is made.
        var place: Place
        /// How it gets to its place; `nil` when it comes there with the directory that it is made in.
        var placing: Placing?
    }

    /// How a file that was made beside its place gets there.
    enum Placing: Hashable {
        /// By a rename, in the place of what is there.
        case rename
        /// By an exchange with what is there, which is then removed: one of the two is a directory.
        case exchange
    }

    /// A file whose content is right and whose metadata is not, or a directory that files come into or go from.
    struct Updated {
        /// What it is to be.
        var record: FileRecord
        /// What it was when the plan was made.
        var stat: FileStat
        /// The first name of its group of hard links, or its only one.
        var group: TreePath
        /// Whether it differed by itself; `false` when only its time has to be kept.
        var differs = true
    }

    /// In walking order; then those that turned out to need it at the end.
    var made: [Made] = []
    /// In walking order.
    var updated: [Updated] = []
    /// Directories that files come into or go from, by their path.
    var directories: [TreePath: Updated] = [:]
    /// Files and whole trees that go away.
    var removed: [TreePath] = []
    /// Of those, what an earlier run has left.
    var leftovers: [TreePath] = []
    /// Where each first name of a group of hard links is made, of those that are.
    var locations: [TreePath: TreePath] = [:]
    /// The tops of the trees.
    var tops: [TreePath] = []
    /// What it comes to.
    var summary = TreeRestorer.Summary()

    /// Whether there is nothing to do.
    var isEmpty: Bool { made.isEmpty && updated.isEmpty && removed.isEmpty && directories.isEmpty }

    /// Where a file is made: beside its place under a staged name, or in a directory that is.
    func location(of file: Made) -> TreePath {
        switch file.place {
        case .beside(let number):
            return (file.path.parent ?? .root).appending(TreeEditor.stagedName(number))
        case .inside(let index):
            let directory = made[Int(index)]
            let rest = file.path.bytes.dropFirst(directory.path.bytes.count)
            return TreePath(unchecked: location(of: directory).bytes + rest)
        }
    }
}
