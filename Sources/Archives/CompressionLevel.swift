/// How hard to compress.
public enum CompressionLevel: Sendable, Hashable {
    /// The same level from start to end, 1 (fast) to 19 (small).
    ///
    /// The same input then always gives the same bytes.
    case fixed(Int32)
    /// Follows the node: fast while compressing is what takes the time, harder while the disk is.
    case automatic

    /// The levels that can be fixed.
    public static let range: ClosedRange<Int32> = 1...19

    /// Reads `auto`, `automatic` or a number within ``range``; `nil` for anything else.
    public init?(text: some StringProtocol) {
        if text == "auto" || text == "automatic" {
            self = .automatic
        } else if let number = Int32(text), Self.range.contains(number) {
            self = .fixed(number)
        } else {
            return nil
        }
    }
}

/// Chooses the level of the next frame from who kept whom waiting while the last ones were written.
struct LevelGovernor {
    private(set) var level: Int32
    private let isAutomatic: Bool
    private var frames = 0
    private var windowStart: ContinuousClock.Instant
    private var waitedForCompressors = Duration.zero
    private var waitedForOutput = Duration.zero

    /// Where the automatic level starts, and where it returns to while nobody waits.
    static let startLevel: Int32 = 3
    /// How far the automatic level goes: above 9 a step up costs much more time than it saves bytes.
    static let automaticRange: ClosedRange<Int32> = 1...9
    /// How many frames make one observation.
    static let window = 8

    init(_ level: CompressionLevel, now: ContinuousClock.Instant = .now) {
        switch level {
        case .fixed(let number):
            self.level = min(max(number, CompressionLevel.range.lowerBound), CompressionLevel.range.upperBound)
            isAutomatic = false
        case .automatic:
            self.level = Self.startLevel
            isAutomatic = true
        }
        windowStart = now
    }

    /// Notes that the reading side waited for a free buffer, and for whom.
    mutating func waited(_ time: Duration, forOutput: Bool) {
        if forOutput { waitedForOutput += time } else { waitedForCompressors += time }
    }

    /// Counts a frame and gives its level.
    mutating func levelForNextFrame(now: ContinuousClock.Instant = .now) -> Int32 {
        guard isAutomatic else { return level }
        frames += 1
        if frames >= Self.window {
            let noticeable = (now - windowStart) / 20
            if waitedForOutput > noticeable, waitedForOutput >= waitedForCompressors {
                level = min(level + 1, Self.automaticRange.upperBound)
            } else if waitedForCompressors > noticeable {
                level = max(level - 1, Self.automaticRange.lowerBound)
            } else if level != Self.startLevel {
                level += level < Self.startLevel ? 1 : -1
            }
            frames = 0
            windowStart = now
            waitedForCompressors = .zero
            waitedForOutput = .zero
        }
        return level
    }
}
