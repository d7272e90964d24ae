internal import Files
internal import FoundationEssentials

extension Manifest {
    /// The manifest as it lies on disk: JSON with sorted keys, two spaces of indentation and a newline at the end.
    public func encoded() throws(StoreError) -> [UInt8] {
        try Document.encode(self)
    }

    /// Reads a manifest and checks everything in it that the rest of the program relies on.
    ///
    /// - Throws: `StoreError.damaged` for what is no manifest or contradicts itself, `.unknownFormat` for one that a
    ///   later program wrote.
    /// - Parameter file: the manifest's path, for messages.
    public static func decode(_ bytes: [UInt8], file: String) throws(StoreError) -> Manifest {
        struct FormatProbe: Decodable {
            var format_version: Int
        }
        let probe: FormatProbe = try Document.decode(bytes, file: file)
        guard probe.format_version == currentFormatVersion else {
            throw .unknownFormat(file: file, version: probe.format_version)
        }
        let manifest: Manifest = try Document.decode(bytes, file: file)
        if let fault = manifest.fault { throw .damaged(file: file, reason: fault) }
        return manifest
    }

    /// The first contradiction in it; `nil` for a sound manifest.
    private var fault: String? {
        guard generation > 0 else { return "its generation is \(generation)" }
        var names = Set<String>()
        for component in components {
            guard names.insert(component.name).inserted else { return "it lists component '\(component.name)' twice" }
            guard component.sourceBytes >= 0, component.sourceFiles >= 0 else {
                return "component '\(component.name)' has a negative size"
            }
            for file in component.files {
                guard StoredFile.isPlainName(file.name), file.name != Manifest.fileName else {
                    return "component '\(component.name)' names a file '\(file.name)', which no component may have"
                }
                guard names.insert("/" + file.name).inserted else { return "it lists the file '\(file.name)' twice" }
                guard file.sizeBytes >= 0, SHA256Digest(hex: file.sha256) != nil else {
                    return "the size or digest of '\(file.name)' is not one"
                }
            }
        }
        return nil
    }
}

extension StoredFile {
    /// Whether a name is one visible file in a directory: letters, digits, `-`, `_` and `.`, not starting with a dot.
    static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255 && !name.hasPrefix(".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}

/// JSON documents of the store.
enum Document {
    /// A longer document is not read: ours are some kilobytes, a hundred times that with long lists of left-out paths.
    static let limitBytes = 64 << 20

    static func encode(_ value: some Encodable) throws(StoreError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
        } catch {
            throw .cannotEncode(reason: "\(error)")
        }
    }

    static func decode<Value: Decodable>(_ bytes: [UInt8], file: String) throws(StoreError) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes))
        } catch {
            throw .damaged(file: file, reason: Self.reason(of: error))
        }
    }

    /// What is wrong with a document, without the dump that Swift prints for a `DecodingError`.
    private static func reason(of error: any Error) -> String {
        func place(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            let path = (context.codingPath + (last.map { [$0] } ?? [])).map { key in
                key.intValue.map { "[\($0)]" } ?? key.stringValue
            }
            return path.joined(separator: ".").replacing(".[", with: "[")
        }
        return switch error {
        case DecodingError.keyNotFound(let key, let context): "it has no '\(place(context, key))'"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "'\(place(context))' is not of the right kind"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            "'\(place(context))' has a value that is not known"
        default: "it is not JSON"
        }
    }
}
