import Archives
import Reporting

/// Prints the differences that `node-backup diff` finds, as they are found.
struct DifferenceLines {
    private struct Line: Encodable {
        var component: String
        var path: String
        var change: String
        var aspects: [String]
    }

    let asJSON: Bool
    private var count = 0

    init(asJSON: Bool) {
        self.asJSON = asJSON
    }

    /// One difference as a line: `M etc/hosts (content, time)`, or as a JSON object.
    mutating func print(_ component: String, _ difference: TreeDifference) throws {
        count += 1
        let path = "\(difference.path)"
        switch difference.change {
        case .added: try print(component, "+", "added", path, [])
        case .removed: try print(component, "-", "removed", path, [])
        case .changed(let aspects): try print(component, "M", "changed", path, aspects.map(\.description))
        }
    }

    /// Says so when there was nothing.
    func finish(isQuiet: Bool) {
        if count == 0, !asJSON, !isQuiet { Streams.printResult("Nothing has changed.") }
    }

    private func print(_ component: String, _ sign: String, _ change: String, _ path: String, _ aspects: [String])
        throws
    {
        if asJSON {
            let line = Line(component: component, path: path, change: change, aspects: aspects)
            Streams.printResult(try JSONText.line(line))
        } else {
            Streams.printResult("\(sign) /\(path)" + (aspects.isEmpty ? "" : " (\(aspects.joined(separator: ", ")))"))
        }
    }
}
