/// What a deployment follows and whether it is pinned: groups in brackets, then lines of `key=value`.
struct OriginFile: Equatable {
    /// The image or refspec that upgrades come from; `nil` when the file does not say.
    let source: String?
    /// Whether ostree's garbage collection leaves it alone.
    let isPinned: Bool

    init(_ text: [UInt8]) {
        var group = ""
        var values = [String: String]()
        for line in String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let line = Self.trimmed(line)
            if line.hasPrefix("["), line.hasSuffix("]") {
                group = String(line.dropFirst().dropLast())
            } else if !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") {
                values["\(group)/\(Self.trimmed(line[..<equals]))"] = String(
                    Self.trimmed(line[line.index(after: equals)...])
                )
            }
        }
        // rpm-ostree writes `baserefspec` when packages are layered, and a reference when it follows an image.
        source =
            values["origin/container-image-reference"] ?? values["origin/refspec"] ?? values["origin/baserefspec"]
        isPinned = ["true", "1"].contains(values["libostree-transient/pinned"])
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        guard let last = text.lastIndex(where: { !isBlank($0) }) else { return "" }
        return text[...last].drop(while: isBlank)
    }
}
