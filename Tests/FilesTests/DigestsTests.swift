import Files
import Testing

@Suite("Digests") struct DigestsTests {
    @Test(
        "SHA-256 is the standard's",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ]
    )
    func sha256(text: String, hex: String) throws {
        let digest = SHA256Hasher.digest(of: text.utf8)
        #expect(digest.hex == hex)
        #expect(SHA256Digest(hex: hex.uppercased()) == digest)
        #expect(SHA256Digest(bytes: digest.bytes) == digest)
    }

    @Test("SHA-256 does not depend on the pieces, and a hasher starts anew after its end")
    func pieces() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var hasher = SHA256Hasher()
        for size in [1, 63, 64, 65, 999] {
            bytes.withUnsafeBytes { all in
                for start in stride(from: 0, to: all.count, by: size) {
                    hasher.update(UnsafeRawBufferPointer(rebasing: all[start..<min(start + size, all.count)]))
                }
            }
            #expect(hasher.finish() == SHA256Hasher.digest(of: bytes))
        }
    }

    @Test(
        "refuses what is not 64 hexadecimal digits",
        arguments: [
            "", "ab", String(repeating: "g", count: 64), String(repeating: "a", count: 63),
            String(repeating: "é", count: 32),
        ]
    )
    func refused(hex: String) {
        #expect(SHA256Digest(hex: hex) == nil)
    }

    @Test("CRC-32C is Castagnoli's, in one piece or in many")
    func crc32c() {
        // RFC 3720, B.4
        let vectors: [([UInt8], UInt32)] = [
            (Array("123456789".utf8), 0xE306_9283), (Array(repeating: 0, count: 32), 0x8A91_36AA),
            (Array(repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E), ([], 0),
        ]
        for (bytes, value) in vectors {
            var whole = CRC32C()
            bytes.withUnsafeBytes { whole.update($0) }
            #expect(whole.value == value)
            var pieces = CRC32C()
            for byte in bytes { withUnsafeBytes(of: byte) { pieces.update($0) } }
            #expect(pieces == whole)
        }
    }
}
