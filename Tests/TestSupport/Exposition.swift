/// A file in Prometheus' text format, read more strictly than by Prometheus: every metric has its help and its type,
/// in this order, then its lines and no other metric's; no sample is there twice.
public struct Exposition: Sendable {
    /// Why a text is refused.
    public struct Refusal: Error {
        /// The line, or what is missing.
        public let reason: String
    }

    /// The samples by name with labels, `a{b="c"}`.
    public private(set) var values: [String: Double] = [:]

    /// Reads a text.
    public init(_ text: String) throws {
        guard text.hasSuffix("\n") else { throw Refusal(reason: "the last line has no end") }
        let comment = /# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)/
        let sample =
            /([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_]+="(?:[^"\\\n]|\\[\\"n])*"\})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)/
        var help: String?
        var type: String?
        var seen: Set<String> = []
        for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
            if let found = line.wholeMatch(of: comment) {
                let name = String(found.2)
                if found.1 == "HELP" {
                    guard seen.insert(name).inserted else { throw Refusal(reason: "\(line): a second block") }
                    (help, type) = (name, nil)
                } else {
                    guard help == name, found.3 == "gauge" || found.3 == "counter" else {
                        throw Refusal(reason: "\(line): a type out of place")
                    }
                    type = name
                }
            } else if let found = line.wholeMatch(of: sample), let value = Double(found.3) {
                guard type.map({ $0 == found.1 }) == true else { throw Refusal(reason: "\(line): out of its block") }
                let key = "\(found.1)\(found.2 ?? "")"
                guard values.updateValue(value, forKey: key) == nil else { throw Refusal(reason: "\(line): twice") }
            } else {
                throw Refusal(reason: "\(line)")
            }
        }
    }
}
