internal import Files

/// Files of a tree that its archive does not have, held back until it is known which of them have to stay: directories
/// with something in them that must not be touched.
struct RestoreExtras {
    /// One of them.
    struct Extra {
        var record: FileRecord
        /// Whether nobody can remove it.
        var isImmutable: Bool
        /// Whether there is something in it that stays.
        var isHeld = false
        /// Whether it goes away by itself, and not with the directory that holds it.
        var isTop = true
    }

    /// A file and everything in it, in walking order.
    private var waiting: [Extra] = []

    /// Adds a file that the walk has come to.
    mutating func add(_ record: FileRecord, isImmutable: Bool) {
        waiting.append(Extra(record: record, isImmutable: isImmutable))
    }

    /// Has the directories above a path stay.
    mutating func hold(above path: TreePath) {
        for index in waiting.indices where path.isWithin(waiting[index].record.path) { waiting[index].isHeld = true }
    }

    /// Hands out what waits, when the walk has left it.
    /// - Parameter path: where the walk is; `nil` at its end.
    mutating func leave(for path: TreePath?, _ body: (Extra) throws -> Void) throws {
        guard let top = waiting.first, !(path.map { $0.isWithin(top.record.path) } ?? false) else { return }
        let extras = waiting
        waiting = []
        var removed: TreePath?
        for var extra in extras {
            if let removed, extra.record.path.isWithin(removed) {
                extra.isTop = false
            } else if !extra.isHeld {
                removed = extra.record.path
            }
            try body(extra)
        }
    }
}
