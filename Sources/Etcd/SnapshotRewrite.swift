internal import Bolt
import Glibc

/// Takes the pairs of a restored database, in the order of the file.
protocol SnapshotSink {
    /// The pairs that follow are in the bucket `name`.
    mutating func beginBucket(_ name: [UInt8], sequence: UInt64) throws

    /// A pair; `value` hands out the value in pieces.
    mutating func pair(
        key: UnsafeRawBufferPointer,
        valueCount: Int,
        value: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws
}

/// What a restore changes in a database: the pairs that replace, join or leave those of the snapshot.
///
/// It is applied twice, once to write the new file and once to compare the new file with the snapshot again.
struct SnapshotRewrite {
    /// What happens to one bucket.
    struct Edit {
        /// Pairs that come in, ascending; one with the key of a pair of the snapshot replaces it.
        var insert: [(key: [UInt8], value: [UInt8])] = []
        /// Whether a pair of the snapshot goes.
        var drops: (UnsafeRawBufferPointer) -> Bool = { _ in false }
    }

    /// By bucket; a bucket without an edit stays as it is.
    var edits: [SnapshotBucket: Edit] = [:]

    /// Sends the changed content of the snapshot that `walk` goes through to `sink`.
    ///
    /// Buckets that every etcd has and that are missing are made, empty but for what their edit inserts.
    func run(_ walk: BoltWalk, into sink: inout some SnapshotSink, progress: (Int) -> Void) throws {
        var missing = SnapshotBucket.standard[...]
        var edit = Edit()
        var nextReport = 0
        func insert(where isDue: ([UInt8]) -> Bool, _ edit: inout Edit, _ sink: inout some SnapshotSink) throws {
            while let pair = edit.insert.first, isDue(pair.key) {
                edit.insert.removeFirst()
                try pair.key.withUnsafeBytes { key in
                    try sink.pair(key: key, valueCount: pair.value.count) { write in
                        try pair.value.withUnsafeBytes { try write($0) }
                    }
                }
            }
        }
        func create(before name: [UInt8]?, _ sink: inout some SnapshotSink) throws {
            while let next = missing.first {
                let nextName = Array(next.rawValue.utf8)
                if let name, !nextName.lexicographicallyPrecedes(name) {
                    if nextName == name { missing.removeFirst() }
                    return
                }
                missing.removeFirst()
                try sink.beginBucket(nextName, sequence: 0)
                var edit = edits[next] ?? Edit()
                try insert(where: { _ in true }, &edit, &sink)
            }
        }
        while true {
            switch try walk.next() {
            case .bucket:
                try insert(where: { _ in true }, &edit, &sink)
                let name = walk.bucket ?? []
                try create(before: name, &sink)
                try sink.beginBucket(name, sequence: walk.sequence)
                edit = edits[SnapshotBucket(name: name)] ?? Edit()
            case .pair:
                if !edit.insert.isEmpty {
                    let key = Array(walk.key)
                    try insert(where: { $0.lexicographicallyPrecedes(key) }, &edit, &sink)
                    if edit.insert.first?.key == key {
                        try insert(where: { $0 == key }, &edit, &sink)
                        continue
                    }
                }
                if edit.drops(walk.key) { continue }
                try sink.pair(key: walk.key, valueCount: walk.valueCount) { try walk.forEachPieceOfValue($0) }
            case .end:
                try insert(where: { _ in true }, &edit, &sink)
                try create(before: nil, &sink)
                return
            }
            if walk.usedPages >= nextReport {
                progress(walk.usedPages)
                nextReport = walk.usedPages + 4096
            }
        }
    }
}

extension BoltWriter {
    /// Writes what it is sent.
    struct Sink: SnapshotSink {
        let writer: BoltWriter

        func beginBucket(_ name: [UInt8], sequence: UInt64) throws {
            try writer.beginBucket(name, sequence: sequence)
        }

        func pair(
            key: UnsafeRawBufferPointer,
            valueCount: Int,
            value: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
        ) throws {
            try writer.addPair(key: key, valueCount: valueCount, writeValue: value)
        }
    }
}

/// Compares what it is sent with a file, step by step, holding neither.
struct SnapshotComparison: SnapshotSink {
    /// The first difference.
    struct Difference: Error {
        let text: String
    }

    let written: BoltWalk

    func beginBucket(_ name: [UInt8], sequence: UInt64) throws {
        guard try written.next() == .bucket, written.bucket == name, written.sequence == sequence else {
            throw Difference(text: "the bucket '\(String(decoding: name, as: UTF8.self))' is missing")
        }
    }

    func pair(
        key: UnsafeRawBufferPointer,
        valueCount: Int,
        value: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        guard try written.next() == .pair, isSame(written.key, key), written.valueCount == valueCount else {
            throw difference("a pair is missing or has another length")
        }
        var offset = 0
        try value { piece in
            guard try isSame(written.value(at: offset, count: piece.count), piece) else {
                throw difference("a value differs")
            }
            offset += piece.count
        }
    }

    /// Whether the file ends here, without a fault and without a page that is not used.
    func finish() throws {
        guard try written.next() == .end else { throw difference("there is more than there should be") }
        if let fault = written.faults.lines.first { throw Difference(text: fault) }
        if written.freePages != 0 { throw Difference(text: "\(written.freePages) pages are not used") }
    }

    private func difference(_ text: String) -> Difference {
        let fault = written.faults.lines.first
        return Difference(text: fault ?? "bucket '\(String(decoding: written.bucket ?? [], as: UTF8.self))': \(text)")
    }
}

private func isSame(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard let l = left.baseAddress, let r = right.baseAddress else { return true }
    return memcmp(l, r, left.count) == 0
}
