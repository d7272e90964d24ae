/// Reads one `mvccpb.KeyValue` piece by piece, keeping its numbers and of the user's key no more than a hash.
///
/// As strict as etcd's own decoder: a known field of the wrong type is an error, an unknown field is passed over.
/// Source: etcd `api/mvccpb/kv.proto`: 1 key, 2 create_revision, 3 mod_revision, 4 version, 5 value, 6 lease.
struct SnapshotKeyValue {
    private enum State {
        case tag
        case number(field: UInt64)
        case length(isKey: Bool)
        case skip(Int)
        case key(Int)
        case bad
    }

    private var state = State.tag
    private var varint: UInt64 = 0
    private var shift: UInt64 = 0
    private var hasher = Hasher()

    /// Bytes of the user's key.
    private(set) var keyCount = 0
    /// The revision at which the key was made.
    private(set) var createRevision: Int64 = 0
    /// The revision of this change.
    private(set) var modRevision: Int64 = 0
    /// Changes since the key was made, this one included.
    private(set) var version: Int64 = 0

    /// Adds the next bytes of the message.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at < bytes.count {
            switch state {
            case .skip(let left):
                let count = min(left, bytes.count - at)
                at += count
                state = count == left ? .tag : .skip(left - count)
            case .key(let left):
                let count = min(left, bytes.count - at)
                hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: bytes[at..<(at + count)]))
                at += count
                state = count == left ? .tag : .key(left - count)
            case .tag, .number, .length:
                let byte = bytes[at]
                at += 1
                // The tenth byte of a varint has room for one bit.
                guard shift < 63 || byte <= 1 else { return state = .bad }
                varint |= UInt64(byte & 0x7F) << shift
                shift += 7
                if byte < 0x80 {
                    take(varint)
                    varint = 0
                    shift = 0
                }
            case .bad:
                return
            }
        }
    }

    /// A hash of the key, the same for the same key within one run of the program; `nil` when the message is not whole.
    var keyHash: UInt64? {
        guard case .tag = state, shift == 0 else { return nil }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    private mutating func take(_ number: UInt64) {
        switch state {
        case .tag: state = Self.state(afterTag: number)
        case .number(let field):
            switch field {
            case 2: createRevision = Int64(bitPattern: number)
            case 3: modRevision = Int64(bitPattern: number)
            case 4: version = Int64(bitPattern: number)
            default: break
            }
            state = .tag
        case .length(let isKey):
            guard number <= UInt64(Int32.max) else { return state = .bad }
            if isKey {
                hasher = Hasher()
                keyCount = Int(number)
            }
            state = number == 0 ? .tag : isKey ? .key(Int(number)) : .skip(Int(number))
        default: state = .bad
        }
    }

    private static func state(afterTag tag: UInt64) -> State {
        switch (tag >> 3, tag & 7) {
        case (0, _): .bad
        case (1, 2): .length(isKey: true)
        case (5, 2): .length(isKey: false)
        case (2, 0), (3, 0), (4, 0), (6, 0): .number(field: tag >> 3)
        case (1...6, _): .bad
        case (_, 0): .number(field: 0)
        case (_, 1): .skip(8)
        case (_, 2): .length(isKey: false)
        case (_, 5): .skip(4)
        default: .bad
        }
    }
}
