import Files
import Reporting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Archives

/// A tree with its archive, and a place to change the one and to make it equal to the other again.
struct RestoreBench {
    let directory: TemporaryDirectory
    let tops: [TreePath]
    let made: TestArchive
    /// What the tree was when the archive was made.
    let expected: [FileRecord]

    /// What holds the tree.
    let place: FilePath
    var tree: FilePath { place.appending("tree") }

    /// Makes the tree with a script that runs in it, and the archive.
    /// - Parameter inMemory: whether the tree lies in a file system in memory, which takes no time to sync.
    init(
        tops: [TreePath] = [.root],
        _ script: String = "true",
        kinds: Bool = false,
        inMemory: Bool = false
    ) throws {
        directory = try TemporaryDirectory()
        place = inMemory ? try directory.mount("memory", options: "size=64m") : directory.path
        let tree = place.appending("tree")
        self.tops = tops
        try Shell.output("set -e; mkdir \(tree) \(directory.path)/out; cd \(tree); \(script)")
        if kinds { try makeEveryKindOfFile(in: tree) }
        made = try TestArchive(selection(tree, tops), in: directory / "out")
        expected = try records(tree)
    }

    func change(_ script: String) throws { try Shell.output("set -e; cd \(tree); \(script)") }

    func restorer(
        except exclusions: [PathPattern] = [],
        leaveOut: [FileIdentity: String] = [:],
        archive: FilePath? = nil,
        keepsExtras: Bool = false,
        cancellation: Cancellation = Cancellation()
    ) throws -> TreeRestorer {
        let request = TreeRestorer.Request(
            root: try RootDirectory(path: tree),
            archive: archive ?? made.archive,
            index: made.index,
            exclusions: exclusions,
            leaveOut: leaveOut,
            jobs: 2,
            keepsExtras: keepsExtras
        )
        return TreeRestorer(request, cancellation: cancellation)
    }

    /// Each difference as a line: `+ made`, `- removed`, `changed: aspects`.
    func differences(except exclusions: [PathPattern] = []) throws -> [String] {
        var lines = [String]()
        _ = try restorer(except: exclusions).plan { difference in
            switch difference.change {
            case .added: lines.append("+ \(difference.path)")
            case .removed: lines.append("- \(difference.path)")
            case .changed(let aspects):
                lines.append("\(difference.path): \(aspects.map(\.description).joined(separator: ", "))")
            }
            return true
        }
        return lines
    }

    @discardableResult
    func restore(except exclusions: [PathPattern] = [], archive: FilePath? = nil) throws -> TreeRestorer.Summary {
        try restorer(except: exclusions, archive: archive).run()
    }

    /// Expects the tree to be what it was, file by file.
    func expectEqual(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let found = try records(tree)
        #expect(found.map(\.path) == expected.map(\.path), sourceLocation: sourceLocation)
        for (one, other) in zip(found, expected) where one != other {
            #expect(one == other, sourceLocation: sourceLocation)
        }
    }

    /// All there is in the tree, with inode and change time: equal when nothing has been written.
    func snapshot() throws -> String {
        try Shell.output("cd \(tree) && find . -printf '%p %i %C@ %T@ %m %U %G %n %s %l\\n' | LC_ALL=C sort")
    }
}

/// Fails changes, counting from 1, whichever thread makes them.
final class Faults: ChangeObserver {
    private let isFailing: (Int) -> Bool
    private let errno: Errno
    private let changes = Mutex(0)

    var count: Int { changes.withLock { $0 } }

    /// As a kill does: nothing is done from change number `first` on.
    init(killedAt first: Int) {
        isFailing = { $0 >= first }
        errno = .ioError
    }

    /// As a file system does: one change fails, what follows does not.
    init(failing number: Int, errno: Errno = .noSpace) {
        isFailing = { $0 == number }
        self.errno = errno
    }

    func willChange(_ operation: StaticString) throws(FilesError) {
        let number = changes.withLock { count in
            count += 1
            return count
        }
        if isFailing(number) { throw FilesError(operation: "\(operation)", path: "(change \(number))", errno: errno) }
    }
}

/// All records of a tree, for suites that have a function of the shorter name.
func treeRecords(_ root: FilePath) throws -> [FileRecord] { try records(root) }

extension RestoreBench {
    /// Expects the files of the tops to be what they were; of what is above them nothing is recorded.
    func expectEqualFiles(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let isTop = { (record: FileRecord) in tops.contains { record.path.isWithin($0) } }
        #expect(try records(tree).filter(isTop) == expected.filter(isTop), sourceLocation: sourceLocation)
    }
}

/// Writes a file, for suites that have a function of the shorter name.
func writeBytes(_ bytes: [UInt8], _ path: FilePath) throws { try write(bytes, to: path) }
