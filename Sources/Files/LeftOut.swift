/// A file that a walk met, or was sent to, and does not hand out.
public struct LeftOut: Hashable, Sendable {
    /// Why a file is left out.
    public enum Reason: Hashable, Sendable {
        /// Another file system, or another part of this one, is mounted here.
        ///
        /// Its type (`tmpfs`, `nfs4`) and its source are `nil` when the mount table does not tell.
        case mountPoint(type: String?, source: String?)
        /// A socket: it means nothing without the process that made it.
        case socket
        /// A pattern of the caller names it.
        case excluded
        /// The caller names it, whatever its name is: as what.
        case named(String)
        /// No archive can hold it: why.
        case notStorable(String)
        /// The top of a subtree that is not there.
        case missing
        /// It was listed in its directory and then taken away, or another file took its place: a link, a directory or
        /// a device where a file was.
        case vanished
    }

    /// Where it lies, relative to the root.
    public let path: TreePath
    /// Why it is left out.
    public let reason: Reason

    /// A file with the reason.
    public init(path: TreePath, reason: Reason) {
        self.path = path
        self.reason = reason
    }
}

extension LeftOut.Reason: CustomStringConvertible {
    /// For example `mount point (tmpfs)`.
    public var description: String {
        switch self {
        case .mountPoint(let type?, _): "mount point (\(type))"
        case .mountPoint: "mount point"
        case .socket: "socket"
        case .excluded: "excluded"
        case .named(let what): what
        case .notStorable(let reason): "cannot be stored: \(reason)"
        case .missing: "missing"
        case .vanished: "vanished"
        }
    }
}
