/// The name of a deployment's folder: the commit's checksum and a serial, `6223….0`.
struct DeploymentName: Hashable, Sendable, CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    let checksum: String
    let serial: Int

    init(checksum: String, serial: Int) {
        self.checksum = checksum
        self.serial = serial
    }

    /// Reads a folder's name; `nil` when it is not one of a deployment.
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 64, parts[0].utf8.allSatisfy(Self.isDigit),
            parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let serial = Int(parts[1])
        else { return nil }
        self.init(checksum: String(parts[0]), serial: serial)
    }

    var description: String { "\(checksum).\(serial)" }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
