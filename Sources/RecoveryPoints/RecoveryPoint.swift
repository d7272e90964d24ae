public import Files
public import SystemPackage

/// A complete recovery point with its manifest.
public struct RecoveryPoint: Sendable {
    /// Its directory.
    public let directory: FilePath
    /// Its ordinal.
    public let generation: Int
    /// What it holds.
    public let manifest: Manifest
    /// SHA-256 of the manifest as it is on disk.
    public let manifestDigest: SHA256Digest

    static let manifestName = FilePath.Component(Manifest.fileName)!  // a literal without a slash
    private static let verificationName = FilePath.Component(Verification.fileName)!  // a literal without a slash

    init(directory: FilePath, generation: Int, manifest: Manifest, manifestBytes: [UInt8]) {
        self.directory = directory
        self.generation = generation
        self.manifest = manifest
        manifestDigest = SHA256Hasher.digest(of: manifestBytes)
    }

    /// Reads the manifest in `directory`.
    init(directory: FilePath, generation: Int) throws(StoreError) {
        let file = directory.appending(Manifest.fileName)
        let bytes: [UInt8]
        do {
            bytes = try RootDirectory(path: directory).readFile(
                FilePath(Manifest.fileName),
                limitBytes: Document.limitBytes
            )
        } catch {
            if error.errno == .noSuchFileOrDirectory {
                throw .damaged(file: file.string, reason: "it is missing")
            }
            throw .system(error)
        }
        let manifest = try Manifest.decode(bytes, file: file.string)
        guard manifest.generation == generation else {
            throw .damaged(
                file: file.string,
                reason: "it is of recovery point \(manifest.generation), not of \(generation)"
            )
        }
        self.init(directory: directory, generation: generation, manifest: manifest, manifestBytes: bytes)
    }

    /// The manifest as text, with keys that this program does not know, and without a newline at the end.
    public func manifestText() throws(StoreError) -> String {
        let bytes = try system { () throws(FilesError) in
            try RootDirectory(path: directory).readFile(FilePath(Manifest.fileName), limitBytes: Document.limitBytes)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// The path of one of its files.
    public func path(of file: StoredFile) -> FilePath {
        directory.appending(file.name)
    }

    /// What the last verification found; `nil` when there is no record, or one of another manifest.
    public func verification() -> Verification? {
        guard let root = try? RootDirectory(path: directory),
            let bytes = try? root.readFile(FilePath(Verification.fileName), limitBytes: Document.limitBytes),
            let record: Verification = try? Document.decode(bytes, file: Verification.fileName),
            record.manifestSHA256 == manifestDigest.hex
        else { return nil }  // ignored: the record is a memo; without it the point counts as not verified
        return record
    }

    /// Whether every component was read back and found good.
    public var isVerified: Bool { verifiedAt != nil }

    /// When the component that was read back longest ago was found good, never before the recovery point was taken; `nil`
    /// unless all were.
    public var verifiedAt: String? {
        guard let record = verification() else { return nil }
        var oldest: String?
        for component in manifest.components {
            guard let result = record.components[component.name], result.isGood else { return nil }
            oldest = min(oldest ?? result.verifiedAt, result.verifiedAt)
        }
        // A shared file that was read back before this recovery point was taken counts from when it was taken on.
        return oldest.map { max($0, manifest.createdAt) }
    }

    /// Whether a component has a recorded fault: then its files are not shared.
    public func hasFault(in component: String) -> Bool {
        verification()?.components[component]?.faults.isEmpty == false
    }

    /// Records what a verification found, over what an earlier one said of the same components.
    public func record(_ results: [String: Verification.Result]) throws(StoreError) {
        var record = verification() ?? Verification(manifestSHA256: manifestDigest.hex, components: [:])
        record.components.merge(results) { $1 }
        let bytes = try Document.encode(record)
        try system { () throws(FilesError) in
            try AtomicFile.write(bytes, to: Self.verificationName, in: Directory(path: directory))
        }
    }
}
