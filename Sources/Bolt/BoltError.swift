public import Reporting
public import SystemPackage

/// A bbolt file could not be read or written.
///
/// What a damaged file contains is never this error: it is a ``BoltFault``.
public struct BoltError: OperatorError, Equatable {
    /// What went wrong.
    public enum Cause: Sendable, Equatable {
        /// The system refused; the offset counts bytes from the start of the file.
        case system(Errno, offset: Int)
        /// The file ended before the byte that was wanted, though it was longer when it was opened.
        case shrank(offset: Int)
        /// The content at that byte is not that of a bbolt file, where nobody has checked the file before.
        case unreadable(offset: Int)
        /// A pair that a bbolt file cannot hold was to be written.
        case unwritable(String)
    }

    /// The verb that failed, as in "could not read".
    public let operation: String
    /// What went wrong.
    public let cause: Cause

    /// An error of `operation`.
    public init(_ operation: String, _ cause: Cause) {
        self.operation = operation
        self.cause = cause
    }

    /// Names the operation, the place in the file and the reason.
    public var summary: String {
        switch cause {
        case .system(let errno, let offset): "could not \(operation) the bbolt file at byte \(offset): \(errno)"
        case .shrank(let offset):
            "could not \(operation) the bbolt file at byte \(offset): it became shorter while it was read"
        case .unreadable(let offset):
            "could not \(operation) the bbolt file at byte \(offset): its content is invalid"
        case .unwritable(let reason): "could not \(operation) the bbolt file: \(reason)"
        }
    }

    /// For the reasons that an operator can do something about.
    public var hint: String? {
        switch cause {
        case .system(.noSpace, _), .system(.diskQuotaExceeded, _): "find the full file system: df -h; df -i"
        case .system(.ioError, _): "the disk may be failing: dmesg"
        case .system, .shrank, .unreadable, .unwritable: nil
        }
    }

    /// Whether there was no room for what was written.
    public var isForWantOfSpace: Bool {
        if case .system(let errno, _) = cause { errno == .noSpace || errno == .diskQuotaExceeded } else { false }
    }

    /// `73` without space, `65` for invalid content, `74` for the system's other refusals, `70` for a pair that must not have come here.
    public var exitStatus: ExitStatus {
        switch cause {
        case .system(.noSpace, _), .system(.diskQuotaExceeded, _): .cantCreate
        case .system, .shrank: .ioError
        case .unreadable: .dataError
        case .unwritable: .software
        }
    }
}
