import TestSupport
import Testing

@testable import Files

@Suite("A batch of SHA-256 digests") struct SHA256BatchTests {
    static let methods = SHA256Batch.Method.allCases.filter(\.isAvailable)

    /// Compares the digests of stretches of random bytes with those of ``SHA256Hasher``.
    private func check(_ ranges: [Range<Int>], of words: [UInt64], by method: SHA256Batch.Method) {
        words.withUnsafeBytes { all in
            let messages = ranges.map { UnsafeRawBufferPointer(rebasing: all[$0]) }
            let expected = messages.map { message in
                var hasher = SHA256Hasher()
                hasher.update(message)
                return hasher.finish()
            }
            #expect(SHA256Batch.digests(of: messages, by: method) == expected)
            if method != .oneByOne { #expect(SHA256Batch.inLanes(messages, method) == expected) }
        }
    }

    @Test("has the digest of every length, whatever the padding", arguments: methods)
    func lengths(method: SHA256Batch.Method) {
        var random = SeededGenerator(seed: 1)
        let words = (0..<100).map { _ in random.next() }
        check((0...300).map { $0..<(2 * $0) }, of: words, by: method)
        for length in 0...300 { check([Range](repeating: 3..<(3 + length), count: 9), of: words, by: method) }
    }

    @Test("fills any number of lanes, with messages of any length at any address", arguments: methods)
    func sets(method: SHA256Batch.Method) {
        var random = SeededGenerator(seed: 2)
        let words = (0..<(1 << 17)).map { _ in random.next() }
        let size = 8 * words.count
        for count in 1...40 {
            let longest = [200, 5000, count % 8 == 0 ? size : 50_000].randomElement(using: &random) ?? 0
            let ranges = (0..<count).map { _ in
                let length = Int.random(in: 0...longest, using: &random)
                let start = Int.random(in: 0...(size - length), using: &random)
                return start..<(start + length)
            }
            check(ranges, of: words, by: method)
        }
    }

    @Test("takes messages one by one that would leave lanes empty, and no others")
    func countAlone() {
        func count(_ lengths: [Int], lanes: Int = 16, cost: Int = 5) -> Int {
            SHA256Batch.countAlone(lengths, lanes: lanes, cost: cost)
        }
        #expect(count([]) == 0)
        #expect(count([5000]) == 1)
        #expect(count([5000, 5000]) == 2)
        #expect(count([Int](repeating: 5000, count: 3)) == 0)
        #expect(count([Int](repeating: 5000, count: 3), cost: 14) == 3)
        #expect(count([Int](repeating: 5000, count: 8), cost: 14) == 0)
        #expect(count([1 << 20] + [Int](repeating: 5000, count: 31)) == 1)
        #expect(count([Int](repeating: 0, count: 40), lanes: 8) == 0)
        #expect(count([Int](repeating: 5000, count: 40), lanes: 1) == 40)
    }

    @Test("of nothing is nothing, and of empty messages is the empty digest")
    func empty() {
        #expect(SHA256Batch.digests(of: []) == [])
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(
            SHA256Batch.digests(of: [nothing, nothing, nothing])
                == [SHA256Digest](repeating: SHA256Hasher.digest(of: []), count: 3)
        )
    }

    @Test("is preferred on a CPU with AVX-512, and on one with AVX2 but without SHA instructions")
    func prefersBatches() throws {
        let flags = try Shell.output("grep -m1 ^flags /proc/cpuinfo || true").split(separator: " ").map(String.init)
        let prefersNarrow = flags.contains("avx2") && !flags.contains("sha_ni")
        #expect(SHA256Batch.prefersBatches == (flags.contains("avx512bw") || prefersNarrow))
        #expect(SHA256Batch.Method.avx2.isAvailable == flags.contains("avx2"))
        #expect(SHA256Batch.Method.avx512.isAvailable == flags.contains("avx512bw"))
    }
}
