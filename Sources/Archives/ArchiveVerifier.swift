public import Files
public import Reporting
public import SystemPackage

/// Reads an archive and its index back and compares everything.
public enum ArchiveVerifier {
    /// What was found in a good archive.
    public struct Contents: Sendable, Hashable {
        /// Files of all kinds, hard links too.
        public var files = 0
        /// Bytes of content without holes; a file with several names counts once.
        public var sourceBytes: Int64 = 0
    }

    /// Verifies an archive: the SHA-256 of the archive and of the index, and of each file in it; the metadata of each
    /// file against its index line; that both hold the same files, and that a tree can be made of them: what this calls
    /// good, ``TreeRestorer`` and ``ArchiveExtractor`` take.
    ///
    /// Everything is read once. Decompressing has `jobs` threads of its own; the calling thread hashes, small files together.
    /// - Parameters:
    ///   - archiveDigest: What the manifest says about the archive.
    ///   - indexDigest: What the manifest says about the index.
    ///   - within: What the archive may be about: one that has anything else is refused.
    ///   - progress: Called with the files and the bytes of content so far.
    /// - Throws: ``ArchiveError`` that names the first bad file, `Stopped`.
    public static func verify(
        archive: FilePath,
        archiveDigest: SHA256Digest,
        index: FilePath,
        indexDigest: SHA256Digest,
        within: [TreePath] = [.root],
        jobs: Int = 2,
        cancellation: Cancellation,
        progress: (_ files: Int, _ bytes: Int64) -> Void = { _, _ in }
    ) throws -> Contents {
        let files = try IndexedArchive(archive: archive, index: index, jobs: jobs, cancellation: cancellation)
        var structure = IndexStructure(of: index, within: within)
        var contents = Contents()
        do {
            while let (record, dataBytes) = try files.next() {
                try structure.check(record)
                if record.kind == .regular, record.hardLink == nil {
                    try files.compareContent(of: record)
                    contents.sourceBytes = contents.sourceBytes.addingSaturated(dataBytes)
                }
                contents.files += 1
                progress(contents.files, contents.sourceBytes)
            }
        } catch let error as ArchiveError {
            // An earlier file may be bad too, and the first one is to be named.
            try files.finishComparing()
            throw error
        }
        try files.finishComparing()
        try structure.checkLinks(cancellation)
        guard let totals = files.totals else { preconditionFailure("both were read to their ends") }
        for (path, totals, expected) in [(archive, totals.archive, archiveDigest), (index, totals.index, indexDigest)]
        where totals.fileDigest != expected {
            throw ArchiveError(
                "verify",
                in: path,
                .damaged("its SHA-256 is \(totals.fileDigest), the manifest says \(expected)")
            )
        }
        return contents
    }
}
