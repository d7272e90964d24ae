import CLinux
import Glibc
import SystemPackage

/// Is told of each system call that changes a file system, before it is made.
///
/// Tests cut a run with it, anywhere. Some runs change a tree from two threads at once, and so call this.
package protocol ChangeObserver: AnyObject {
    /// Something is about to be done; what this throws is thrown in the call's place.
    func willChange(_ operation: StaticString) throws(FilesError)
}

/// Makes single files in open directories, and gives files what their records say.
///
/// For one thread at a time.
final class FileMaker {
    /// A name in an open directory.
    struct Place {
        /// Open for its path at least.
        let directory: Int32
        /// The name with a NUL behind it.
        let name: [CChar]
        /// The file that it is, or is to become, for messages.
        let path: TreePath
        /// What that path is relative to.
        let root: FilePath
        /// Whether the directory hands a default ACL on to what is made in it.
        var inheritsACL = false

        /// For messages.
        var text: String { root.appending(path).operatorText }
    }

    /// What was lost so far, the first ones of them; stays empty unless losses are tolerated.
    private(set) var notKept: [TreeWriter.NotKept] = []
    /// How much was lost in all.
    private(set) var lossCount = 0
    /// How many losses are listed: a file system without owners loses that of every file.
    private static let mostListed = 1000
    private let observer: (any ChangeObserver)?
    private let toleratesLosses: Bool

    init(toleratesLosses: Bool = false, observer: (any ChangeObserver)? = nil) {
        self.toleratesLosses = toleratesLosses
        self.observer = observer
    }

    /// Tells the observer.
    func before(_ operation: StaticString) throws(FilesError) {
        if let observer { try observer.willChange(operation) }
    }

    /// Makes a regular file of ``FileRecord/size`` bytes, and what `content` does not write is a hole; nothing is left
    /// of it at failure.
    func makeFile(
        _ record: FileRecord,
        at place: Place,
        content: (borrowing TreeWriter.Content) throws -> Void
    ) throws {
        let text = place.text
        guard record.size >= 0 else {
            throw FilesError(operation: "set the size of", path: text, errno: .invalidArgument)
        }
        try before("create")
        let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
        let descriptor = openFile(at: place.directory, place.name, flags, mode: 0o600)
        guard descriptor >= 0 else { throw FilesError.last("create", text) }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        do {
            try content(TreeWriter.Content(descriptor: file.descriptor, size: record.size, path: text))
            // a hole at its end; to set each file's size beforehand takes longer than to look
            if try FileStat(of: file.descriptor, path: text).size < record.size {
                try before("set the size of")
                guard ftruncate(descriptor, Int(record.size)) == 0 else {
                    throw FilesError.last("set the size of", text)
                }
            }
            try applyToNew(record, descriptor, isWritable: true, place)
            try file.close(path: text)
        } catch {
            // ignored: the first error tells more
            try? remove(place)
            throw error
        }
    }

    /// Makes a symbolic link to ``FileRecord/linkTarget``, whatever that is.
    func makeSymbolicLink(_ record: FileRecord, at place: Place) throws(FilesError) {
        let target = (record.linkTarget ?? []).map { CChar(bitPattern: $0) } + [0]
        try before("link")
        guard symlinkat(target, place.directory, place.name) == 0 else {
            return try lose("link", .last("create the link", place.text), record)
        }
        try applyToNew(record, at: place)
    }

    /// Makes a FIFO or a device.
    func makeNode(_ record: FileRecord, at place: Place) throws(FilesError) {
        let type: UInt32 =
            switch record.kind {
            case .fifo: S_IFIFO
            case .characterDevice: S_IFCHR
            case .blockDevice: S_IFBLK
            case .regular, .directory, .symbolicLink, .socket:
                throw FilesError(operation: "create a node", path: place.text, errno: .invalidArgument)
            }
        let number = record.device.map { makedev($0.major, $0.minor) } ?? 0
        try before("make a node")
        guard mknodat(place.directory, place.name, type | 0o600, number) == 0 else {
            try lose("device", .last("create the \(record.kind.rawValue) node", place.text), record)
            return
        }
        try applyToNew(record, at: place)
    }

    /// Makes an empty directory with mode 0700 that inherits nothing.
    func makeDirectory(at place: Place) throws(FilesError) {
        try before("make a directory")
        guard mkdirat(place.directory, place.name, 0o700) == 0 else {
            throw .last("create the directory", place.text)
        }
        guard place.inheritsACL else { return }
        let directory = try open(place)
        removeInheritedACL(directory.descriptor.rawValue)
    }

    private func remove(_ place: Place) throws(FilesError) {
        try before("remove")
        _ = unlinkat(place.directory, place.name, 0)
    }

    /// Remembers what cannot be set, where that is tolerated, and throws it elsewhere.
    func lose(_ what: String, _ error: FilesError, _ record: FileRecord) throws(FilesError) {
        switch error.errno {
        case .notPermitted, .permissionDenied, .notSupported, .invalidArgument:
            guard toleratesLosses else { throw error }
            lossCount += 1
            guard notKept.count < Self.mostListed else { return }
            notKept.append(TreeWriter.NotKept(path: record.path, what: what, errno: error.errno))
        default: throw error
        }
    }
}

/// `makedev(3)`, a macro: the numbers as the kernel's 64 bits hold them.
private func makedev(_ major: UInt32, _ minor: UInt32) -> UInt {
    let (major, minor) = (UInt(major), UInt(minor))
    return (major & 0xFFF) << 8 | (major & ~0xFFF) << 32 | minor & 0xFF | (minor & ~0xFF) << 12
}
