/// Names files of a tree that are left out, with everything in them: `etc/.updated`, `etc/ssh/*.bak`,
/// `var/lib/kubelet/pods/*/volumes`.
///
/// A `*` stands for any number of bytes within one component, a slash never among them; nothing else is special.
public struct PathPattern: Hashable, Sendable {
    /// One component, cut at its stars: a name matches when the pieces follow each other in it, the first at its
    /// start and the last at its end.
    private struct Component: Hashable {
        var pieces: [[UInt8]]
    }

    private let components: [Component]

    /// Exactly this path and what is in it; a `*` in it is a name's own.
    public init(_ path: TreePath) {
        components = path.components.map { Component(pieces: [Array($0)]) }
    }

    /// Reads a pattern that a person wrote, relative to the root; a leading slash is dropped.
    /// - Returns: `nil` for what cannot be a path: a component that is empty, `.` or `..`, or none at all.
    public init?(text: some StringProtocol) {
        guard let path = TreePath(validating: text.utf8), !path.isRoot else { return nil }
        components = path.components.map { component in
            let pieces = component.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
            return Component(pieces: pieces.map(Array.init))
        }
    }

    /// Whether the pattern names `path` or a directory above it.
    public func matches(_ path: TreePath) -> Bool {
        let names = path.components
        guard names.count >= components.count else { return false }
        return components.indices.allSatisfy { matches(names[$0], at: $0) }
    }

    /// How many components the pattern has.
    var depth: Int { components.count }

    /// Whether `name` fits the component number `depth`.
    func matches(_ name: ArraySlice<UInt8>, at depth: Int) -> Bool {
        let pieces = components[depth].pieces
        guard let first = pieces.first, let last = pieces.last, pieces.count > 1 else {
            return pieces.first.map { name.elementsEqual($0) } ?? false
        }
        guard name.count >= first.count + last.count, name.starts(with: first), name.suffix(last.count) == last[...]
        else { return false }
        var rest = name.dropFirst(first.count).dropLast(last.count)
        for piece in pieces.dropFirst().dropLast() {
            guard let found = rest.firstIndex(of: piece) else { return false }
            rest = rest[(found + piece.count)...]
        }
        return true
    }
}

extension PathPattern: ExpressibleByStringLiteral {
    /// A pattern that the program itself holds, as in a row of a plan.
    /// - Precondition: the text is a valid pattern; anything else is a fault of this program.
    public init(stringLiteral text: String) {
        guard let pattern = PathPattern(text: text) else { preconditionFailure("not a path pattern: \(text)") }
        self = pattern
    }
}

extension PathPattern: CustomStringConvertible {
    /// The pattern as it is written.
    public var description: String {
        components.map { $0.pieces.map { FileName.text(of: $0) }.joined(separator: "*") }.joined(separator: "/")
    }
}

extension ArraySlice<UInt8> {
    /// Where `piece` begins for the first time; an empty piece begins everywhere.
    fileprivate func firstIndex(of piece: [UInt8]) -> Int? {
        guard count >= piece.count else { return nil }
        return (startIndex...(endIndex - piece.count)).first { self[$0...].starts(with: piece) }
    }
}
