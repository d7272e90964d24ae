/// Cuts a gRPC body into its messages: one byte "compressed", four bytes of length (big endian), the message.
///
/// A message that lies whole in one piece is handed out without a copy. The buffer for the others grows with the bytes
/// that have really arrived, never with what a header announces.
struct MessageDeframer {
    /// What is wrong with a body.
    enum Fault: Error, Equatable {
        /// We have told no server that it may compress.
        case compressed
        case tooLarge(bytes: Int)
    }

    /// The largest message that is taken.
    let limit: Int

    private var prefix: [UInt8] = []
    private var message: [UInt8] = []
    private var wanted: Int?

    init(limit: Int) {
        self.limit = limit
    }

    /// Whether the body may end here.
    var isBetweenMessages: Bool { prefix.isEmpty && wanted == nil }

    /// Takes the next piece of the body and hands out every message that it completes.
    mutating func feed(_ piece: UnsafeRawBufferPointer, deliver: (UnsafeRawBufferPointer) throws -> Void) throws {
        var rest = piece[...]
        while true {
            guard let wanted else {
                let header = rest.prefix(5 - prefix.count)
                prefix += header
                rest = rest.dropFirst(header.count)
                guard prefix.count == 5 else { return }
                guard prefix[0] == 0 else { throw Fault.compressed }
                let length = prefix[1...].reduce(0) { $0 << 8 | Int($1) }
                guard length <= limit else { throw Fault.tooLarge(bytes: length) }
                prefix.removeAll(keepingCapacity: true)
                wanted = length
                continue
            }
            let part = rest.prefix(wanted - message.count)
            rest = rest.dropFirst(part.count)
            if message.isEmpty, part.count == wanted {
                self.wanted = nil
                try deliver(UnsafeRawBufferPointer(rebasing: part))
                continue
            }
            message.append(contentsOf: UnsafeRawBufferPointer(rebasing: part))
            guard message.count == wanted else { return }
            self.wanted = nil
            try message.withUnsafeBytes(deliver)
            message.removeAll(keepingCapacity: true)
        }
    }
}
