/// Rows of text in columns, two spaces apart, for people.
public struct TextTable: Sendable {
    /// How a column is aligned.
    public enum Alignment: Sendable {
        case left
        case right
    }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    /// A table with these column titles.
    public init(_ columns: (String, Alignment)...) {
        self.columns = columns.map { (title: $0.0, alignment: $0.1) }
    }

    /// Adds a row; missing cells are empty, and what could steer a terminal is escaped.
    public mutating func add(_ cells: String...) {
        rows.append(cells.map(\.printable) + Array(repeating: "", count: max(0, columns.count - cells.count)))
    }

    /// The table with a line of titles, without a newline at the end.
    public var text: String { text(width: nil) }

    /// The table on lines of at most `width` characters; `nil` for as wide as it is.
    ///
    /// What is too wide folds: the last column over several lines while there is room for it, else each row becomes a
    /// block of lines, a line a cell. Only a word that is longer than a line is broken.
    public func text(width: Int?) -> String {
        let lines = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        let gaps = 2 * max(0, columns.count - 1)
        guard let width, let last = columns.last, widths.reduce(gaps, +) > width else {
            return lines.map { line($0, widths) }.joined(separator: "\n")
        }
        let room = width - widths.dropLast().reduce(gaps, +)
        guard last.alignment == .left, room >= Self.minimum else { return blocks(width: max(width, Self.minimum)) }
        return lines.flatMap { cells in
            Self.folded(cells[cells.count - 1], width: room).enumerated().map { number, part in
                let cells = cells.dropLast().map { number == 0 ? $0 : "" } + [part]
                return line(cells, widths.dropLast() + [room])
            }
        }.joined(separator: "\n")
    }

    /// Fewer characters than these are no room for a column of text.
    private static let minimum = 16

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        let line = columns.indices.map { column in
            let padding = String(repeating: " ", count: widths[column] - cells[column].count)
            return columns[column].alignment == .left ? cells[column] + padding : padding + cells[column]
        }.joined(separator: "  ")
        return String(line.reversed().drop { $0 == " " }.reversed())
    }

    /// Each row as lines of title and cell, the rows a line apart; empty cells are left out.
    private func blocks(width: Int) -> String {
        let titles = columns.map(\.title.count).max() ?? 0
        let isWide = width - titles - 2 >= Self.minimum
        return rows.map { cells in
            columns.indices.filter { !cells[$0].isEmpty }.flatMap { column in
                let title = columns[column].title
                let head = title + String(repeating: " ", count: isWide ? titles - title.count + 2 : 2)
                return Self.folded(cells[column], width: max(1, width - head.count)).enumerated().map { number, part in
                    (number == 0 ? head : String(repeating: " ", count: head.count)) + part
                }
            }.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    /// A text in lines of at most `width` characters, broken between words where that is possible; one line at least.
    static func folded(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        var line = Substring()
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            if lines.isEmpty && line.isEmpty {
                line = word
            } else if line.count + 1 + word.count <= width {
                line += " " + word
            } else {
                lines.append(String(line))
                line = word
            }
            while line.count > width {
                lines.append(String(line.prefix(width)))
                line = line.dropFirst(width)
            }
        }
        return lines + [String(line)]
    }
}
