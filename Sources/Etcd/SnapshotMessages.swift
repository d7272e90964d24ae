/// The messages that etcd keeps outside the bucket `key`, each read as the server reads it at its start.
///
/// A server panics on most of what is refused here, or silently does without: a lease that it cannot read, a user, an
/// alarm. Source: etcd `lease/leasepb/lease.proto`, `api/authpb/auth.proto`, `api/etcdserverpb/rpc.proto`;
/// `server/lease/lessor.go` `initAndRecover`, `server/auth/store.go`, `server/storage/schema`.
enum SnapshotMessages {
    /// What is wrong with a lease, whose number `key` has; `nil` when it is good.
    static func fault(ofLease value: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer) -> String? {
        guard key.count == 8 else { return "has a number of \(key.count) bytes, not 8" }
        let id = Int64(bigEndian: key.loadUnaligned(as: Int64.self))
        guard let fields = Protobuf.fields(in: value, [1: .number, 2: .number, 3: .number]) else {
            return "cannot be read"
        }
        let stored = number(1, fields)
        if stored != id { return "says that it is lease \(hex(stored))" }
        if id == 0 { return "has the number 0, which no lease has" }
        // 9 000 000 000 seconds is the most that etcd grants.
        let seconds = number(2, fields)
        guard (1...9_000_000_000).contains(seconds) else { return "is granted for \(seconds) seconds" }
        let remaining = number(3, fields)
        guard (0...9_000_000_000).contains(remaining) else { return "has \(remaining) seconds left" }
        return nil
    }

    /// What is wrong with a user of etcd's own, whose name is `key`.
    static func fault(ofUser value: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer) -> String? {
        guard let fields = Protobuf.fields(in: value, [1: .bytes, 2: .bytes, 3: .bytes, 4: .bytes]) else {
            return "cannot be read"
        }
        for case (4, .bytes(let options)) in fields where Protobuf.fields(in: options, [1: .number]) == nil {
            return "has options that cannot be read"
        }
        return faultOfName(fields, key)
    }

    /// What is wrong with a role of etcd's own, whose name is `key`.
    static func fault(ofRole value: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer) -> String? {
        guard let fields = Protobuf.fields(in: value, [1: .bytes, 2: .bytes]) else { return "cannot be read" }
        for case (2, .bytes(let permission)) in fields {
            guard let fields = Protobuf.fields(in: permission, [1: .number, 2: .bytes, 3: .bytes]) else {
                return "has a permission that cannot be read"
            }
            let kind = number(1, fields)
            guard (0...2).contains(kind) else { return "has a permission of the unknown kind \(kind)" }
        }
        return faultOfName(fields, key)
    }

    /// An alarm, which is all in its key; `nil` when it cannot be read.
    static func alarm(_ key: UnsafeRawBufferPointer) -> (memberID: UInt64, kind: Int64)? {
        guard let fields = Protobuf.fields(in: key, [1: .number, 2: .number]) else { return nil }
        return (UInt64(bitPattern: number(1, fields)), number(2, fields))
    }

    /// Hexadecimal, as etcd prints leases and members.
    static func hex(_ number: Int64) -> String { String(UInt64(bitPattern: number), radix: 16) }

    private static func faultOfName(_ fields: [(field: UInt64, value: Protobuf.Value)], _ key: UnsafeRawBufferPointer)
        -> String?
    {
        var name = UnsafeRawBufferPointer(start: nil, count: 0)
        for case (1, .bytes(let bytes)) in fields { name = bytes }
        return name.elementsEqual(key) ? nil : "is stored under another name than its own"
    }

    /// The last value that a field has, as protobuf has it; 0 without one.
    private static func number(_ field: UInt64, _ fields: [(field: UInt64, value: Protobuf.Value)]) -> Int64 {
        for case (field, .number(let number)) in fields.reversed() { return Int64(bitPattern: number) }
        return 0
    }
}
