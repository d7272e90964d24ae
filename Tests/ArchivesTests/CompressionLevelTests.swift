import Testing

@testable import Archives

@Suite("A compression level") struct CompressionLevelTests {
    @Test("is read from what a person types")
    func text() {
        #expect(CompressionLevel(text: "auto") == .automatic)
        #expect(CompressionLevel(text: "1") == .fixed(1))
        #expect(CompressionLevel(text: "19") == .fixed(19))
        for text in ["", "0", "20", "-1", "fast", "3.5"] { #expect(CompressionLevel(text: text) == nil) }
    }

    /// The level after `windows` observations of one second each.
    private func level(
        after windows: Int,
        from start: LevelGovernor? = nil,
        _ note: (inout LevelGovernor) -> Void
    ) -> Int32 {
        let begin = ContinuousClock.now
        var governor = start ?? LevelGovernor(.automatic, compressors: 2, now: begin)
        for frame in 1...(windows * LevelGovernor.windowFrames) {
            if frame % LevelGovernor.windowFrames == 0 { note(&governor) }
            _ = governor.levelForNextFrame(now: begin + .seconds(frame) / LevelGovernor.windowFrames)
        }
        return governor.level
    }

    @Test("goes up while the output blocks or the compressors rest, and back when they are busy or share processors")
    func automatic() {
        #expect(level(after: 20) { _ in } == 2)
        #expect(level(after: 2) { $0.outputWasAwaited(.milliseconds(300)) } == 4)
        #expect(level(after: 20) { $0.outputWasAwaited(.milliseconds(300)) } == 6)
        #expect(level(after: 20) { $0.compressorWasIdle(.milliseconds(400)) } == 2)
        #expect(level(after: 20) { $0.compressorWasIdle(.milliseconds(1200)) } == 6)
        var high = LevelGovernor(.automatic, compressors: 2)
        for _ in 0..<(20 * LevelGovernor.windowFrames) {
            high.outputWasAwaited(.seconds(1000))
            _ = high.levelForNextFrame()
        }
        #expect(high.level == 6)
        #expect(level(after: 2, from: high) { _ in } == 4)
        let contended = level(after: 20, from: high) {
            $0.compressorWasIdle(.milliseconds(1200))
            $0.frameTook(.milliseconds(100), processorTime: .milliseconds(60))
        }
        #expect(contended == 2)
    }

    @Test("that is fixed stays")
    func fixed() {
        let fixed = LevelGovernor(.fixed(7), compressors: 2)
        #expect(level(after: 20, from: fixed) { _ in } == 7)
    }
}
