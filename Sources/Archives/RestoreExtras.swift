internal import Files

/// Files of a tree that its archive does not have, held back until it is known which of them have to stay: directories
/// with something in them that must not be touched.
///
/// Memory: a file and everything in it at a time, each with its name and eight bytes.
struct RestoreExtras {
    /// One of them.
    struct Extra {
        var path: TreePath
        var kind: FileKind
        /// Whether nobody can remove it.
        var isImmutable: Bool
        /// Whether there is something in it that stays.
        var isHeld: Bool
        /// Whether it goes away by itself, and not with the directory that holds it.
        var isTop: Bool
    }

    private struct Waiting {
        /// How far it is below the first one.
        var depth: Int32
        var nameLength: UInt8
        var kind: UInt8
        var isImmutable: Bool
        var isHeld = false
    }

    /// A file, and then everything in it in walking order.
    private var waiting: [Waiting] = []
    /// Where the first one is.
    private var top: TreePath?
    /// The names of the others, one behind the other.
    private var names: [UInt8] = []

    private static let kinds = FileKind.allCases

    /// Adds a file that the walk has come to.
    mutating func add(_ record: FileRecord, isImmutable: Bool) {
        let kind = UInt8(Self.kinds.firstIndex(of: record.kind) ?? 0)
        guard let top else {
            self.top = record.path
            waiting.append(Waiting(depth: 0, nameLength: 0, kind: kind, isImmutable: isImmutable))
            return
        }
        let slash = UInt8(ascii: "/")
        let depth = record.path.bytes[top.bytes.count...].reduce(0) { $1 == slash ? $0 + 1 : $0 }
        let name = record.path.name
        names += name
        waiting.append(
            Waiting(depth: Int32(depth), nameLength: UInt8(clamping: name.count), kind: kind, isImmutable: isImmutable)
        )
    }

    /// Whether a path is in the file that waits.
    func contains(_ path: TreePath) -> Bool { top.map { path.isWithin($0) } ?? false }

    /// Has the directories above a path stay, at which the walk is.
    mutating func hold(above path: TreePath) {
        guard let top, path.isWithin(top), path != top else { return }
        let slash = UInt8(ascii: "/")
        // The last one of each depth is the directory on the way.
        var wanted = Int32(path.bytes[top.bytes.count...].reduce(0) { $1 == slash ? $0 + 1 : $0 }) - 1
        for index in waiting.indices.reversed() where waiting[index].depth == wanted {
            waiting[index].isHeld = true
            if wanted == 0 { return }
            wanted -= 1
        }
    }

    /// Hands out what waits, when the walk has left it.
    /// - Parameter path: where the walk is; `nil` at its end.
    mutating func leave(for path: TreePath?, _ body: (Extra) throws -> Void) throws {
        guard let top, !(path.map { $0.isWithin(top) } ?? false) else { return }
        let extras = waiting
        let names = names
        waiting = []
        self.names = []
        self.top = nil
        var position = 0
        /// From the first one down.
        var directories: [TreePath] = []
        var removedDepth: Int32?
        for extra in extras {
            let end = position + Int(extra.nameLength)
            directories.removeLast(directories.count - Int(extra.depth))
            let path = directories.last?.appending(names[position..<end]) ?? top
            directories.append(path)
            position = end
            if let depth = removedDepth, extra.depth <= depth { removedDepth = nil }
            let isTop = removedDepth == nil
            if isTop, !extra.isHeld { removedDepth = extra.depth }
            try body(
                Extra(
                    path: path,
                    kind: Self.kinds[Int(extra.kind)],
                    isImmutable: extra.isImmutable,
                    isHeld: extra.isHeld,
                    isTop: isTop
                )
            )
        }
    }
}
