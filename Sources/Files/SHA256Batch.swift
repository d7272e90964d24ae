import CLinux

/// Computes SHA-256 of several messages at once: those of many small files.
///
/// Server CPUs of many years have AVX2 or AVX-512 but no SHA instructions. There, messages side by side in the lanes of
/// the vectors take a third (AVX2) or a seventh (AVX-512) of the time that they take one by one. Where there are SHA
/// instructions too, AVX-512 still takes less than half of their time.
public enum SHA256Batch {
    /// Whether it pays to collect messages; if not, ``digests(of:)`` takes them one by one.
    public static let prefersBatches = Method.fastest != .oneByOne

    /// The digests of messages in memory, in their order.
    ///
    /// Works best with 32 messages and more. Their lengths may differ much: the few long ones that would go on when the
    /// other lanes are empty are taken one by one.
    public static func digests(of messages: [UnsafeRawBufferPointer]) -> [SHA256Digest] {
        digests(of: messages, by: .fastest)
    }

    /// A way to compute; its raw value is the number of messages side by side.
    enum Method: Int, CaseIterable {
        case oneByOne = 1
        case avx2 = 8
        case avx512 = 16

        static let fastest: Method =
            Method.avx512.isAvailable
            ? .avx512 : !hasInstructions && Method.avx2.isAvailable ? .avx2 : .oneByOne

        private static let hasInstructions = CLinux_has_sha_instructions() != 0

        /// How many halves of a block one by one take as long as a block of all lanes.
        ///
        /// Measured: 5 with either kind of lanes without SHA instructions; 14 with AVX-512 beside them.
        static let laneCost = hasInstructions ? 14 : 5

        var isAvailable: Bool { self == .oneByOne || CLinux_has_sha256_lanes(Int32(rawValue)) != 0 }
    }

    static func digests(of messages: [UnsafeRawBufferPointer], by method: Method) -> [SHA256Digest] {
        let longestFirst = messages.indices.sorted { messages[$0].count > messages[$1].count }
        let alone = countAlone(longestFirst.map { messages[$0].count }, lanes: method.rawValue)
        var digests = [SHA256Digest?](repeating: nil, count: messages.count)
        var hasher = SHA256Hasher()
        for i in longestFirst[..<alone] {
            hasher.update(messages[i])
            digests[i] = hasher.finish()
        }
        let together = longestFirst[alone...]
        for (i, digest) in zip(together, inLanes(together.map { messages[$0] }, method)) { digests[i] = digest }
        return digests.map { $0! }
    }

    /// The digests of messages, all of them side by side.
    /// - Precondition: `method` is available, and not `.oneByOne` when there are messages.
    static func inLanes(_ messages: [UnsafeRawBufferPointer], _ method: Method) -> [SHA256Digest] {
        guard !messages.isEmpty else { return [] }
        let bytes = [UInt8](unsafeUninitializedCapacity: 32 * messages.count) { buffer, count in
            CLinux_sha256_lanes(
                Int32(method.rawValue),
                messages.count,
                messages.map(\.baseAddress),
                messages.map(\.count),
                buffer.baseAddress
            )
            count = buffer.count
        }
        return messages.indices.map { SHA256Digest(bytes: bytes[(32 * $0)..<(32 * $0 + 32)])! }
    }

    /// How many of the longest messages are best taken one by one, so that the lanes have equal work.
    /// - Parameter lengths: Longest first.
    /// - Parameter cost: Halves of a block one by one that take as long as a block of all lanes.
    static func countAlone(_ lengths: [Int], lanes: Int, cost laneCost: Int = Method.laneCost) -> Int {
        guard lanes > 1 else { return lengths.count }
        var best = (count: 0, cost: Int.max)
        var alone = 0
        var together = lengths.reduce(0) { $0 + blocks($1) }
        for count in 0...lengths.count {
            let longest = count < lengths.count ? blocks(lengths[count]) : 0
            let cost = alone + max(longest, (together + lanes - 1) / lanes) * laneCost / 2
            if cost < best.cost { best = (count, cost) }
            alone += longest
            together -= longest
        }
        return best.count
    }

    /// The 64-byte blocks that a message of this length is hashed in, the padding included.
    private static func blocks(_ length: Int) -> Int { (length + 8) / 64 + 1 }
}
