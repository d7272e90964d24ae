internal import CArchive
public import Files
internal import Glibc
internal import Reporting
internal import SystemPackage

/// A file as a tar archive has it.
public struct TarEntry: Sendable, Hashable {
    /// Everything but the content.
    ///
    /// Of a hard link tar knows only the name and the first name: its kind is then `.regular`, its size 0, and its
    /// attributes are those of the first name.
    public var record: FileRecord
    /// Where a sparse file has data; empty for a file that is stored as a whole.
    public var extents: [DataExtent]
    /// Bytes of content that are stored: all but the holes.
    public var dataBytes: Int64 = 0
}

/// Reads a tar archive from a ``FrameReader``, with libarchive: files in the archive's order, each with its content.
///
/// Nothing is believed: a name that would leave the tree is an error, as is everything that libarchive warns about.
/// Only tar is switched on. Not for use from more than one thread at a time.
public final class TarReader {
    /// The most zeros that may follow the end of an archive: no tar pads to a record of more than 1 MiB.
    private static let longestPadding = 1 << 20

    private let source: Source
    private let handle: ReadHandle
    private let entry: EntryHandle
    private let path: FilePath
    private var current: TreePath?
    private var isAtEnd = false

    /// Prepares to read; nothing is read yet.
    public init(from frames: FrameReader) throws {
        path = frames.path
        source = Source(frames)
        guard let raw = archive_read_new() else { throw ArchiveError("read", in: path, .system(ENOMEM)) }
        handle = ReadHandle(raw)
        guard let rawEntry = archive_entry_new2(raw) else { throw ArchiveError("read", in: path, .system(ENOMEM)) }
        entry = EntryHandle(rawEntry)
        try check(archive_read_support_format_tar(raw), "read")
        try check(
            archive_read_open(
                raw,
                Unmanaged.passUnretained(source).toOpaque(),
                nil,
                { _, context, bytes in
                    guard let context, let bytes else { return -1 }
                    return Unmanaged<Source>.fromOpaque(context).takeUnretainedValue().next(bytes)
                },
                nil
            ),
            "read"
        )
    }

    /// The next file; `nil` after the last one, when the whole archive has been read and found undamaged.
    ///
    /// What was not read of the file before is passed over.
    /// - Throws: ``ArchiveError`` for damage, or for a name or a value that no file of ours can have; `Stopped`.
    public func next() throws -> TarEntry? {
        guard !isAtEnd else { return nil }
        let previous = current
        current = nil
        if previous != nil, archive_read_data_skip(handle.raw) < ARCHIVE_OK {
            try fail("read", entry: previous?.bytes)
        }
        let status = source.readingHeader { archive_read_next_header2(handle.raw, entry.raw) }
        if status == ARCHIVE_EOF {
            isAtEnd = true
            try source.drain(from: archive_filter_bytes(handle.raw, 0), path)
            return nil
        }
        if status != ARCHIVE_OK { try fail("read what follows", entry: previous?.bytes) }
        let result = try entry.read(path)
        current = result.record.path
        return result
    }

    /// Gives the current file's content piece by piece, with where it lies in the file; holes are left out.
    ///
    /// The bytes are valid during the call only.
    /// - Throws: ``ArchiveError``, `Stopped`, and what `body` throws.
    public func readContent(_ body: (_ offset: Int64, _ bytes: UnsafeRawBufferPointer) throws -> Void) throws {
        while true {
            var bytes: UnsafeRawPointer?
            var count = 0
            var offset: la_int64_t = 0
            let status = archive_read_data_block(handle.raw, &bytes, &count, &offset)
            if status == ARCHIVE_EOF { return }
            if status != ARCHIVE_OK { try fail("read", entry: current?.bytes) }
            if count > 0 { try body(Int64(offset), UnsafeRawBufferPointer(start: bytes, count: count)) }
        }
    }

    private func check(_ status: Int32, _ operation: String) throws {
        if status != ARCHIVE_OK { try fail(operation, entry: nil) }
    }

    /// Throws what kept libarchive from going on: our own error from below, or its own words.
    private func fail(_ operation: String, entry: [UInt8]?) throws -> Never {
        if let failure = source.failure as? ArchiveError {
            throw ArchiveError(operation, entry: entry, in: path, failure.cause)
        }
        if let failure = source.failure { throw failure }
        let reason = archive_error_string(handle.raw).map { String(cString: $0) } ?? "damaged tar data"
        let cause: ArchiveError.Cause = archive_errno(handle.raw) == ENOMEM ? .system(ENOMEM) : .damaged(reason)
        throw ArchiveError(operation, entry: entry, in: path, cause)
    }

    private final class ReadHandle {
        let raw: OpaquePointer
        init(_ raw: OpaquePointer) { self.raw = raw }
        // ignored: freeing a reader only fails for one that is no reader
        deinit { archive_read_free(raw) }
    }

    /// Feeds libarchive, in slices.
    private final class Source {
        /// The most slices that one header may take: libarchive keeps all of a sparse map in memory.
        private static let mostHeaderSlices = 8
        private static let sliceSize = 1 << 20
        private static let blockSize = 512

        private let frames: FrameReader
        /// What is left of the piece that the last slice is from.
        private var rest = UnsafeRawBufferPointer(start: nil, count: 0)
        private var slice = UnsafeRawBufferPointer(start: nil, count: 0)
        /// The end of the slice before, which libarchive may have copied and not used yet.
        private var tail: [UInt8] = []
        /// Bytes of all slices.
        private var handed: Int64 = 0
        /// How many slices the header may still take; `nil` while it is content that is read.
        private var slicesLeft: Int?
        private(set) var failure: (any Error)?

        init(_ frames: FrameReader) { self.frames = frames }

        /// Bounds what `body`, which reads a header, may read.
        func readingHeader<Result>(_ body: () -> Result) -> Result {
            slicesLeft = Self.mostHeaderSlices
            defer { slicesLeft = nil }
            return body()
        }

        func next(_ bytes: UnsafeMutablePointer<UnsafeRawPointer?>) -> Int {
            do {
                if let left = slicesLeft {
                    guard left > 0 else {
                        throw ArchiveError("read", in: frames.path, .damaged("the header of a file is too large"))
                    }
                    slicesLeft = left - 1
                }
                tail = Array(slice.suffix(Self.blockSize))
                if rest.isEmpty { rest = try frames.next() ?? UnsafeRawBufferPointer(start: nil, count: 0) }
                slice = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.sliceSize))
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(slice.count))
                handed += Int64(slice.count)
                bytes.pointee = slice.baseAddress
                return slice.count
            } catch {
                failure = error
                return -1
            }
        }

        /// Reads what follows the end of the archive: nothing but padding, and not much of it.
        /// - Parameter consumed: what libarchive has used of all that it was handed.
        func drain(from consumed: Int64, _ path: FilePath) throws {
            let unread = Int(clamping: max(0, handed - consumed))
            var padding = 0
            func check(_ piece: some Collection<UInt8>) throws {
                padding += piece.count
                guard padding <= TarReader.longestPadding else {
                    throw ArchiveError("read", in: path, .damaged("there is too much padding after its end"))
                }
                guard piece.allSatisfy({ $0 == 0 }) else {
                    throw ArchiveError("read", in: path, .damaged("there is data after the end of the archive"))
                }
            }
            try check(tail.suffix(max(0, unread - slice.count)))
            try check(slice.suffix(unread))
            try check(rest)
            while let piece = try frames.next() { try check(piece) }
        }
    }
}

/// An entry of libarchive and its translation.
private final class EntryHandle {
    let raw: OpaquePointer

    init(_ raw: OpaquePointer) { self.raw = raw }

    deinit { archive_entry_free(raw) }

    func read(_ archive: FilePath) throws(ArchiveError) -> TarEntry {
        let name = bytes(archive_entry_pathname(raw)) ?? []
        func refuse(_ reason: String) -> ArchiveError {
            ArchiveError("read the header of", entry: name, in: archive, .damaged(reason))
        }
        guard let path = validPath(name) else { throw refuse("this cannot be the name of a file in a tree") }
        let size = archive_entry_size(raw)
        guard size >= 0 else { throw refuse("its size is negative") }
        let nanoseconds = archive_entry_mtime_nsec(raw)
        guard (0..<1_000_000_000).contains(nanoseconds) else { throw refuse("its time is invalid") }
        guard let uid = UInt32(exactly: archive_entry_uid(raw)), let gid = UInt32(exactly: archive_entry_gid(raw))
        else { throw refuse("its owner is invalid") }
        var record = FileRecord(
            path: path,
            kind: .regular,
            mode: UInt32(archive_entry_perm(raw)) & 0o7777,
            uid: uid,
            gid: gid,
            modified: FileTime(seconds: Int64(archive_entry_mtime(raw)), nanoseconds: Int32(nanoseconds))
        )
        if let first = bytes(archive_entry_hardlink(raw)) {
            guard let first = validPath(first), !first.isRoot else {
                throw refuse("it is a hard link to '\(FileName.text(of: first))', which cannot be a name in a tree")
            }
            record.hardLink = first
            return TarEntry(record: record, extents: [])
        }
        switch UInt32(archive_entry_filetype(raw)) {
        case CArchive_AE_IFREG:
            record.size = Int64(size)
        case CArchive_AE_IFDIR:
            record.kind = .directory
        case CArchive_AE_IFLNK:
            record.kind = .symbolicLink
            guard let target = bytes(archive_entry_symlink(raw)), !target.isEmpty, target.count < 4096 else {
                throw refuse("its link target is empty or too long")
            }
            record.linkTarget = target
        case CArchive_AE_IFIFO:
            record.kind = .fifo
        case CArchive_AE_IFCHR:
            record.kind = .characterDevice
            record.device = device
        case CArchive_AE_IFBLK:
            record.kind = .blockDevice
            record.device = device
        default:
            throw refuse("its type is unknown")
        }
        guard !path.isRoot || record.kind == .directory else { throw refuse("the root of the tree is not a directory") }
        try readAttributes(into: &record, refuse)
        var result = TarEntry(record: record, extents: [])
        if record.kind == .regular {
            let extents = try extents(size: size, refuse)
            result.extents = extents ?? []
            result.dataBytes = extents?.totalBytes ?? record.size
        }
        return result
    }

    private var device: DeviceNumber {
        DeviceNumber(
            major: UInt32(truncatingIfNeeded: archive_entry_rdevmajor(raw)),
            minor: UInt32(truncatingIfNeeded: archive_entry_rdevminor(raw))
        )
    }

    private func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8]? {
        text.map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
    }

    /// A path that the kernel takes too: 4095 bytes, 255 a component.
    private func validPath(_ name: [UInt8]) -> TreePath? {
        guard !name.isEmpty, name.count <= TreePath.longest + 1, name.first != UInt8(ascii: "/"),
            let path = TreePath(validating: name), path.components.allSatisfy({ $0.count <= 255 })
        else { return nil }
        return path
    }

    /// Where a sparse file has data; `nil` for one that is stored as a whole.
    private func extents(size: Int64, _ refuse: (String) -> ArchiveError) throws(ArchiveError) -> [DataExtent]? {
        let count = archive_entry_sparse_reset(raw)
        guard count > 0 else { return nil }
        var extents = [DataExtent]()
        var end: Int64 = 0
        var offset: la_int64_t = 0
        var length: la_int64_t = 0
        while archive_entry_sparse_next(raw, &offset, &length) == ARCHIVE_OK {
            guard offset >= end, length >= 0, offset <= size, length <= size - Int64(offset) else {
                throw refuse("its sparse map is invalid")
            }
            end = Int64(offset + length)
            if length > 0 { extents.append(DataExtent(offset: Int64(offset), length: Int64(length))) }
        }
        return extents
    }

    private func readAttributes(
        into record: inout FileRecord,
        _ refuse: (String) -> ArchiveError
    ) throws(ArchiveError) {
        var attributes = [ExtendedAttribute]()
        if archive_entry_xattr_reset(raw) > 0 {
            var name: UnsafePointer<CChar>?
            var value: UnsafeRawPointer?
            var count = 0
            while archive_entry_xattr_next(raw, &name, &value, &count) == ARCHIVE_OK {
                let value = value.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) } ?? []
                attributes.append(ExtendedAttribute(name: AttributeName.decode(bytes(name) ?? []), value: value))
            }
        }
        // GNU tar writes a list in both forms; the kernel's own is the exact one.
        func add(_ name: [UInt8], _ list: AccessControlList) {
            guard !attributes.contains(where: { $0.name == name }) else { return }
            attributes.append(ExtendedAttribute(name: name, value: list.attribute))
        }
        if let list = accessControlList(ARCHIVE_ENTRY_ACL_TYPE_ACCESS) {
            add(AccessControlList.accessName, list)
            // libarchive puts the owning group's permissions into the mode, the kernel those of the mask.
            if let group = list.groupPermissions { record.mode = record.mode & ~0o070 | UInt32(group) << 3 }
        }
        if let list = accessControlList(ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) { add(AccessControlList.defaultName, list) }
        // bsdtar writes each attribute twice, in two spellings.
        record.attributes = []
        for attribute in attributes.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) }) {
            if let last = record.attributes.last, last.name == attribute.name {
                guard last == attribute else { throw refuse("it has two values for one extended attribute") }
            } else {
                record.attributes.append(attribute)
            }
        }
    }

    private func accessControlList(_ type: Int32) -> AccessControlList? {
        guard archive_entry_acl_count(raw, type) > 0, archive_entry_acl_reset(raw, type) > 0 else { return nil }
        var list = AccessControlList(entries: [])
        var entryType: Int32 = 0
        var permissions: Int32 = 0
        var tag: Int32 = 0
        var id: Int32 = 0
        var name: UnsafePointer<CChar>?
        while archive_entry_acl_next(raw, type, &entryType, &permissions, &tag, &id, &name) == ARCHIVE_OK {
            let kernelTag: AccessControlList.Tag
            switch tag {
            case ARCHIVE_ENTRY_ACL_USER_OBJ: kernelTag = .owner
            case ARCHIVE_ENTRY_ACL_USER: kernelTag = .user
            case ARCHIVE_ENTRY_ACL_GROUP_OBJ: kernelTag = .owningGroup
            case ARCHIVE_ENTRY_ACL_GROUP: kernelTag = .group
            case ARCHIVE_ENTRY_ACL_MASK: kernelTag = .mask
            default: kernelTag = .other
            }
            let hasID = kernelTag == .user || kernelTag == .group
            list.entries.append(
                AccessControlList.Entry(
                    tag: kernelTag,
                    permissions: UInt16(permissions & 7),
                    id: hasID ? UInt32(bitPattern: id) : AccessControlList.noID
                )
            )
        }
        return list.sorted()
    }
}
