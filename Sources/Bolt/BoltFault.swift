internal import Files

/// One thing in a bbolt file that must not be so.
public struct BoltFault: Sendable, Hashable, CustomStringConvertible {
    /// The pages that lead to the fault, from the root page to the page that has it; empty when it concerns the file.
    public let path: [UInt64]
    /// The bucket that has it; `nil` outside every bucket.
    public let bucket: [UInt8]?
    /// What is wrong, for an operator.
    public let message: String

    /// A fault.
    public init(path: [UInt64] = [], bucket: [UInt8]? = nil, message: String) {
        self.path = path
        self.bucket = bucket
        self.message = message
    }

    /// `page 9 (bucket 'key', by way of 4 > 7): …`.
    public var description: String {
        guard let page = path.last else { return message }
        var place = [String]()
        if let bucket { place.append("bucket '\(FileName.text(of: bucket))'") }
        if path.count > 1 {
            place.append("by way of " + path.dropLast().map { String($0) }.joined(separator: " > "))
        }
        return "page \(page)\(place.isEmpty ? "" : " (\(place.joined(separator: ", ")))"): \(message)"
    }
}

/// The faults of one file: the first of them in full, all of them counted.
public struct BoltFaults: Sendable {
    /// How many faults are kept; a file of noise has millions.
    public static let limit = 100

    /// The first faults in the order in which they were met, ``limit`` at most.
    public private(set) var first: [BoltFault] = []
    /// How many there are, those that were not kept among them.
    public private(set) var count = 0

    /// No faults.
    public init() {}

    /// Whether nothing is wrong.
    public var isEmpty: Bool { count == 0 }

    /// Adds a fault; its text is made only when it is kept.
    public mutating func add(_ fault: @autoclosure () -> BoltFault) {
        count += 1
        if first.count < Self.limit { first.append(fault()) }
    }

    /// One line a fault, and a last line that counts the ones that were not kept.
    public var lines: [String] {
        first.map(\.description) + (count > first.count ? ["and \(count - first.count) more faults"] : [])
    }
}
