import FoundationEssentials

/// A JSON document as a test looks into it, without a type for each shape.
public enum JSON: Decodable, Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([JSON])
    case object([String: JSON])

    /// Reads a document.
    public init(parsing text: String) throws {
        self = try JSONDecoder().decode(JSON.self, from: Data(text.utf8))
    }

    /// Reads what stands at the decoder's place.
    public init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([JSON].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: JSON].self))
        }
    }

    /// The member of an object; `null` when there is none.
    public subscript(name: String) -> JSON {
        if case .object(let members) = self { members[name] ?? .null } else { .null }
    }

    /// The item of a list; `null` when there is none.
    public subscript(index: Int) -> JSON {
        items.indices.contains(index) ? items[index] : .null
    }

    /// The items of a list; none of anything else.
    public var items: [JSON] {
        if case .list(let items) = self { items } else { [] }
    }

    /// The names of an object's members, sorted.
    public var names: [String] {
        if case .object(let members) = self { members.keys.sorted() } else { [] }
    }

    /// Text; `nil` for anything else.
    public var text: String? {
        if case .text(let text) = self { text } else { nil }
    }

    /// A whole number; `nil` for anything else.
    public var integer: Int64? {
        if case .integer(let integer) = self { integer } else { nil }
    }

    /// True or false; `nil` for anything else.
    public var bool: Bool? {
        if case .bool(let bool) = self { bool } else { nil }
    }

    /// The item of a list whose `name` is this; `null` when there is none.
    public func named(_ name: String) -> JSON {
        items.first { $0["name"].text == name } ?? .null
    }
}
