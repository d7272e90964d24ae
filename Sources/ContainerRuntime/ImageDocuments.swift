internal import Files
internal import FoundationEssentials

/// A manifest, or an index of manifests.
///
/// Source: OCI image-spec `manifest.md`, `image-index.md`.
struct ImageManifest: Decodable {
    struct Part: Decodable {
        var mediaType: String?
        var digest: String
        var size: Int64

        var descriptor: PBDescriptor {
            var descriptor = PBDescriptor()
            descriptor.mediaType = mediaType ?? ""
            descriptor.digest = digest
            descriptor.size = size
            return descriptor
        }
    }

    var config: Part?
    var layers: [Part]?
    /// Only an index has them.
    var manifests: [Part]?
}

/// What of an image's configuration counts.
///
/// Source: OCI image-spec `config.md`.
struct ImageConfiguration: Decodable {
    struct RootFS: Decodable {
        var diff_ids: [String]
    }

    var rootfs: RootFS
}

/// Digests as images have them, `sha256:…`.
enum ImageDigest {
    /// The largest manifest or configuration that is read; registries take 4 MiB.
    static let documentLimitBytes: Int64 = 8 << 20

    static func text(_ digest: SHA256Digest) -> String { "sha256:\(digest.hex)" }

    /// The digest of a text; `nil` for another kind of digest, and for what is not one.
    static func parse(_ text: String) -> SHA256Digest? {
        text.hasPrefix("sha256:") ? SHA256Digest(hex: text.dropFirst(7)) : nil
    }

    /// The names by which unpacked layers are known, one for each.
    ///
    /// The first is its own diff id, each other one the digest of the one before and its own diff id. Source: OCI image-spec `config.md`, "ChainID".
    static func chain(of diffIDs: [String]) -> [String] {
        var chain: [String] = []
        for diffID in diffIDs {
            guard let parent = chain.last else {
                chain.append(diffID)
                continue
            }
            chain.append(text(SHA256Hasher.digest(of: Array("\(parent) \(diffID)".utf8))))
        }
        return chain
    }
}

/// A digest that is made piece by piece, in a closure that outlives its maker.
final class RunningDigest {
    private var hasher = SHA256Hasher()
    private(set) var count: Int64 = 0

    func update(_ bytes: UnsafeRawBufferPointer) {
        hasher.update(bytes)
        count += Int64(bytes.count)
    }

    func finish() -> SHA256Digest { hasher.finish() }
}
