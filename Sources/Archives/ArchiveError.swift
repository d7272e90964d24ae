internal import Files
internal import Glibc
public import Reporting
public import SystemPackage

/// An archive or its index could not be written, or what was read of it is not whole.
public struct ArchiveError: OperatorError, Equatable {
    /// Why it failed.
    public enum Cause: Sendable, Equatable {
        /// The system refused a call; the value is its errno.
        case system(Int32)
        /// The bytes are not what they should be; says what is wrong with them.
        case damaged(String)
        /// What was asked for is not in the archive.
        case missing
        /// It holds something that cannot be stored or restored; says what.
        case unsupported(String)
        /// Something stands in the way that must not be touched; says what.
        case obstructed(String)
    }

    /// What was being done, as a verb with its object or preposition: `"read"`, `"write the header of"`.
    public let operation: String
    /// The archive or index.
    public let archive: FilePath
    /// The file in the archive, as bytes; `nil` when the archive as a whole is meant.
    public let entry: [UInt8]?
    /// Why.
    public let cause: Cause

    /// Describes a failure; the sentence is built by ``summary``.
    public init(_ operation: String, entry: [UInt8]? = nil, in archive: FilePath, _ cause: Cause) {
        self.operation = operation
        self.archive = archive
        self.entry = entry
        self.cause = cause
    }

    /// Names the operation, the file in the archive, the archive and the reason.
    public var summary: String {
        let object = entry.map { "'\(FileName.text(of: $0))' in '\(archive.string)'" } ?? "'\(archive.string)'"
        return "could not \(operation) \(object): \(reason)"
    }

    private var reason: String {
        switch cause {
        case .system(let number): Errno(rawValue: number).description
        case .damaged(let what), .unsupported(let what), .obstructed(let what): what
        case .missing: "no such file in the archive"
        }
    }

    /// What helps against a full disk or a damaged archive.
    public var hint: String? {
        switch cause {
        case .system where isForWantOfSpace:
            "free space on the file system of '\(archive.string)' ('df -h; df -i' shows which one is full), then run it again"
        case .system(EROFS):
            "the file system of '\(archive.string)' is read-only: see 'findmnt -T \(archive.string)' and 'dmesg'"
        case .system(let number) where Errno(rawValue: number).isForWantOfResources:
            "a limit of the system was reached: see 'ulimit -a', and 'systemctl show -p TasksMax,LimitNOFILE UNIT'"
        case .damaged:
            "use another recovery point; 'node-backup verify --all' shows which ones are whole"
        case .missing:
            archive.extension == "zst" ? "'tar -tf \(archive.string)' lists what is in it" : nil
        case .obstructed:
            "nothing was changed: remove what is in the way, then run it again ('findmnt' lists what is mounted where)"
        default: nil
        }
    }

    /// Whether there was no room for what was written.
    public var isForWantOfSpace: Bool {
        if case .system(let number) = cause { Errno(rawValue: number).isForWantOfSpace } else { false }
    }

    /// `65` for damage, `66` for a file that does not exist, `71` for too few descriptors, threads or too little memory,
    /// `73` where something cannot be written, `74` otherwise.
    public var exitStatus: ExitStatus {
        switch cause {
        case .damaged, .unsupported: .dataError
        case .missing: .noInput
        case .obstructed, .system(EROFS), .system(EACCES), .system(EPERM): .cantCreate
        case .system where isForWantOfSpace: .cantCreate
        case .system(let number) where Errno(rawValue: number).isForWantOfResources: .osError
        case .system: .ioError
        }
    }
}
