internal import Bolt

/// The sizes of everything in a snapshot, from which the size of what a restore makes of it follows to the byte.
///
/// The pairs that a restore can change are kept by key, the others only as the shape of their tree.
struct SnapshotSizes: Sendable {
    private struct Part: Sendable {
        var name: [UInt8]
        var bucket: BoltForecast.Bucket
        /// The keys of a small bucket of etcd's own and the lengths of their values.
        var pairs: [(key: [UInt8], valueCount: Int)] = []
        var isSmall: Bool
    }

    private var pageSize = 4096
    private var parts: [Part] = []

    /// Starts again, for a file with pages of `pageSize` bytes.
    init(pageSize: Int) { self.pageSize = pageSize }

    /// The pairs that follow are in this bucket.
    mutating func beginBucket(_ name: [UInt8]) {
        let isSmall: Bool =
            switch SnapshotBucket(name: name) {
            case .meta, .members, .membersRemoved, .alarm: true
            default: false
            }
        parts.append(Part(name: name, bucket: BoltForecast.Bucket(pageSize: pageSize), isSmall: isSmall))
    }

    /// The next pair of the bucket.
    @inline(__always)
    mutating func add(key: UnsafeRawBufferPointer, valueCount: Int) {
        let last = parts.count - 1
        guard last >= 0 else { return }
        if parts[last].isSmall {
            parts[last].pairs.append((Array(key), valueCount))
        } else {
            parts[last].bucket.addPair(keyCount: key.count, valueCount: valueCount)
        }
    }

    /// Bytes of the database that `rewrite` makes of the snapshot.
    func restored(_ rewrite: SnapshotRewrite) -> Int64 {
        var forecast = BoltForecast(pageSize: pageSize)
        var missing = SnapshotBucket.standard[...]
        func create(before name: [UInt8]?) {
            while let next = missing.first {
                let nextName = Array(next.rawValue.utf8)
                if let name, !nextName.lexicographicallyPrecedes(name) {
                    if nextName == name { missing.removeFirst() }
                    return
                }
                missing.removeFirst()
                let none = Part(name: nextName, bucket: BoltForecast.Bucket(pageSize: pageSize), isSmall: true)
                forecast.add(edited(none, rewrite.edits[next]), nameCount: nextName.count)
            }
        }
        for part in parts {
            create(before: part.name)
            forecast.add(edited(part, rewrite.edits[SnapshotBucket(name: part.name)]), nameCount: part.name.count)
        }
        create(before: nil)
        return forecast.sizeBytes
    }

    private func edited(_ part: Part, _ edit: SnapshotRewrite.Edit?) -> BoltForecast.Bucket {
        var bucket = part.bucket
        guard part.isSmall else {
            // What comes into 'key' comes behind everything else.
            for pair in edit?.insert ?? [] {
                bucket.addPair(keyCount: pair.key.count, valueCount: pair.value.count)
            }
            return bucket
        }
        let inserted = (edit?.insert ?? []).map { (key: $0.key, valueCount: $0.value.count) }
        let replaced = Set(inserted.map(\.key))
        let kept = part.pairs.filter { pair in
            !replaced.contains(pair.key) && edit.map { !pair.key.withUnsafeBytes($0.drops) } ?? true
        }
        for pair in (kept + inserted).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            bucket.addPair(keyCount: pair.key.count, valueCount: pair.valueCount)
        }
        return bucket
    }
}
