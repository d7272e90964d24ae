import CLinux
import Glibc
import SystemPackage

extension FileMaker {
    /// Gives a new file that is open its metadata.
    /// - Parameter isWritable: whether it is open for more than its path.
    func applyToNew(
        _ record: FileRecord,
        _ descriptor: Int32,
        isWritable: Bool = false,
        _ place: Place
    ) throws(FilesError) {
        if place.inheritsACL { removeInheritedACL(descriptor) }
        try apply(record, to: descriptor, isWritable: isWritable, over: nil, place)
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
        try apply(record, to: file.descriptor.rawValue, isWritable: false, over: (stat, attributes), place)
    }

    /// Sets the metadata of a file that cannot be opened for it: a link, a FIFO, a device.
    func applyToNew(_ record: FileRecord, at place: Place) throws(FilesError) {
        let file = try open(place)
        try applyToNew(record, file.descriptor.rawValue, place)
    }

    /// For its path only, and a link itself.
    func open(_ place: Place) throws(FilesError) -> OwnedDescriptor {
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
        isWritable: Bool,
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
            if (isWritable ? fchmod(descriptor, mode) : chmod(file, mode)) != 0 {
                try lose("mode", .last("set the mode of", place.text), record)
            }
        }
        do throws(FilesError) {
            try setTime(record.modified, descriptor, isWritable: isWritable, place)
        } catch {
            try lose("time", error, record)
        }
    }

    /// Sets the modification time of an open file; the access time is nobody's.
    func setTime(
        _ time: FileTime,
        _ descriptor: Int32,
        isWritable: Bool = false,
        _ place: Place
    ) throws(FilesError) {
        // UTIME_OMIT
        let times = [
            timespec(tv_sec: 0, tv_nsec: 0x3FFF_FFFE),
            timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds)),
        ]
        try before("set the time of")
        let result = isWritable ? futimens(descriptor, times) : utimensat(AT_FDCWD, procPath(of: descriptor), times, 0)
        guard result == 0 else { throw .last("set the time of", place.text) }
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

    func removeInheritedACL(_ descriptor: Int32) {
        let file = procPath(of: descriptor)
        // ignored: it had none
        _ = CLinux_removexattr(file, "system.posix_acl_access")
        _ = CLinux_removexattr(file, "system.posix_acl_default")
    }
}

extension ExtendedAttribute {
    /// Whether it is SELinux's label, which the kernel gives to every file while SELinux is on, and does not let anybody
    /// take away.
    package var isKernelLabel: Bool { name.elementsEqual("security.selinux".utf8) }
}
