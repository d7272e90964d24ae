public import Files

/// An image as a recovery point keeps it: its names, and the blob that they stand for.
public struct SavedImage: Sendable, Hashable {
    /// The digest of its configuration, by which the runtime knows it: `sha256:…`.
    public var id: String
    /// Each name that the runtime has for it, with the name's labels; sorted.
    public var names: [String: [String: String]]
    /// The blob that the names stand for: a manifest, or an index of manifests.
    public var target: SavedBlob

    /// An image made of its parts.
    public init(id: String, names: [String: [String: String]], target: SavedBlob) {
        self.id = id
        self.names = names
        self.target = target
    }
}

/// A blob of an image, by the digest of its content.
public struct SavedBlob: Sendable, Hashable {
    /// `sha256:` and 64 digits.
    public var digest: String
    /// Its length.
    public var sizeBytes: Int64
    /// What it is, `application/vnd.oci.image.layer.v1.tar+gzip`.
    public var mediaType: String
    /// The digest of the blob that this one stands for; `nil` for a blob as the registry had it.
    ///
    /// A runtime may discard the blobs of unpacked layers. Such a layer is made again from what is unpacked; its
    /// manifest names the blob that was discarded.
    public var rebuiltFor: String?

    /// A blob made of its parts.
    public init(digest: String, sizeBytes: Int64, mediaType: String, rebuiltFor: String? = nil) {
        self.digest = digest
        self.sizeBytes = sizeBytes
        self.mediaType = mediaType
        self.rebuiltFor = rebuiltFor
    }
}

/// What was saved into an OCI layout; without it the layout is readable, but not whole for certain.
public struct SavedImages: Sendable, Hashable {
    /// The images, sorted by id.
    public var images: [SavedImage]
    /// Every blob in the layout, sorted by digest.
    public var blobs: [SavedBlob]
    /// What was wanted and is not in the layout, with the reason.
    public var leftOut: [LeftOut]
    /// Bytes that were written; blobs that the earlier layout has are linked and do not count.
    public var writtenBytes: Int64

    /// An image that was wanted and not saved.
    public struct LeftOut: Sendable, Hashable {
        /// The name by which it was wanted.
        public var image: String
        /// Why it was not saved.
        public var reason: String

        /// An image that was left out.
        public init(image: String, reason: String) {
            self.image = image
            self.reason = reason
        }
    }

    /// A set of images made of its parts.
    public init(images: [SavedImage], blobs: [SavedBlob], leftOut: [LeftOut], writtenBytes: Int64 = 0) {
        self.images = images
        self.blobs = blobs
        self.leftOut = leftOut
        self.writtenBytes = writtenBytes
    }
}

/// What a restore of images did.
public struct RestoredImages: Sendable, Hashable {
    /// Images that the runtime answers for now, by the first name of each.
    public var images: [String]
    /// Blobs that were written into the runtime's store, and their bytes; those that it had do not count.
    public var writtenBlobs: Int
    /// The bytes of ``writtenBlobs``.
    public var writtenBytes: Int64
    /// Layers that were unpacked.
    public var unpackedLayers: Int

    /// A report made of its parts.
    public init(images: [String], writtenBlobs: Int, writtenBytes: Int64, unpackedLayers: Int) {
        self.images = images
        self.writtenBlobs = writtenBlobs
        self.writtenBytes = writtenBytes
        self.unpackedLayers = unpackedLayers
    }
}

/// The contents of the images that a container runtime has: into an OCI layout, and back.
///
/// A layout is a directory with `oci-layout`, `index.json` and `blobs/sha256/DIGEST`, which `ctr` reads;
/// Debian's `skopeo` reads the images in it whose manifests are OCI's own, and not those of Docker's form.
public protocol ImageStore: Sendable {
    /// Copies images into a layout; every blob is proved by its digest on the way.
    ///
    /// Run again after it was interrupted it goes on with what is missing.
    /// - Parameter references: the wanted images, in any form that ``ImageReference`` takes.
    /// - Parameter layout: an empty directory, or one in which an earlier run was interrupted.
    /// - Parameter earlier: a layout on the same file system that was verified; a blob that both have is linked.
    /// - Parameter progress: is told the bytes that were copied, from time to time.
    func save(
        _ references: [String],
        into layout: Directory,
        sharing earlier: Directory?,
        progress: @escaping (Int64) -> Void
    ) throws -> SavedImages

    /// Reads every blob of a layout back and compares it with its digest.
    /// - Returns: what is wrong, each with the file's name; empty when the layout is whole.
    func verify(_ saved: SavedImages, in layout: Directory, progress: @escaping (Int64) -> Void) throws -> [String]

    /// Puts images of a layout into the runtime's store under their names, unpacked and on the disk; what is in the
    /// store already stays. The layout must have been verified.
    ///
    /// Run again after it was interrupted it goes on with what is missing.
    /// - Parameter leaseUntil: until when the runtime keeps half of an image, RFC 3339; should be a day from now.
    func restore(
        _ saved: SavedImages,
        from layout: Directory,
        leaseUntil: String,
        progress: @escaping (Int64) -> Void
    ) throws -> RestoredImages
}
