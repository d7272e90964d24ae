import Glibc
public import Reporting
public import SystemPackage

/// Something could not be done to a file: what, to which one, and the kernel's reason.
public struct FilesError: OperatorError, Hashable {
    /// What was tried, as it follows "could not": `open`, `set the owner of`.
    public let operation: String
    /// The file, as text for people: complete, with the root in front of it.
    public let path: String
    /// The kernel's reason.
    public let errno: Errno

    /// An error with its reason.
    public init(operation: String, path: String, errno: Errno) {
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    /// The error of the system call that has just failed in this thread.
    public static func last(_ operation: String, _ path: @autoclosure () -> String) -> FilesError {
        let number = Glibc.errno  // first of all: making the text may change it
        return FilesError(operation: operation, path: path(), errno: Errno(rawValue: number))
    }

    /// Whether there was no room: on the file system, within the quota, or for another file.
    public var isForWantOfSpace: Bool { errno.isForWantOfSpace }

    /// For example `could not open '/etc/shadow': Permission denied`.
    public var summary: String { "could not \(operation) '\(path)': \(errno)" }

    /// For the reasons that an operator can do something about.
    public var hint: String? {
        switch errno {
        case .noSpace: "see which file system is full: df -h; df -i"
        case .diskQuotaExceeded: "see the quota: quota -v"
        case .readOnlyFileSystem: "see why it is mounted read-only: findmnt -T '\(path)'; dmesg"
        case .permissionDenied where geteuid() != 0, .notPermitted where geteuid() != 0: "run it as root"
        case .notPermitted: "see whether the file is immutable: lsattr -d '\(path)'"
        case .fileExists: "nothing is overwritten: move '\(path)' away, or choose another place"
        case .ioError: "the disk may be failing: dmesg"
        case .tooManyOpenFiles: "raise the number of open files: ulimit -n"
        default: nil
        }
    }

    /// `noInput` for what does not exist, `noPermission`, `cantCreate` for no space, no writing or what exists already,
    /// `osError` for too few descriptors or too little memory, otherwise `ioError`.
    public var exitStatus: ExitStatus {
        switch errno {
        case .noSpace, .diskQuotaExceeded, .readOnlyFileSystem, .fileExists: .cantCreate
        case .permissionDenied, .notPermitted: .noPermission
        case .noSuchFileOrDirectory: .noInput
        case _ where errno.isForWantOfResources: .osError
        default: .ioError
        }
    }
}

extension Errno {
    /// Whether there was no room: on the file system, within the quota, or for another file.
    public var isForWantOfSpace: Bool { self == .noSpace || self == .diskQuotaExceeded }

    /// Whether the system had no descriptor, task or memory left to give.
    public var isForWantOfResources: Bool {
        switch self {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .resourceTemporarilyUnavailable: true
        default: false
        }
    }
}
