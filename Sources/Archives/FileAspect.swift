internal import Files

/// In what two files of the same path can differ.
public enum FileAspect: Hashable, Sendable, CustomStringConvertible {
    case type
    case content
    case size
    case mode
    case owner
    case time
    case linkTarget
    case hardLink
    case device
    /// An extended attribute, an ACL or a label, by its full name.
    case attribute([UInt8])

    /// A word for it; an attribute's name in front of `attribute`.
    public var description: String {
        switch self {
        case .type: "type"
        case .content: "content"
        case .size: "size"
        case .mode: "mode"
        case .owner: "owner"
        case .time: "time"
        case .linkTarget: "link target"
        case .hardLink: "hard link"
        case .device: "device number"
        case .attribute(let name): "attribute \(FileName.text(of: name))"
        }
    }

    /// What differs between two records, as far as they tell: the content counts when both have a digest.
    static func differences(_ one: FileRecord, _ other: FileRecord) -> [FileAspect] {
        guard one.kind == other.kind else { return [.type] }
        var aspects = [FileAspect]()
        if one.size != other.size { aspects.append(.size) }
        if let digest = one.digest, let second = other.digest, digest != second { aspects.append(.content) }
        aspects += metadataDifferences(one, other)
        if one.linkTarget != other.linkTarget { aspects.append(.linkTarget) }
        if one.device != other.device { aspects.append(.device) }
        if one.attributes != other.attributes {
            let all = Set(one.attributes).symmetricDifference(other.attributes)
            aspects += Set(all.map(\.name)).sorted { $0.lexicographicallyPrecedes($1) }.map { .attribute($0) }
        }
        return aspects
    }

    /// What differs in all that a tar archive tells about a hard link too.
    static func metadataDifferences(_ one: FileRecord, _ other: FileRecord) -> [FileAspect] {
        var aspects = [FileAspect]()
        if one.mode != other.mode { aspects.append(.mode) }
        if one.uid != other.uid || one.gid != other.gid { aspects.append(.owner) }
        if one.modified != other.modified { aspects.append(.time) }
        if one.hardLink != other.hardLink { aspects.append(.hardLink) }
        return aspects
    }
}
