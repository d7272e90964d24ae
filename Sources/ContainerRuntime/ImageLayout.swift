internal import Files
internal import FoundationEssentials
internal import NodeInterface
internal import SystemPackage

/// An OCI image layout: `oci-layout`, `index.json`, `blobs/sha256/HEX`.
///
/// Source: OCI image-spec `image-layout.md`.
struct ImageLayout {
    let directory: Directory
    let blobs: Directory

    /// Opens a layout, or makes one.
    init(making directory: Directory) throws(FilesError) {
        self.directory = directory
        blobs = try Self.made("sha256", in: Self.made("blobs", in: directory))
    }

    /// Opens a layout.
    init(reading directory: Directory) throws(FilesError) {
        self.directory = directory
        blobs = try directory.directory("blobs").directory("sha256")
    }

    private static func made(_ name: FilePath.Component, in directory: Directory) throws(FilesError) -> Directory {
        do { try directory.makeDirectory(name) } catch {
            guard error.errno == .fileExists else { throw error }
        }
        return try directory.directory(name)
    }

    /// The name of a blob's file; `nil` for a digest that is not SHA-256.
    static func name(of digest: String) -> FilePath.Component? {
        ImageDigest.parse(digest).flatMap { FilePath.Component($0.hex) }
    }

    /// Writes what makes the directory a layout: one entry for each name.
    func writeIndex(_ images: [SavedImage]) throws {
        struct Index: Encodable {
            struct Entry: Encodable {
                var mediaType: String
                var digest: String
                var size: Int64
                var annotations: [String: String]
            }
            var schemaVersion = 2
            var mediaType = "application/vnd.oci.image.index.v1+json"
            var manifests: [Entry]
        }
        let entries = images.flatMap { image in
            image.names.keys.sorted().map { name in
                Index.Entry(
                    mediaType: image.target.mediaType,
                    digest: image.target.digest,
                    size: image.target.sizeBytes,
                    annotations: ["io.containerd.image.name": name, "org.opencontainers.image.ref.name": name]
                )
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        try AtomicFile.write(Array(encoder.encode(Index(manifests: entries))), to: "index.json", in: directory)
        try AtomicFile.write(Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8), to: "oci-layout", in: directory)
    }
}

/// A blob's file, read piece by piece.
final class BlobReader {
    private let file: OwnedDescriptor
    private let path: String
    private var buffer: [UInt8]

    init(_ name: FilePath.Component, in directory: Directory) throws(FilesError) {
        file = try directory.open(name)
        path = directory.path.appending(name).string
        buffer = [UInt8](repeating: 0, count: ContainerdClient.pieceBytes)
    }

    /// The next piece; `nil` at the end.
    func next() throws(FilesError) -> [UInt8]? {
        let count: Int
        do {
            count = try buffer.withUnsafeMutableBytes { try file.descriptor.read(into: $0) }
        } catch {
            throw FilesError(operation: "read", path: path, errno: error as? Errno ?? .ioError)
        }
        return count == 0 ? nil : Array(buffer[..<count])
    }
}
