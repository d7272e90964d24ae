/// How a call ended, in the server's own words (`grpc-status` and `grpc-message`).
public struct GRPCStatus: Sendable, Hashable {
    /// The number; 0 is good.
    public var code: Int
    /// The server's text, which may be empty: one line, at most 500 characters, without control characters.
    public var message: String

    /// A status as a server gave it; `message` still percent-encoded.
    init(code: Int, encodedMessage: [UInt8]) {
        self.code = code
        self.message = Self.printable(Self.percentDecoded(encodedMessage))
    }

    /// The name of the number, `PERMISSION_DENIED`; `code 99` for a number that gRPC does not have.
    public var name: String {
        Self.names.indices.contains(code) ? Self.names[code] : "code \(code)"
    }

    /// The deadline was over at the server's clock.
    public static let deadlineExceeded = 4
    /// What the call is about does not exist.
    public static let notFound = 5
    /// What was to be made exists.
    public static let alreadyExists = 6
    /// The server does not have the called method.
    public static let unimplemented = 12

    private static let names = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ]

    /// Undoes the percent-encoding of `grpc-message`; what is not a well-formed escape stays as it is.
    static func percentDecoded(_ bytes: [UInt8]) -> [UInt8] {
        var out = [UInt8]()
        out.reserveCapacity(bytes.count)
        var i = 0
        while i < bytes.count {
            if bytes[i] == UInt8(ascii: "%"), i + 2 < bytes.count,
                let high = Character(Unicode.Scalar(bytes[i + 1])).hexDigitValue,
                let low = Character(Unicode.Scalar(bytes[i + 2])).hexDigitValue
            {
                out.append(UInt8(high << 4 | low))
                i += 3
            } else {
                out.append(bytes[i])
                i += 1
            }
        }
        return out
    }

    /// A server's text as it may go to a terminal and into a log line.
    static func printable(_ bytes: some Sequence<UInt8>) -> String {
        let text = String(decoding: Array(bytes), as: UTF8.self)
        let scalars = text.unicodeScalars.prefix(500).map { scalar in
            scalar.properties.generalCategory == .control ? " " : Character(scalar)
        }
        return String(scalars)
    }
}
