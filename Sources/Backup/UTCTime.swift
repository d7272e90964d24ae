package import Files
import FoundationEssentials

extension FileTime {
    /// The moment in UTC as ISO 8601 in whole seconds: `2026-11-21T02:37:05Z`.
    package var iso8601: String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }

    /// Reads what ``iso8601`` gives; `nil` for anything else.
    package init?(iso8601 text: String) {
        guard let date = try? Date(text, strategy: .iso8601) else { return nil }  // ignored: it is no date
        self.init(seconds: Int64(date.timeIntervalSince1970), nanoseconds: 0)
    }
}
