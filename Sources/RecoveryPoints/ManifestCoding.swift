internal import Files
internal import FoundationEssentials

extension Manifest {
    /// The manifest as it is on disk: JSON with sorted keys, two spaces of indentation and a newline at the end.
    public func encoded() throws(StoreError) -> [UInt8] {
        try Document.encode(self)
    }

    /// The manifest with no list longer than a reader takes; what does not fit is counted.
    ///
    /// Sockets go first: what is left out for another reason tells a restore what to leave alone.
    func bounded() -> Manifest {
        var manifest = self
        for index in manifest.components.indices { manifest.components[index].bound() }
        return manifest
    }

    /// Reads a manifest and checks everything in it that the rest of the program relies on.
    ///
    /// - Throws: `StoreError.damaged` for what is not a manifest or contradicts itself, `.unknownFormat` for one that only
    ///   a newer program can read.
    /// - Parameter file: the manifest's path, for messages.
    public static func decode(_ bytes: [UInt8], file: String) throws(StoreError) -> Manifest {
        struct FormatProbe: Decodable {
            var format_version: Int
            var reader_format_version: Int?
        }
        let probe: FormatProbe = try Document.decode(bytes, file: file)
        let needed = probe.reader_format_version ?? probe.format_version
        guard needed <= readableFormatVersions.upperBound else {
            throw .unknownFormat(file: file, version: probe.format_version)
        }
        guard needed >= readableFormatVersions.lowerBound else {
            throw .damaged(file: file, reason: "its format version is \(needed)")
        }
        let manifest: Manifest = try Document.decode(bytes, file: file)
        if let fault = manifest.fault { throw .damaged(file: file, reason: fault) }
        return manifest
    }

    /// The first contradiction in it; `nil` for a sound manifest.
    private var fault: String? {
        guard RecoveryStore.generations.contains(generation) else { return "its generation is \(generation)" }
        guard durationSeconds >= 0, durationSeconds < 1e9 else { return "its duration is \(durationSeconds) s" }
        var names = Set<String>()
        for component in components {
            guard names.insert(component.name).inserted else { return "it lists component '\(component.name)' twice" }
            guard component.sourceBytes >= 0, component.sourceFiles >= 0 else {
                return "component '\(component.name)' has a negative size"
            }
            guard (component.leftOutMore ?? 0) >= 0, (component.unstableMore ?? 0) >= 0,
                (component.unreadableMore ?? 0) >= 0
            else { return "component '\(component.name)' has a negative count" }
            for file in component.files {
                guard StoredFile.isPlainName(file.name), file.name != Manifest.fileName else {
                    return "component '\(component.name)' names a file '\(file.name)', which no component may have"
                }
                guard names.insert("/" + file.name).inserted else { return "it lists the file '\(file.name)' twice" }
                guard file.sizeBytes >= 0 else { return "'\(file.name)' has an invalid size" }
            }
        }
        if let etcd {
            guard etcd.snapshotBytes >= 0, etcd.totalSizeBytes >= 0, etcd.totalKeys >= 0, etcd.revision >= 0,
                etcd.currentRevision >= 0
            else { return "its etcd snapshot has a negative size or revision" }
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

extension ComponentEntry {
    /// The longest that the paths and reasons of one list may be together.
    ///
    /// JSON can make six bytes of one, and a component has three such lists: eight components are then within
    /// ``Document/limitBytes``.
    private static let listBytes = 256 << 10

    /// Shortens its lists to what a reader takes, and counts the rest.
    fileprivate mutating func bound() {
        leftOutMore = Self.bound(&leftOut, leftOutMore)
        unstableMore = Self.bound(&unstable, unstableMore)
        unreadableMore = Self.bound(&unreadable, unreadableMore)
    }

    private static func bound(_ notes: inout [PathNote], _ more: Int?) -> Int? {
        func size(_ note: PathNote) -> Int { note.path.utf8.count + note.reason.utf8.count + 64 }
        guard notes.reduce(0, { $0 + size($1) }) > listBytes else { return more }
        var room = listBytes
        var kept: Set<Int> = []
        let lessTelling = notes.indices.filter { notes[$0].reason == "socket" }
        let telling = notes.indices.filter { notes[$0].reason != "socket" }
        for index in telling + lessTelling where size(notes[index]) <= room {
            room -= size(notes[index])
            kept.insert(index)
        }
        let count = notes.count - kept.count
        notes = notes.indices.filter(kept.contains).map { notes[$0] }
        return count.saturatedSum(more ?? 0)
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
            "'\(place(context))' has an invalid value"
        default: "it is not JSON"
        }
    }
}
