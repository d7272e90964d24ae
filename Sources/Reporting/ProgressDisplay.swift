internal import Synchronization

/// Shows how far a run is: a bar that is drawn ten times a second at most, or a line for every thirty seconds that a
/// component takes. (That a component is done the log tells.)
///
/// Told of every piece of work; most calls show nothing. Safe to use from every thread.
public final class ProgressDisplay: Sendable {
    static let barInterval = Duration.milliseconds(100)
    static let lineInterval = Duration.seconds(30)

    private struct State {
        var component: String?
        var start = Duration.zero
        var shown = Duration.zero
    }

    private let label: String
    private let terminal: Terminal
    private let style: ProgressStyle
    private let clock: @Sendable () -> Duration
    private let state = Mutex(State())

    /// A display on `terminal`, in the style that suits it.
    /// - Parameter label: stands in front of lines, as in log lines: the program's name.
    public convenience init(label: String, terminal: Terminal) {
        let start = ContinuousClock.now
        self.init(label: label, terminal: terminal, style: terminal.progressStyle) { ContinuousClock.now - start }
    }

    /// The same with style and clock given; the clock never goes back.
    init(label: String, terminal: Terminal, style: ProgressStyle, clock: @escaping @Sendable () -> Duration) {
        self.label = label
        self.terminal = terminal
        self.style = style
        self.clock = clock
    }

    /// Shows how far the run is; another component than the last time starts a new bar or line.
    ///
    /// The speed is the mean since the component's start; a wait shows its time instead.
    public func update(_ reading: ProgressMeter.Reading) {
        guard !reading.title.isEmpty else {
            if state.withLock({ $0.component != nil }) { clear() }
            return
        }
        let now = clock()
        let elapsed: Duration? = state.withLock { state in
            let interval = style == .bar ? Self.barInterval : Self.lineInterval
            let isNew = state.component != reading.title
            if isNew { state = State(component: reading.title, start: now, shown: now) }
            guard isNew ? style == .bar : now - state.shown >= interval else { return nil }
            state.shown = now
            return now - state.start
        }
        guard let elapsed else { return }
        let width = terminal.columns - 1
        if let wait = reading.wait {
            return show(plain: wait.plain, bar: String(wait.plain.printable.prefix(max(0, width))))
        }
        let line = ProgressLine(
            component: reading.title.printable,
            doneBytes: reading.doneBytes,
            totalBytes: reading.totalBytes > 0 ? reading.totalBytes : nil,
            bytesPerSecond: elapsed.seconds >= 0.5 ? Double(reading.doneBytes) / elapsed.seconds : nil,
            elapsed: elapsed
        )
        show(plain: line.plain, bar: line.bar(width: width))
    }

    private func show(plain: String, bar: String) {
        switch style {
        case .bar: terminal.showStatus(bar)
        case .lines: terminal.writeLine("\(label): \(plain.printable)")
        }
    }

    /// Takes the bar away; to be called on every way out.
    public func clear() {
        state.withLock { $0 = State() }
        if style == .bar { terminal.showStatus("") }
    }
}
