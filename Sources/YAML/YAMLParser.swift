internal import CYAML

/// Reads the documents of a YAML text one by one.
///
/// Bounded on purpose, as what it reads may have been damaged or made to harm: a text of at most ``sizeLimit`` bytes,
/// collections at most ``depthLimit`` deep, no aliases (one line of them can stand for gigabytes), no merge keys, no
/// tags but `!!str`, keys that are scalars and are there once.
public struct YAMLParser: ~Copyable {
    /// The longest text that is read: 8 MiB.
    public static let sizeLimit = 8 << 20
    /// How deep collections may lie in each other; Kubernetes objects need about 15.
    public static let depthLimit = 100

    private let handle: ParserHandle

    /// Prepares to read `text`; it is copied.
    /// - Parameter name: what the text is called in errors, most often its path.
    public init(_ text: some Collection<UInt8>, name: String) throws(YAMLError) {
        guard text.count <= Self.sizeLimit else {
            throw YAMLError(name: name, position: nil, reason: "it is longer than \(Self.sizeLimit) bytes")
        }
        handle = ParserHandle(text, name: name)
    }

    /// Reads the next document; `nil` when there is no more.
    ///
    /// After an error nothing more is to be read.
    public func nextDocument() throws(YAMLError) -> YAMLNode? {
        while true {
            let event = try handle.next()
            switch event.kind {
            case .streamStart, .documentStart, .documentEnd: continue
            case .streamEnd: return nil
            default: return try node(from: event, depth: 0)
            }
        }
    }

    private func node(from event: Event, depth: Int) throws(YAMLError) -> YAMLNode {
        switch event.kind {
        case .scalar(let text, let isPlain):
            return YAMLNode(content: .scalar(text, isPlain: isPlain), position: event.position)
        case .sequenceStart:
            try checkDepth(depth, of: event)
            var items = [YAMLNode]()
            while true {
                let next = try handle.next()
                if case .sequenceEnd = next.kind { break }
                items.append(try node(from: next, depth: depth + 1))
            }
            return YAMLNode(content: .sequence(items), position: event.position)
        case .mappingStart:
            try checkDepth(depth, of: event)
            var entries = [YAMLNode.Entry]()
            var keys = Set<String>()
            while true {
                let next = try handle.next()
                if case .mappingEnd = next.kind { break }
                guard case .scalar(let key, let isPlain) = next.kind else {
                    throw fault(next, "a key that is not a scalar is not supported")
                }
                if isPlain, key == "<<" { throw fault(next, "the merge key '<<' is not supported") }
                guard keys.insert(key).inserted else { throw fault(next, "the key '\(key)' is there twice") }
                entries.append(YAMLNode.Entry(key: key, value: try node(from: try handle.next(), depth: depth + 1)))
            }
            return YAMLNode(content: .mapping(entries), position: event.position)
        case .alias:
            throw fault(event, "an alias ('*name') is not supported")
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
            throw fault(event, "a value is missing")
        }
    }

    private func checkDepth(_ depth: Int, of event: Event) throws(YAMLError) {
        guard depth < Self.depthLimit else {
            throw fault(event, "collections lie deeper in each other than \(Self.depthLimit)")
        }
    }

    private func fault(_ event: Event, _ reason: String) -> YAMLError {
        YAMLError(name: handle.name, position: event.position, reason: reason)
    }
}

/// One event of libyaml, copied out of its memory.
private struct Event {
    enum Kind {
        case streamStart, streamEnd, documentStart, documentEnd
        case scalar(String, isPlain: Bool)
        case sequenceStart, sequenceEnd, mappingStart, mappingEnd
        case alias
    }

    let kind: Kind
    let position: YAMLNode.Position
}

/// Owns libyaml's parser and the bytes that it reads.
///
/// A class: another module that destroys a `YAMLParser` inline would need the metadata of a private noncopyable struct,
/// which the optimizer of Swift 6.3 leaves out ("undefined reference" at link time).
private final class ParserHandle {
    private let raw: UnsafeMutablePointer<yaml_parser_t>
    private let text: UnsafeMutableBufferPointer<UInt8>
    let name: String

    init(_ text: some Collection<UInt8>, name: String) {
        self.name = name
        self.text = UnsafeMutableBufferPointer.allocate(capacity: text.count)
        _ = self.text.initialize(from: text)
        raw = UnsafeMutablePointer.allocate(capacity: 1)
        guard yaml_parser_initialize(raw) == 1 else { fatalError("libyaml: out of memory") }
        yaml_parser_set_input_string(raw, self.text.baseAddress, self.text.count)
    }

    deinit {
        yaml_parser_delete(raw)
        raw.deallocate()
        text.deallocate()
    }

    func next() throws(YAMLError) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(raw, &event) == 1 else { throw parserError() }
        defer { yaml_event_delete(&event) }
        let position = Self.position(event.start_mark)
        let kind: Event.Kind
        switch event.type {
        case YAML_STREAM_START_EVENT: kind = .streamStart
        case YAML_DOCUMENT_START_EVENT: kind = .documentStart
        case YAML_DOCUMENT_END_EVENT: kind = .documentEnd
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let isText = try isTextTag(scalar.tag, position)
            kind = .scalar(
                String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self),
                isPlain: !isText && scalar.style == YAML_PLAIN_SCALAR_STYLE
            )
        case YAML_SEQUENCE_START_EVENT:
            _ = try isTextTag(event.data.sequence_start.tag, position)
            kind = .sequenceStart
        case YAML_SEQUENCE_END_EVENT: kind = .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            _ = try isTextTag(event.data.mapping_start.tag, position)
            kind = .mappingStart
        case YAML_MAPPING_END_EVENT: kind = .mappingEnd
        case YAML_ALIAS_EVENT: kind = .alias
        // YAML_NO_EVENT is what libyaml gives behind the end of the stream.
        default: kind = .streamEnd
        }
        return Event(kind: kind, position: position)
    }

    /// Whether a tag says that the value is text; any other tag is refused, as it would change what the value means.
    private func isTextTag(_ tag: UnsafeMutablePointer<yaml_char_t>?, _ place: YAMLNode.Position) throws(YAMLError)
        -> Bool
    {
        guard let tag else { return false }
        let text = String(cString: tag)
        if text == "!" || text == "tag:yaml.org,2002:str" { return true }
        throw YAMLError(name: name, position: place, reason: "the tag '\(text)' is not supported")
    }

    private func parserError() -> YAMLError {
        let problem = raw.pointee.problem.map { String(cString: $0) } ?? "not enough memory"
        let position: YAMLNode.Position
        if raw.pointee.error == YAML_READER_ERROR {
            // libyaml's reader, which decodes UTF-8, only knows the offset.
            let before = text.prefix(raw.pointee.problem_offset)
            let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            position = YAMLNode.Position(
                line: before.count { $0 == UInt8(ascii: "\n") } + 1,
                column: before.count - lineStart + 1
            )
        } else {
            position = Self.position(raw.pointee.problem_mark)
        }
        return YAMLError(name: name, position: position, reason: problem)
    }

    /// libyaml counts lines and columns from 0.
    private static func position(_ mark: yaml_mark_t) -> YAMLNode.Position {
        YAMLNode.Position(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }
}
