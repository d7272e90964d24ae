internal import Files
internal import Glibc
internal import Reporting
internal import SystemPackage

/// Compares one file of a tree with its index line.
struct FileComparison {
    let root: RootDirectory
    /// Whether to read also files whose ``ChangeHint`` tells that they were not touched.
    var readsEverything = false
    let cancellation: Cancellation

    /// In what the file that the walk has just returned differs from its index line.
    func differences(
        of record: FileRecord,
        from line: FileRecord,
        _ walk: borrowing TreeWalk
    ) throws -> [FileAspect] {
        if !readsEverything, let hint = record.hint, hint == line.hint, record.kind == line.kind,
            record.size == line.size, record.modified == line.modified, record.hardLink == line.hardLink
        {
            return []
        }
        guard record.kind == line.kind else { return [.type] }
        var record = record
        var line = line
        try walk.readDetails(&record)
        if record.hardLink != nil || line.hardLink != nil {
            // The attributes of a file with several names are recorded with the first one, and its content too.
            record.attributes = []
            line.attributes = []
            line.digest = nil
        }
        if let digest = line.digest, record.size == line.size {
            record.digest = try contentDigest(record, digest.form, walk)
        }
        return FileAspect.differences(line, record)
    }

    private func contentDigest(
        _ record: FileRecord,
        _ form: ContentDigest.Form,
        _ walk: borrowing TreeWalk
    ) throws -> ContentDigest {
        let file = try walk.openContent()
        let path = root.text(of: record.path)
        let holes = walk.stat.mayHaveHoles
        let extents = holes ? try DataExtents.find(in: file.descriptor, size: record.size, path: path) : nil
        var hasher = ContentHasher(cancellation: cancellation)
        hasher.start(form)
        try withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            for extent in extents ?? [DataExtent(offset: 0, length: record.size)] {
                var position = extent.offset
                let end = extent.offset + extent.length
                while position < end {
                    try cancellation.check()
                    let wanted = Int(min(end - position, Int64(buffer.count)))
                    let count = pread(file.descriptor.rawValue, buffer.baseAddress, wanted, Int(position))
                    if count < 0 {
                        if errno == EINTR { continue }
                        throw FilesError.last("read", path)
                    }
                    if count == 0 { return }  // it was cut short: its digest is another one
                    try hasher.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: position)
                    position += Int64(count)
                }
            }
        }
        return try hasher.finish(size: record.size)
    }
}
