import Archives
import CLinux
import Etcd
import Files
import Glibc
import Reporting
import SystemPackage

/// A snapshot that was named on the command line: as etcd sent it, or packed with zstd as in a recovery point.
struct SnapshotInput: ~Copyable {
    private let file: OwnedDescriptor
    private let unpacked: UnnamedFile?

    /// Opens a snapshot; one that is packed is unpacked into a scratch file without a name.
    /// - Parameter scratch: where the scratch file takes its space: the target's file system for a restore.
    /// - Parameter isCopy: whether a copy of a database file is taken, which may have pages behind its last one.
    /// - Throws: ``NotASnapshot`` for what is recognised as something else, ``SnapshotDamaged`` when it unpacks to more
    ///   than its own meta page states.
    init(_ name: String, scratch: FilePath, isCopy: Bool, cancellation: Cancellation) throws {
        let path = FilePath(name)
        // Before it is opened, as opening a pipe waits for whoever writes into it.
        switch kind(of: path) {
        case nil, S_IFREG: break
        case S_IFDIR: throw NotASnapshot(name: name, is: .directory(path))
        case S_IFIFO: throw NotASnapshot(name: name, is: .pipe)
        default: throw NotASnapshot(name: name, is: .specialFile)
        }
        let file = try OwnedDescriptor(reading: path)
        var unpacked: UnnamedFile?
        let start = try Self.start(of: file.descriptor, name)
        if start.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) {
            let scratch = try UnnamedFile(in: scratch)
            try Self.unpack(path, into: scratch, named: name, isCopy: isCopy, cancellation)
            unpacked = scratch
        } else if let format = NotASnapshot.Format(start) {
            throw NotASnapshot(name: name, is: .format(format))
        }
        self.unpacked = unpacked
        self.file = file
    }

    /// The snapshot's bytes; valid for as long as this value.
    var descriptor: FileDescriptor { unpacked?.descriptor ?? file.descriptor }

    /// Reads a snapshot from its first byte to its last.
    static func inspect(_ name: String, skipHashCheck: Bool, cancellation: Cancellation) throws -> SnapshotInspection {
        let scratch = directory(of: FilePath(name))
        let input = try SnapshotInput(name, scratch: scratch, isCopy: skipHashCheck, cancellation: cancellation)
        return try SnapshotInspector(rule: skipHashCheck ? .optional : .required, cancellation: cancellation)
            .inspect(input.descriptor)
    }

    /// The directory that a path is in, `.` for a lone name.
    static func directory(of path: FilePath) -> FilePath {
        let parent = path.removingLastComponent()
        return parent.isEmpty ? "." : parent
    }

    /// Unpacks no more than the snapshot's own meta page says that it has.
    private static func unpack(
        _ path: FilePath,
        into scratch: UnnamedFile,
        named name: String,
        isCopy: Bool,
        _ cancellation: Cancellation
    ) throws {
        let reader = try FrameReader(path: path, jobs: Session.processors, cancellation: cancellation)
        var length: Int64 = 0
        var limit: Int64?
        while let piece = try reader.next() {
            try scratch.write(piece)
            length += Int64(piece.count)
            // Page 1 is in the first megabyte of every file that etcd makes.
            if limit == nil, length >= 1 << 20 {
                guard let stated = try SnapshotInspector.statedLength(of: scratch.descriptor) else { return }
                // bbolt makes its file longer by what it maps: twice as long, and by 1 GiB at most.
                limit = isCopy ? stated * 2 + 1 << 30 : stated + Int64(SnapshotInspector.trailerSize)
            }
            if let limit, length > limit {
                throw SnapshotDamaged(
                    name: name,
                    faults: ["it unpacks to more than the \(limit) bytes that its own meta page states"]
                )
            }
        }
    }

    /// The first bytes of a file, 512 at most.
    private static func start(of file: FileDescriptor, _ name: String) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 512)
        do {
            let count = try bytes.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: 0, into: $0) }
            return Array(bytes[..<count])
        } catch let error as Errno {
            throw FilesError(operation: "read", path: name, errno: error)
        }
    }
}

/// Something else was named where a snapshot was asked for.
struct NotASnapshot: OperatorError, Equatable {
    /// What it is.
    enum Found: Equatable {
        case directory(FilePath)
        case pipe, specialFile
        case format(Format)
        /// A database without a digest behind it, and with no other fault.
        case databaseCopy
    }

    /// A file format that operators keep snapshots in.
    enum Format: String {
        case gzip, bzip2, xz, lz4, zip, tar

        /// The format of a file that starts with these bytes; `nil` for others.
        init?(_ start: [UInt8]) {
            let magic: [(Format, Int, [UInt8])] = [
                (.gzip, 0, [0x1F, 0x8B]), (.bzip2, 0, Array("BZh".utf8)), (.xz, 0, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0]),
                (.lz4, 0, [0x04, 0x22, 0x4D, 0x18]), (.zip, 0, [0x50, 0x4B, 3, 4]), (.tar, 257, Array("ustar".utf8)),
            ]
            guard let found = magic.first(where: { start.dropFirst($0.1).starts(with: $0.2) }) else { return nil }
            self = found.0
        }

        func command(_ name: String) -> String {
            switch self {
            case .gzip: "gzip -dc '\(name)' > snapshot.db"
            case .bzip2: "bzip2 -dc '\(name)' > snapshot.db"
            case .xz: "xz -dc '\(name)' > snapshot.db"
            case .lz4: "lz4 -dc '\(name)' > snapshot.db"
            case .zip: "unzip '\(name)'"
            case .tar: "tar -xf '\(name)'"
            }
        }
    }

    let name: String
    let found: Found

    init(name: String, is found: Found) {
        self.name = name
        self.found = found
    }

    var summary: String {
        switch found {
        case .directory: "'\(name)' is a directory, not a snapshot"
        case .pipe: "'\(name)' is a pipe, and a snapshot is read more than once"
        case .specialFile: "'\(name)' is not a regular file"
        case .format(.zip): "'\(name)' is a zip archive, not a snapshot"
        case .format(.tar): "'\(name)' is a tar archive, not a snapshot"
        case .format(let format): "'\(name)' is compressed with \(format.rawValue)"
        case .databaseCopy:
            "'\(name)' has no SHA-256 at its end: it is a copy of a database file, or an incomplete snapshot"
        }
    }

    var hint: String? {
        switch found {
        case .directory(let path):
            if Self.exists(path.appending("etcd.snapshot.zst")) {
                "name the snapshot of this recovery point: \(path.appending("etcd.snapshot.zst"))"
            } else if Self.exists(path.appending("member/snap/db")) {
                "this is a data directory of etcd: take a snapshot with 'etcd-snapshot save'; when etcd is stopped, its "
                    + "database can be used with --skip-hash-check: \(path.appending("member/snap/db"))"
            } else {
                "name the snapshot's file; 'node-backup list' shows the recovery points"
            }
        case .pipe: "save it to a file first"
        case .specialFile: "name the snapshot's file"
        case .format(let format): "unpack it first: \(format.command(name))"
        case .databaseCopy:
            "if it was copied from member/snap/db while etcd was stopped, use it with --skip-hash-check; else take "
                + "another snapshot"
        }
    }

    var exitStatus: ExitStatus { .dataError }

    private static func exists(_ path: FilePath) -> Bool { kind(of: path) != nil }
}

/// The type of what a path leads to, such as `S_IFDIR`; `nil` when nothing can be said, and opening it says why.
private func kind(of path: FilePath) -> mode_t? {
    var status = stat()
    return path.withPlatformString { stat($0, &status) } == 0 ? status.st_mode & S_IFMT : nil
}
