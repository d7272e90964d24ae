internal import Bolt
internal import SystemPackage

/// Reads the revision of a member's own database file, without going through all of it.
enum DatabaseRevision {
    /// The highest revision that the file has seen: of the last change, or of a compaction; `nil` for none.
    ///
    /// The member's log may have a few thousand changes more.
    /// - Throws: ``BoltError`` when the system cannot read, or the file is damaged where it was looked at.
    static func read(_ file: FileDescriptor) throws -> Int64? {
        let length = Int(clamping: try file.stat().size)
        guard case .file(let database) = try BoltFile.open(file, length: length, origin: .copy) else { return nil }
        var stored = [[UInt8]]()
        if let key = try database.lastKey(ofBucket: Array(SnapshotBucket.key.rawValue.utf8)) { stored.append(key) }
        for name in ["scheduledCompactRev", "finishedCompactRev"] {
            let value = try database.value(
                ofKey: Array(name.utf8),
                inBucket: Array(SnapshotBucket.meta.rawValue.utf8)
            )
            if let value { stored.append(value) }
        }
        let revisions = stored.compactMap { bytes in
            bytes.withUnsafeBytes { SnapshotRevision.parse($0)?.revision.main }
        }
        return revisions.max()
    }
}
