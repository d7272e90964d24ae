public import Files

/// What the last verification of a recovery point found: the file `verification.json` beside the manifest.
///
/// Not part of the recovery point's promise: it may be missing or stale. It counts only for the manifest whose
/// digest it names.
public struct Verification: Codable, Sendable, Equatable {
    /// The record's name inside a recovery point.
    public static let fileName = "verification.json"

    /// SHA-256 of the manifest that was verified.
    public var manifestSHA256: String
    /// The components that were read back, by name.
    public var components: [String: Result]

    /// What verifying one component found.
    public struct Result: Codable, Sendable, Equatable {
        /// When it was read back, UTC, ISO 8601.
        public var verifiedAt: String
        /// What is wrong with it, in lines for an operator; empty when it is good.
        public var faults: [String]
        /// What could not be proved, as a newer program wrote it; absent when all of it was.
        public var unproved: [String]?

        /// A result.
        public init(verifiedAt: String, faults: [String], unproved: [String] = []) {
            self.verifiedAt = verifiedAt
            self.faults = faults
            self.unproved = unproved.isEmpty ? nil : unproved
        }

        /// Whether all of it was read back and found good.
        public var isGood: Bool { faults.isEmpty && unproved == nil }

        /// When it was read back; `nil` when the text is not a time.
        public var time: FileTime? { FileTime(iso8601: verifiedAt) }

        enum CodingKeys: String, CodingKey {
            case verifiedAt = "verified_at"
            case faults, unproved
        }
    }

    /// A record.
    public init(manifestSHA256: String, components: [String: Result]) {
        self.manifestSHA256 = manifestSHA256
        self.components = components
    }

    enum CodingKeys: String, CodingKey {
        case manifestSHA256 = "manifest_sha256"
        case components
    }
}
