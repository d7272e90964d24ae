/// What proves the content of a regular file.
///
/// Which form a file has is decided when it is recorded, see ``Form``, and stands in its index line; whoever compares
/// computes the form that the line has. Neither depends on how the holes of the file lie, only on its bytes.
public enum ContentDigest: Hashable, Sendable {
    /// SHA-256 of all bytes, holes read as zeros: what `sha256sum` prints.
    case whole(SHA256Digest)
    /// SHA-256 of the blocks of ``blockSize`` bytes that hold anything but zeros, each with its number in front of it
    /// (8 bytes, little-endian), the last block as long as it is, then of the file's size (8 bytes, little-endian).
    ///
    /// So a hole costs nothing, however long it is. `dataBytes` is how many bytes those blocks are.
    case sparse(SHA256Digest, dataBytes: Int64)

    /// Bytes in a block of the sparse form.
    public static let blockSize = 4096

    /// Which of the two.
    public enum Form: Sendable, Hashable {
        case whole
        case sparse

        /// The form for a file of `size` bytes of which `dataBytes` lie outside of holes: sparse, when to hash the
        /// zeros would take longer than to hash the data, and not only some microseconds.
        public init(size: Int64, dataBytes: Int64) {
            let holes = size - min(max(dataBytes, 0), size)
            self = holes > 1 << 20 && holes > dataBytes ? .sparse : .whole
        }
    }

    /// Which form this is.
    public var form: Form {
        switch self {
        case .whole: .whole
        case .sparse: .sparse
        }
    }
}

extension FileRecord {
    /// Bytes of content that a copy of the file takes room for: without its holes where these are known to be long.
    public var dataBytes: Int64 {
        if case .sparse(_, let bytes) = digest { min(bytes, size) } else { size }
    }
}
