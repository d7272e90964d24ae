/// A value of a YAML document, with the place where it was written.
///
/// What Kubernetes writes by hand or by program is read: mappings with scalar keys, sequences, scalars, and JSON,
/// which is YAML. Aliases, merge keys and tags are refused (see ``YAMLParser``), so a tree is never larger than its
/// text.
public struct YAMLNode: Sendable {
    /// A line and a column, both counted from 1.
    public struct Position: Sendable, Hashable, CustomStringConvertible {
        /// The line in the file.
        public let line: Int
        /// The character in the line.
        public let column: Int

        /// As editors and compilers write it: `3:14`.
        public var description: String { "\(line):\(column)" }
    }

    /// The three kinds of value.
    public enum Content: Sendable {
        /// Text; plain text may mean a number, a truth value or nothing, quoted text is always text.
        case scalar(String, isPlain: Bool)
        /// Values in order.
        case sequence([YAMLNode])
        /// Keys with values, in the order of the text; no key is there twice.
        case mapping([Entry])
    }

    /// A key with its value.
    public struct Entry: Sendable {
        /// The key's text.
        public let key: String
        /// What it maps to.
        public let value: YAMLNode
    }

    /// The value.
    public let content: Content
    /// Where it starts.
    public let position: Position

    /// The value of `key` in a mapping; `nil` when it has no such key, and for everything that is not a mapping.
    public subscript(key: String) -> YAMLNode? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.key == key }?.value
    }

    /// The value at `index` of a sequence; `nil` when it is shorter, and for everything that is not a sequence.
    public subscript(index: Int) -> YAMLNode? {
        guard case .sequence(let items) = content, items.indices.contains(index) else { return nil }
        return items[index]
    }

    /// The values of a sequence; empty for everything else.
    public var items: [YAMLNode] {
        if case .sequence(let items) = content { items } else { [] }
    }

    /// Keys and values of a mapping in the order of the text; empty for everything else.
    public var entries: [Entry] {
        if case .mapping(let entries) = content { entries } else { [] }
    }

    /// The text of a scalar, quoted or not; `nil` for collections and for nothing (see ``isNull``).
    public var string: String? {
        if case .scalar(let text, _) = content, !isNull { text } else { nil }
    }

    /// A plain scalar that is a whole decimal number; `nil` for everything else.
    public var integer: Int64? {
        if case .scalar(let text, isPlain: true) = content { Int64(text) } else { nil }
    }

    /// A plain scalar that is `true` or `false`; `nil` for everything else.
    public var bool: Bool? {
        guard case .scalar(let text, isPlain: true) = content else { return nil }
        switch text {
        case "true", "True", "TRUE": return true
        case "false", "False", "FALSE": return false
        default: return nil
        }
    }

    /// Whether it stands for nothing: `null`, `~` or no text at all, without quotes.
    public var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }
}

extension YAMLNode {
    /// Reads a text that holds one document.
    ///
    /// Empty documents behind it (a trailing `---`) do no harm; a text of nothing is a null.
    /// - Parameter name: what the text is called in errors, most often its path.
    public init(reading text: some Collection<UInt8>, name: String) throws(YAMLError) {
        let parser = try YAMLParser(text, name: name)
        guard let first = try parser.nextDocument() else {
            self.init(content: .scalar("", isPlain: true), position: Position(line: 1, column: 1))
            return
        }
        while let other = try parser.nextDocument() {
            guard other.isNull else {
                throw YAMLError(
                    name: name,
                    position: other.position,
                    reason: "a second document, where one is expected"
                )
            }
        }
        self = first
    }
}
