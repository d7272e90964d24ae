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
            record.digest = try contentDigest(record, walk)
            if record.digest == digest { line.digest = digest }
        }
        return FileAspect.differences(line, record)
    }

    private func contentDigest(_ record: FileRecord, _ walk: borrowing TreeWalk) throws -> SHA256Digest {
        let file = try walk.openContent()
        var hasher = SHA256Hasher()
        try withUnsafeTemporaryAllocation(byteCount: 256 << 10, alignment: 64) { buffer in
            while true {
                try cancellation.check()
                let count = read(file.descriptor.rawValue, buffer.baseAddress, buffer.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    throw FilesError.last("read", root.text(of: record.path))
                }
                if count == 0 { return }
                hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
        return hasher.finish()
    }
}
