import Archives
import Files
import Glibc
import Logging
public import NodeInterface
public import RecoveryPoints
public import SystemPackage

/// Takes files out of a recovery point.
public struct PointExtraction {
    private let node: Node
    private let jobs: Int

    /// An extraction that decompresses with `jobs` threads.
    public init(node: Node, jobs: Int) {
        self.node = node
        self.jobs = jobs
    }

    /// What was written.
    public struct Written: Sendable, Equatable {
        /// Files of all kinds but directories; links as well.
        public var files: Int64 = 0
        /// Directories.
        public var directories: Int64 = 0
    }

    /// Writes files of a component below `directory`, which is made when it does not exist.
    ///
    /// A component of files gives the files at their paths; the component `etcd` gives `etcd.snapshot`, unpacked;
    /// the others give their document.
    /// - Parameter paths: relative to the node's root; all files when empty. Only components of files take them.
    /// - Throws: ``BackupError/notAllKept(losses:files:_:)`` when all was written that the file system there can hold.
    public func run(
        _ point: RecoveryPoint,
        component name: String,
        paths: [String],
        into directory: FilePath
    ) throws(BackupError) -> Written {
        guard let component = point.manifest.component(named: name) else {
            throw .componentMissing(name, generation: point.generation)
        }
        guard component.component != nil else { throw .newerProgram(component: name, generation: point.generation) }
        do {
            let target = try Self.open(making: directory)
            if let archive = component.file(.archive) {
                let wanted = try paths.map { text -> TreePath in
                    guard let path = TreePath(validating: text.utf8) else {
                        throw BackupError.notAPath(text)
                    }
                    return path
                }
                guard let index = component.file(.index) else { throw BackupError.noIndex(component: name) }
                let writer = try TreeWriter(directory: directory, toleratesLosses: true)
                let contents = try ArchiveExtractor.extract(
                    wanted,
                    archive: point.path(of: archive),
                    index: point.path(of: index),
                    to: writer,
                    jobs: jobs,
                    cancellation: node.cancellation
                )
                try writer.finish()
                for loss in writer.notKept {
                    node.log.warning("'\(loss.path)' is written without its \(loss.what): \(loss.errno), continuing")
                }
                guard writer.lossCount == 0 else {
                    throw BackupError.notAllKept(losses: writer.lossCount, files: contents.files, directory.string)
                }
                return Written(
                    files: Int64(contents.files - contents.directories),
                    directories: Int64(contents.directories)
                )
            }
            guard paths.isEmpty else {
                throw BackupError.noFiles(component: name)
            }
            if let snapshot = component.file(.snapshot) {
                try unpack(point.path(of: snapshot), to: "etcd.snapshot", in: target)
            } else {
                let source = try Directory(path: point.directory)
                for name in component.files.compactMap({ FilePath.Component($0.name) }) {
                    try refuseExisting(name, in: target)
                    let file = try source.open(name)
                    try AtomicFile.copy(file.descriptor, to: name, in: target)
                }
            }
            return Written(files: Int64(component.files.count))
        } catch {
            throw .wrapping(error)
        }
    }

    private func unpack(_ packed: FilePath, to name: FilePath.Component, in directory: Directory) throws {
        try refuseExisting(name, in: directory)
        let reader = try FrameReader(path: packed, jobs: jobs, cancellation: node.cancellation)
        try AtomicFile.write(to: name, in: directory) { file in
            while let piece = try reader.next() {
                try file.writeAll(piece, path: directory.path.appending(name).string)
            }
        }
    }

    private func refuseExisting(_ name: FilePath.Component, in directory: Directory) throws(FilesError) {
        guard try directory.stat(name) == nil else {
            throw FilesError(
                operation: "create",
                path: directory.path.appending(name).string,
                errno: .fileExists
            )
        }
    }

    /// Opens a directory, and makes it first when only it is missing.
    private static func open(making path: FilePath) throws(FilesError) -> Directory {
        do {
            return try Directory(path: path)
        } catch {
            guard error.errno == .noSuchFileOrDirectory, let name = path.lastComponent else { throw error }
            let parent = path.removingLastComponent()
            try Directory(path: parent.isEmpty ? "." : parent).makeDirectory(name)
            return try Directory(path: path)
        }
    }
}
