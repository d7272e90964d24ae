import Files
import TestSupport
import Testing

@testable import Archives

@Suite("A content batch") struct ContentBatchTests {
    @Test("gives everything back in order, each content with its digest", arguments: 0..<4)
    func order(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var batch = ContentBatch<Int>()
        var expected: [ContentDigest?] = []
        var delivered: [ContentDigest?] = []
        func deliver(_ number: Int, _ content: UnsafeRawBufferPointer?, _ digest: ContentDigest?) {
            #expect(number == delivered.count)
            delivered.append(digest)
        }
        let largest = seed == 0 ? 100 : ContentBatch<Int>.largestContent
        for number in 0..<(seed == 0 ? 10_000 : 60) {
            if Int.random(in: 0..<3, using: &random) == 0 {
                try batch.add(number, deliver)
                expected.append(nil)
                continue
            }
            let bytes = random.bytes(Int.random(in: 0...largest, using: &random))
            // One who asks for room and then has nothing for it changes nothing.
            _ = try batch.room(for: bytes.count, deliver)
            let room = try batch.room(for: bytes.count + 1, deliver)
            bytes.withUnsafeBytes { room.copyMemory(from: $0) }
            batch.add(number, contentOf: bytes.count)
            expected.append(.whole(SHA256Hasher.digest(of: bytes)))
        }
        #expect(delivered.count < expected.count || expected.last == .some(nil))
        try batch.flush(deliver)
        #expect(delivered == expected)
        try batch.flush(deliver)
        #expect(delivered.count == expected.count)
    }

    @Test("hands on at once what comes with nothing waiting, and forgets what could not be handed on")
    func edges() throws {
        struct Refused: Error {}
        var batch = ContentBatch<Int>()
        var delivered = 0
        try batch.add(1) { _, _, digest in
            #expect(digest == nil)
            delivered += 1
        }
        #expect(delivered == 1)
        _ = try batch.room(for: 0) { _, _, _ in }
        batch.add(2, contentOf: 0)
        #expect(throws: Refused.self) { try batch.flush { _, _, _ in throw Refused() } }
        try batch.flush { _, _, _ in Issue.record("there is nothing left") }
    }
}
