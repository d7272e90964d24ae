package import Files
import FoundationEssentials

extension FileTime {
    /// The moment in UTC as ISO 8601 in whole seconds: `2026-11-21T02:37:05Z`.
    package var iso8601: String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }
}
