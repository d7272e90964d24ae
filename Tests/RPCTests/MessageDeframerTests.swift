import Testing

@testable import RPC

@Suite("The message deframer") struct MessageDeframerTests {
    /// Three messages: some bytes, none, one.
    let body: [UInt8] = [0, 0, 0, 0, 4, 1, 2, 3, 4] + [0, 0, 0, 0, 0] + [0, 0, 0, 0, 1, 9]

    private func messages(_ pieces: [ArraySlice<UInt8>], limit: Int = 100) throws -> (got: [[UInt8]], isWhole: Bool) {
        var deframer = MessageDeframer(limit: limit)
        var got: [[UInt8]] = []
        for piece in pieces {
            try piece.withUnsafeBytes { try deframer.feed($0) { got.append(Array($0)) } }
        }
        return (got, deframer.isBetweenMessages)
    }

    @Test("finds the messages wherever the body is cut")
    func cuts() throws {
        for first in 0...body.count {
            for second in first...body.count {
                let result = try messages([body[..<first], body[first..<second], body[second...]])
                #expect(result.got == [[1, 2, 3, 4], [], [9]])
                #expect(result.isWhole)
            }
        }
        #expect(try messages(body.indices.map { body[$0...$0] }).got == [[1, 2, 3, 4], [], [9]])
    }

    @Test("knows when the body ends inside a message")
    func truncated() throws {
        let whole = [0, 9, 14, 20]
        for end in 0...body.count {
            #expect(try messages([body[..<end]]).isWhole == whole.contains(end), "\(end)")
        }
    }

    @Test("refuses what is too large before a byte of it has come, and what is compressed")
    func refusals() {
        #expect(throws: MessageDeframer.Fault.tooLarge(bytes: 4)) { try messages([body[...]], limit: 3) }
        #expect(throws: MessageDeframer.Fault.tooLarge(bytes: 4_294_967_295)) {
            try messages([[0, 255, 255, 255, 255]])
        }
        #expect(throws: MessageDeframer.Fault.compressed) { try messages([[1, 0, 0, 0, 0]]) }
    }
}

@Suite("A gRPC status") struct GRPCStatusTests {
    @Test(
        "decodes its message, and keeps what is no escape",
        arguments: [
            ("a%20b", "a b"), ("%C3%A4%c3%b6", "äö"), ("100%", "100%"), ("%2", "%2"), ("%zz%41", "%zzA"), ("", ""),
            ("a%0Ab%1b[31m", "a b [31m"), ("%ff", "\u{FFFD}"),
        ]
    )
    func decoding(encoded: String, text: String) {
        #expect(GRPCStatus(code: 2, encodedMessage: Array(encoded.utf8)).message == text)
    }

    @Test("has a name for every number")
    func names() {
        #expect(GRPCStatus(code: 16, encodedMessage: []).name == "UNAUTHENTICATED")
        #expect(GRPCStatus(code: 7, encodedMessage: []).name == "PERMISSION_DENIED")
        #expect(GRPCStatus(code: 17, encodedMessage: []).name == "code 17")
        #expect(GRPCStatus(code: -1, encodedMessage: []).name == "code -1")
    }

    @Test("is not given more text than a line holds")
    func length() {
        #expect(GRPCStatus(code: 2, encodedMessage: Array(repeating: 65, count: 100_000)).message.count == 500)
    }
}
