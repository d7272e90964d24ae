import CLinux
import Glibc
import SystemPackage

/// Is told of each system call that changes a file system, before it is made.
///
/// Tests cut a run with it, anywhere.
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

    /// What was lost so far; stays empty unless losses are tolerated.
    private(set) var notKept: [TreeWriter.NotKept] = []
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
        try before("create")
        let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
        let descriptor = openFile(at: place.directory, place.name, flags, mode: 0o600)
        guard descriptor >= 0 else { throw FilesError.last("create", text) }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        do {
            if record.size != 0 {
                try before("set the size of")
                guard ftruncate(descriptor, Int(record.size)) == 0 else {
                    throw FilesError.last("set the size of", text)
                }
            }
            try content(TreeWriter.Content(descriptor: file.descriptor, size: record.size, path: text))
            try applyToNew(record, descriptor, place)
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
        guard symlinkat(target, place.directory, place.name) == 0 else { throw .last("create the link", place.text) }
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

    // MARK: - Metadata

    /// Gives a new file that is open its metadata.
    func applyToNew(_ record: FileRecord, _ descriptor: Int32, _ place: Place) throws(FilesError) {
        if place.inheritsACL { removeInheritedACL(descriptor) }
        try apply(record, to: descriptor, over: nil, place)
    }

    /// Gives a file that is there already the metadata of the record, and changes nothing that is right.
    /// - Parameter identity: the file that it must be.
    /// - Throws: `ESTALE` when it is another one by now.
    func update(_ record: FileRecord, at place: Place, expecting identity: FileIdentity) throws(FilesError) {
        let file = try open(place)
        let stat = try FileStat(of: file.descriptor, path: place.text)
        guard stat.identity == identity, stat.kind == record.kind else {
            throw FilesError(operation: "set the metadata of", path: place.text, errno: Errno(rawValue: ESTALE))
        }
        let path = procPath(of: place.directory).utf8.map { CChar(bitPattern: $0) } + [0x2F] + place.name
        let attributes = try ExtendedAttribute.all(of: path, path: place.text)
        try apply(record, to: file.descriptor.rawValue, over: (stat, attributes), place)
    }

    /// Sets the metadata of a file that cannot be opened for it: a link, a FIFO, a device.
    private func applyToNew(_ record: FileRecord, at place: Place) throws(FilesError) {
        let file = try open(place)
        try applyToNew(record, file.descriptor.rawValue, place)
    }

    /// For its path only, and a link itself.
    private func open(_ place: Place) throws(FilesError) -> OwnedDescriptor {
        let descriptor = openFile(at: place.directory, place.name, CLinux_O_PATH | O_NOFOLLOW)
        guard descriptor >= 0 else { throw .last("open", place.text) }
        return OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
    }

    /// Owner before mode and attributes, as a change of owner takes setuid and capabilities away; the mode after the
    /// ACL, which sets the group's bits; the time last.
    /// - Parameter present: what the file has; `nil` for a new one.
    private func apply(
        _ record: FileRecord,
        to descriptor: Int32,
        over present: (stat: FileStat, attributes: [ExtendedAttribute])?,
        _ place: Place
    ) throws(FilesError) {
        // through /proc: descriptors that are open for their path only take no other call. The last component leads
        // to the open file itself, and if that is a symbolic link, not further.
        let file = procPath(of: descriptor)
        var mode = record.mode & 0o7777
        let changesOwner = present.map { $0.stat.uid != record.uid || $0.stat.gid != record.gid } ?? true
        if changesOwner {
            try before("set the owner of")
            if fchownat(descriptor, "", record.uid, record.gid, CLinux_AT_EMPTY_PATH) != 0 {
                try lose("owner", .last("set the owner of", place.text), record)
                mode &= 0o1777
            }
        }
        let changesAttributes = try setAttributes(record, file, changesOwner ? nil : present?.attributes, place)
        let removesAttributes = try removeAttributes(beyond: record, file, present?.attributes ?? [], place)
        let changesMode = changesOwner || changesAttributes || removesAttributes || present?.stat.mode != mode
        if record.kind != .symbolicLink, changesMode {
            try before("set the mode of")
            guard chmod(file, mode) == 0 else { throw .last("set the mode of", place.text) }
        }
        try setTime(record.modified, file, place)
    }

    /// Sets the modification time of an open file; the access time is nobody's.
    func setTime(_ time: FileTime, _ descriptor: Int32, _ place: Place) throws(FilesError) {
        try setTime(time, procPath(of: descriptor), place)
    }

    private func setTime(_ time: FileTime, _ file: String, _ place: Place) throws(FilesError) {
        // UTIME_OMIT
        let times = [
            timespec(tv_sec: 0, tv_nsec: 0x3FFF_FFFE),
            timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds)),
        ]
        try before("set the time of")
        guard utimensat(AT_FDCWD, file, times, 0) == 0 else { throw .last("set the time of", place.text) }
    }

    /// - Parameter present: what need not be set again.
    /// - Returns: whether anything was set.
    private func setAttributes(
        _ record: FileRecord,
        _ file: String,
        _ present: [ExtendedAttribute]?,
        _ place: Place
    ) throws(FilesError) -> Bool {
        var isChanged = false
        for attribute in record.attributes {
            if let present, present.contains(attribute) { continue }
            isChanged = true
            try before("set an attribute of")
            let name = attribute.name.map { CChar(bitPattern: $0) } + [0]
            if attribute.name.contains(0) || CLinux_setxattr(file, name, attribute.value, attribute.value.count) != 0 {
                if attribute.name.contains(0) { errno = EINVAL }
                let what = "attribute '\(FileName.text(of: attribute.name))'"
                try lose(what, .last("set the \(what) of", place.text), record)
            }
        }
        return isChanged
    }

    /// - Returns: whether anything was removed.
    private func removeAttributes(
        beyond record: FileRecord,
        _ file: String,
        _ present: [ExtendedAttribute],
        _ place: Place
    ) throws(FilesError) -> Bool {
        var isChanged = false
        for attribute in present where !attribute.isKernelLabel {
            if record.attributes.contains(where: { $0.name == attribute.name }) { continue }
            isChanged = true
            try before("remove an attribute of")
            let name = attribute.name.map { CChar(bitPattern: $0) } + [0]
            // what is gone by itself, as capabilities go with a change of owner, is removed
            guard CLinux_removexattr(file, name) == 0 || errno == ENODATA else {
                throw .last("remove the attribute '\(FileName.text(of: attribute.name))' of", place.text)
            }
        }
        return isChanged
    }

    private func removeInheritedACL(_ descriptor: Int32) {
        let file = procPath(of: descriptor)
        // ignored: it had none
        _ = CLinux_removexattr(file, "system.posix_acl_access")
        _ = CLinux_removexattr(file, "system.posix_acl_default")
    }

    private func lose(_ what: String, _ error: FilesError, _ record: FileRecord) throws(FilesError) {
        switch error.errno {
        case .notPermitted, .permissionDenied, .notSupported, .invalidArgument:
            guard toleratesLosses else { throw error }
            notKept.append(TreeWriter.NotKept(path: record.path, what: what, errno: error.errno))
        default: throw error
        }
    }
}

extension ExtendedAttribute {
    /// Whether it is SELinux's label, which the kernel gives to every file while SELinux is on, and does not let anybody
    /// take away.
    package var isKernelLabel: Bool { name.elementsEqual("security.selinux".utf8) }
}

/// `makedev(3)`, a macro: the numbers as the kernel's 64 bits hold them.
private func makedev(_ major: UInt32, _ minor: UInt32) -> UInt {
    let (major, minor) = (UInt(major), UInt(minor))
    return (major & 0xFFF) << 8 | (major & ~0xFFF) << 32 | minor & 0xFF | (minor & ~0xFF) << 12
}
