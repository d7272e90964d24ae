internal import Files
internal import Reporting
internal import TOMLKit

extension Settings {
    /// Reads one TOML document and lays it over what earlier ones said.
    ///
    /// A key that is not in the schema is refused: a misspelt `keep` must not silently mean the default.
    /// - Parameters:
    ///   - text: the document.
    ///   - file: its path, for messages.
    /// - Returns: the keys that it sets, by their full names, with the line of each as far as it is known.
    /// - Throws: ``ConfigurationError`` with the file and the line.
    @discardableResult
    public mutating func apply(
        _ text: String,
        file: String
    ) throws(ConfigurationError) -> [(name: String, line: Int?)] {
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw ConfigurationError(file: file, line: error.source.begin.line, reason: error.description)
        } catch {
            throw ConfigurationError(file: file, line: nil, reason: "\(error)")
        }
        var found: [(name: String, line: Int?)] = []
        try apply(table, prefix: "", source: Source(text: text, file: file), &found)
        return found
    }

    private mutating func apply(
        _ table: TOMLTable,
        prefix: String,
        source: Source,
        _ found: inout [(name: String, line: Int?)]
    ) throws(ConfigurationError) {
        for name in table.keys {
            guard let value = table[name] else { continue }
            let full = prefix + name
            if let key = SettingsSchema.keys.first(where: { $0.fullName == full }) {
                guard let checked = SettingsSchema.Value(value, for: key.kind) else {
                    throw source.error(at: full, "'\(full)' must be \(key.kind.expectation)")
                }
                key.store(&self, checked)
                found.append((full, source.line(of: full)))
            } else if let section = value.table, SettingsSchema.keys.contains(where: { $0.section == full }) {
                try apply(section, prefix: full + ".", source: source, &found)
            } else {
                throw source.error(at: full, "there is no key '\(full)'\(Self.suggestion(for: full))")
            }
        }
    }

    /// `; did you mean 'keep'?` when a key of the schema is two edits away at most.
    private static func suggestion(for name: String) -> String {
        let near = SettingsSchema.keys.map { ($0.fullName, editDistance($0.fullName, name)) }.min { $0.1 < $1.1 }
        guard let near, near.1 <= 2 else { return "" }
        return "; did you mean '\(near.0)'?"
    }

    private static func editDistance(_ left: String, _ right: String) -> Int {
        let l = Array(left.utf8)
        let r = Array(right.utf8)
        var row = Array(0...r.count)
        for i in 0..<l.count {
            var diagonal = row[0]
            row[0] = i + 1
            for j in 0..<r.count {
                let cost = min(row[j] + 1, row[j + 1] + 1, diagonal + (l[i] == r[j] ? 0 : 1))
                diagonal = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[r.count]
    }
}

extension SettingsSchema.Value {
    /// The value, when it fits the kind.
    fileprivate init?(_ value: any TOMLValueConvertible, for kind: SettingsSchema.Kind) {
        switch kind {
        case .text:
            guard let text = value.string, !text.isEmpty else { return nil }
            self = .text(text)
        case .path:
            guard let text = value.string, text.hasPrefix("/") else { return nil }
            self = .text(text)
        case .texts, .patterns:
            guard let array = value.array else { return nil }
            var texts = [String]()
            for item in array {
                guard let text = item.string else { return nil }
                if case .patterns = kind, PathPattern(text: text) == nil { return nil }
                texts.append(text)
            }
            self = .texts(texts)
        case .boolean:
            guard let boolean = value.bool else { return nil }
            self = .boolean(boolean)
        case .duration:
            guard let text = value.string, let duration = Duration(operatorText: text) else { return nil }
            self = .duration(duration)
        case .integer(let range):
            guard let integer = value.int, range.contains(integer) else { return nil }
            self = .integer(integer)
        case .choice(let choices):
            guard let text = value.string, choices.contains(text) else { return nil }
            self = .text(text)
        }
    }
}

/// A document's text, to tell the line of a key: TOMLKit keeps positions for syntax errors only.
private struct Source {
    let text: String
    let file: String

    func error(at key: String, _ reason: String) -> ConfigurationError {
        ConfigurationError(file: file, line: line(of: key), reason: reason)
    }

    /// The line of a key, or of the first one of a table.
    func line(of key: String) -> Int? {
        var section = ""
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.filter { $0 != " " && $0 != "\t" && $0 != "\"" && $0 != "'" && $0 != "\r" }
            if words.hasPrefix("[") {
                section = String(words.dropFirst().prefix { $0 != "]" })
                if section == key { return index + 1 }
                section += "."
            } else if let equals = words.firstIndex(of: "=") {
                let name = section + words[..<equals]
                if name == key || name.hasPrefix(key + ".") { return index + 1 }
            }
        }
        return nil
    }
}
