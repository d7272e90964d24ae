/// The name of a container image as manifests and runtimes write it: `[REGISTRY/]PATH[:TAG][@DIGEST]`, or an id.
///
/// One place for what is the same under several names. Source: distribution's `reference` package; what containerd's
/// CRI and CRI-O list.
public struct ImageReference: Sendable, Hashable {
    /// The name as it was written.
    public let text: String
    /// With the registry that a short name stands for (`docker.io/library/nginx`); without tag and digest.
    public let repository: String
    /// What follows the name and a colon; `nil` when nothing does.
    public let tag: String?
    /// What follows the `@`, `sha256:…`; `nil` when nothing does.
    public let digest: String?
    /// Whether it is an image's id: a digest alone.
    public let isID: Bool

    /// Takes a name apart; every text is one, in the worst case of an image that no runtime has.
    public init(_ text: String) {
        self.text = text
        isID = text.hasPrefix("sha256:") && !text.contains("/") && !text.contains("@")
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        digest = parts.count == 2 ? String(parts[1]) : nil
        var name = parts.first ?? ""
        let last = name.lastIndex(of: "/").map { name.index(after: $0) } ?? name.startIndex
        if !isID, let colon = name[last...].lastIndex(of: ":") {
            tag = String(name[name.index(after: colon)...])
            name = name[..<colon]
        } else {
            tag = nil
        }
        let first = name.prefix { $0 != "/" }
        let hasRegistry =
            name.contains("/") && (first.contains(".") || first.contains(":") || first == "localhost")
        if isID || hasRegistry {
            repository = String(name)
        } else {
            repository = name.contains("/") ? "docker.io/\(name)" : "docker.io/library/\(name)"
        }
    }

    /// The name by which runtimes know the image: with its registry, and with its digest or else its tag.
    ///
    /// The tag is `latest` where none is written. Where there is a digest the tag says nothing, and runtimes drop it.
    public var canonical: String {
        if isID { return text }
        if let digest { return "\(repository)@\(digest)" }
        return "\(repository):\(tag ?? "latest")"
    }

    /// Every form in which a runtime may list the image: as written, as ``canonical``, and with the digest behind the
    /// name as it was written, in its short form too.
    public var forms: Set<String> {
        var forms: Set<String> = [text, canonical]
        if let digest, !isID {
            var name = text.prefix { $0 != "@" }
            if let tag { name = name.dropLast(tag.count + 1) }
            forms.insert("\(name)@\(digest)")
        }
        return forms
    }
}

extension ContainerImage {
    /// Whether a reference means this image: one of its names, in any form, or its id.
    public func matches(_ reference: ImageReference) -> Bool {
        let forms = reference.forms
        return forms.contains(id) || tags.contains(where: forms.contains) || digests.contains(where: forms.contains)
    }
}
