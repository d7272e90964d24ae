/// Where a file lies inside a tree: bytes, relative to the tree's root, without a leading slash.
///
/// The empty path is the root itself. No component is empty, `.` or `..`. Names are bytes, as the kernel has them:
/// nothing here assumes UTF-8. The order is the one in which a tree is walked: a directory, then everything in it,
/// then its next sibling; siblings by the bytes of their names. So `/` sorts before every other byte: `a/b` < `a.b`.
public struct TreePath: Hashable, Comparable, Sendable {
    /// The path's bytes, components separated by `/`.
    public let bytes: [UInt8]

    /// The most bytes that a path may have to be stored: what one system call of Linux takes (`PATH_MAX` with its NUL).
    public static let longest = 4095

    /// The root of the tree.
    public static let root = TreePath(unchecked: [])

    /// Takes bytes that come from outside (an archive, an index, a command line).
    ///
    /// A leading `./` or `/` and a trailing `/` are dropped, as tar writers disagree about them.
    /// - Returns: `nil` when a component is empty, `.` or `..`, or when there is a NUL byte.
    public init?(validating raw: some Sequence<UInt8>) {
        var bytes = Array(raw)
        guard !bytes.contains(0) else { return nil }
        let slash = UInt8(ascii: "/")
        while bytes.last == slash { bytes.removeLast() }
        var start = 0
        while start < bytes.count {
            if bytes[start] == slash {
                start += 1
            } else if bytes[start] == UInt8(ascii: "."), start + 1 == bytes.count {
                start += 1
            } else if bytes[start] == UInt8(ascii: "."), bytes[start + 1] == slash {
                start += 2
            } else {
                break
            }
        }
        bytes.removeFirst(start)
        for component in bytes.split(separator: slash, omittingEmptySubsequences: false) where !bytes.isEmpty {
            if component.isEmpty || component.elementsEqual(".".utf8) || component.elementsEqual("..".utf8) {
                return nil
            }
        }
        self.bytes = bytes
    }

    /// Bytes that are known to be a valid path, such as a parent's path joined with a name that the kernel gave.
    package init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Whether this is the tree's root.
    public var isRoot: Bool { bytes.isEmpty }

    /// The last component; empty for the root.
    public var name: ArraySlice<UInt8> {
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes[...] }
        return bytes[(slash + 1)...]
    }

    /// The directory that holds this file; `nil` for the root.
    public var parent: TreePath? {
        guard !bytes.isEmpty else { return nil }
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return .root }
        return TreePath(unchecked: Array(bytes[..<slash]))
    }

    /// The components from the root down.
    public var components: [ArraySlice<UInt8>] {
        bytes.split(separator: UInt8(ascii: "/"))
    }

    /// The path of `name` inside this directory.
    /// - Precondition: `name` is one component, as `readdir` gives it.
    public func appending(_ name: some Collection<UInt8>) -> TreePath {
        guard !bytes.isEmpty else { return TreePath(unchecked: Array(name)) }
        var joined = [UInt8]()
        joined.reserveCapacity(bytes.count + 1 + name.count)
        joined += bytes
        joined.append(UInt8(ascii: "/"))
        joined += name
        return TreePath(unchecked: joined)
    }

    /// Whether this is `directory` or lies below it.
    public func isWithin(_ directory: TreePath) -> Bool {
        if directory.bytes.isEmpty { return true }
        guard bytes.count >= directory.bytes.count, bytes.starts(with: directory.bytes) else { return false }
        return bytes.count == directory.bytes.count || bytes[directory.bytes.count] == UInt8(ascii: "/")
    }

    /// The order in which a tree is walked; see the type.
    public static func < (left: TreePath, right: TreePath) -> Bool {
        let slash = UInt8(ascii: "/")
        return left.bytes.withUnsafeBufferPointer { l in
            right.bytes.withUnsafeBufferPointer { r in
                let shared = min(l.count, r.count)
                var i = 0
                while i < shared, l[i] == r[i] { i += 1 }
                if i == shared { return l.count < r.count }
                if l[i] == slash { return true }
                if r[i] == slash { return false }
                return l[i] < r[i]
            }
        }
    }
}

extension TreePath: ExpressibleByStringLiteral {
    /// A path that the program itself holds, such as `"kubernetes/manifests"`.
    /// - Precondition: the text is a valid path; anything else is a fault of this program.
    public init(stringLiteral literal: StaticString) {
        let bytes = literal.withUTF8Buffer { Array($0) }
        guard let path = TreePath(validating: bytes) else { preconditionFailure("not a tree path: \(literal)") }
        self = path
    }
}

extension TreePath: CustomStringConvertible {
    /// For messages: the path as text, `.` for the root; a byte that is not printable UTF-8 as `\ooo` in octal.
    public var description: String {
        bytes.isEmpty ? "." : FileName.text(of: bytes)
    }
}
