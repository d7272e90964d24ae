/// Figures in Prometheus' text format, as node_exporter's textfile collector reads them.
///
/// One block a metric: `# HELP`, `# TYPE`, then its lines. Source: the exposition format 0.0.4 of Prometheus.
public struct MetricsText: Sendable, Equatable {
    private struct Block: Sendable, Equatable {
        var name: String
        var lines: [String]
    }

    private var blocks: [Block] = []

    /// No figure.
    public init() {}

    /// Adds a gauge with one value.
    /// - Parameter name: letters, digits and underscores, with its unit at its end.
    public mutating func add(_ name: String, _ help: String, _ value: Double) {
        add(name, help, [(label: nil, value: value)])
    }

    /// Adds a gauge with a value for each label.
    public mutating func add(_ name: String, _ help: String, by label: String, _ values: [(String, Double)]) {
        add(name, help, values.map { (label: "\(label)=\"\(Self.escaped($0.0))\"", value: $0.1) })
    }

    private mutating func add(_ name: String, _ help: String, _ values: [(label: String?, value: Double)]) {
        var lines = ["# HELP \(name) \(help)", "# TYPE \(name) gauge"]
        for (label, value) in values {
            lines.append("\(name)\(label.map { "{\($0)}" } ?? "") \(Self.text(of: value))")
        }
        blocks.append(Block(name: name, lines: lines))
    }

    /// Reads what ``text`` gave; lines before the first block, and blocks that are not ours, are left out.
    public init(reading text: String, prefix: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3)
            if words.count >= 3, words[0] == "#", words[1] == "HELP" {
                blocks.append(Block(name: String(words[2]), lines: [String(line)]))
            } else if !blocks.isEmpty {
                blocks[blocks.count - 1].lines.append(String(line))
            }
        }
        blocks.removeAll { !$0.name.hasPrefix(prefix) }
    }

    /// Adds the blocks of another text whose metrics are not here yet.
    public mutating func keep(from other: MetricsText) {
        let names = Set(blocks.map(\.name))
        blocks += other.blocks.filter { !names.contains($0.name) }
    }

    /// The same without the metrics whose names begin with `prefix`.
    public func without(prefix: String) -> MetricsText {
        var rest = self
        rest.blocks.removeAll { $0.name.hasPrefix(prefix) }
        return rest
    }

    /// The file's content, with a newline at its end.
    public var text: String { blocks.flatMap(\.lines).map { "\($0)\n" }.joined() }

    private static func escaped(_ label: String) -> String {
        label.map { character in
            switch character {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            default: String(character)
            }
        }.joined()
    }

    /// Whole numbers without a fraction.
    private static func text(of value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}
