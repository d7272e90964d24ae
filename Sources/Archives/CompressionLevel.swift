/// How hard to compress.
public enum CompressionLevel: Sendable, Hashable {
    /// The same level from start to end, 1 (fast) to 19 (small).
    ///
    /// The same input then always gives the same bytes.
    case fixed(Int32)
    /// Follows the node: 2 while compressing is what takes the time, up to 6 while it is not.
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

/// Chooses the level of the next frame from who had to wait while the last ones were written.
///
/// Where the output file is what keeps everybody waiting, or the compressors rest because one thread cannot read fast
/// enough for all of them, harder compression costs nothing. Where they never rest, or have to share the processors
/// with others (our reading side among them), the level comes back to the lowest one.
struct LevelGovernor {
    private(set) var level: Int32
    private let isAutomatic: Bool
    private let compressors: Int
    private var windowStart: ContinuousClock.Instant
    private var window = Window()

    private struct Window {
        var frames = 0
        var idleTime = Duration.zero
        var outputTime = Duration.zero
        var compressionTime = Duration.zero
        var processorTime = Duration.zero
    }

    /// How far the automatic level goes; it starts at the lowest.
    ///
    /// In frames of 8 MiB level 2 takes a fifth of the time less than 3, which costs 2 to 3 % more bytes, and 1 another
    /// 4 % more bytes for hardly any; above 6 a step up costs much more time, and memory, than it saves bytes.
    static let automaticRange: ClosedRange<Int32> = 2...6
    /// How many frames make one observation.
    static let windowFrames = 4

    init(_ level: CompressionLevel, compressors: Int, now: ContinuousClock.Instant = .now) {
        switch level {
        case .fixed(let number):
            self.level = min(max(number, CompressionLevel.range.lowerBound), CompressionLevel.range.upperBound)
            isAutomatic = false
        case .automatic:
            self.level = Self.automaticRange.lowerBound
            isAutomatic = true
        }
        self.compressors = compressors
        windowStart = now
    }

    /// Notes that all buffers were full of what the output file had not taken yet.
    mutating func outputWasAwaited(_ time: Duration) {
        window.outputTime += time
    }

    /// Notes that one compressor had nothing to do.
    mutating func compressorWasIdle(_ time: Duration) {
        window.idleTime += time
    }

    /// Notes how long a frame took, and for how much of that it had a processor.
    mutating func frameTook(_ time: Duration, processorTime: Duration) {
        window.compressionTime += time
        window.processorTime += processorTime
    }

    /// Counts a frame and gives its level.
    mutating func levelForNextFrame(now: ContinuousClock.Instant = .now) -> Int32 {
        guard isAutomatic else { return level }
        window.frames += 1
        guard window.frames >= Self.windowFrames else { return level }
        let elapsed = now - windowStart
        let idle = window.idleTime / compressors
        let isContended = window.compressionTime - window.processorTime > window.compressionTime / 8
        if window.outputTime > elapsed / 5 {
            level = min(level + 1, Self.automaticRange.upperBound)
        } else if isContended || idle < elapsed / 10 {
            level = max(level - 1, Self.automaticRange.lowerBound)
        } else if idle > elapsed / 2 {
            level = min(level + 1, Self.automaticRange.upperBound)
        }
        window = Window()
        windowStart = now
        return level
    }
}
