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

    /// Tells how far a component is; another component than the last time starts anew.
    ///
    /// The speed is the mean since the component's start.
    public func update(component: String, doneBytes: Int64, totalBytes: Int64?) {
        let now = clock()
        let line: ProgressLine? = state.withLock { state in
            let interval = style == .bar ? Self.barInterval : Self.lineInterval
            let isNew = state.component != component
            if isNew { state = State(component: component, start: now, shown: now) }
            guard isNew ? style == .bar : now - state.shown >= interval else { return nil }
            state.shown = now
            let seconds = (now - state.start).seconds
            return ProgressLine(
                component: component,
                doneBytes: doneBytes,
                totalBytes: totalBytes,
                bytesPerSecond: seconds >= 0.5 ? Double(doneBytes) / seconds : nil
            )
        }
        guard let line else { return }
        switch style {
        case .bar: terminal.showStatus(line.bar(width: terminal.columns - 1))
        case .lines: terminal.writeLine("\(label): \(Terminal.harmless(line.plain))")
        }
    }

    /// Takes the bar away; to be called on every way out.
    public func clear() {
        state.withLock { $0 = State() }
        if style == .bar { terminal.showStatus("") }
    }
}
