/// How progress is shown.
public enum ProgressStyle: Sendable, Equatable {
    /// A bar that is drawn over.
    case bar
    /// A line now and then, for logs.
    case lines

    /// A bar where a person looks at a terminal that can move its cursor; lines in pods, pipes and on dumb terminals.
    public init(isTerminal: Bool, environment: [String: String]) {
        let isPlain =
            !isTerminal || environment["TERM"] == "dumb" || !(environment["NO_COLOR"] ?? "").isEmpty
            || environment["KUBERNETES_SERVICE_HOST"] != nil
        self = isPlain ? .lines : .bar
    }
}

/// How far a component is, as text.
public struct ProgressLine: Sendable, Hashable {
    /// Which component.
    public var component: String
    /// Bytes that are done.
    public var doneBytes: Int64
    /// Bytes in all, as they were counted before; `nil` when nobody counted.
    ///
    /// More than that may come, as files grow.
    public var totalBytes: Int64?
    /// Bytes in a second; `nil` while there is nothing to judge by.
    public var bytesPerSecond: Double?
    /// How long it has taken so far; `nil` when nobody measured.
    ///
    /// Shown where no byte was counted: stopping a pod moves none.
    public var elapsed: Duration?

    /// A state of a component.
    public init(
        component: String,
        doneBytes: Int64,
        totalBytes: Int64?,
        bytesPerSecond: Double?,
        elapsed: Duration? = nil
    ) {
        self.component = component
        self.doneBytes = doneBytes
        self.totalBytes = totalBytes
        self.bytesPerSecond = bytesPerSecond
        self.elapsed = elapsed
    }

    /// The part that is done, 0 to 1; `nil` when the total is not known.
    public var fraction: Double? {
        guard let totalBytes else { return nil }
        guard totalBytes > 0 else { return 1 }
        return min(max(Double(doneBytes) / Double(totalBytes), 0), 1)
    }

    /// How long the rest takes at this speed; `nil` when that cannot be said, and from 100 hours on.
    public var timeLeft: Duration? {
        guard let totalBytes, let bytesPerSecond, bytesPerSecond > 0 else { return nil }
        let seconds = (Double(totalBytes) - Double(doneBytes)) / bytesPerSecond
        guard seconds < 360_000 else { return nil }
        return .milliseconds(Int64(max(seconds, 0) * 1000))
    }

    /// A line for a log: `etc: 45 %, 1.1 GiB of 2.4 GiB, 120.0 MiB/s, 11 s left`.
    public var plain: String {
        "\(component): " + details(percent: percent.map { "\($0) %" }).joined(separator: ", ")
    }

    /// A bar of exactly `width` characters or fewer: `etc  [=======>       ]  45 %  1.1 GiB of 2.4 GiB  12 s left`.
    ///
    /// What does not fit is left out from the right, the bar itself last; the component's name is cut.
    public func bar(width: Int) -> String {
        let minimum = 10
        let head = "\(component)  "
        let percent = self.percent.map { String(repeating: " ", count: max(0, 3 - "\($0)".count)) + "\($0) %" }
        var tail = details(percent: percent)
        // Two brackets stand around the bar.
        let space = { (tail: [String]) in width - head.count - 2 - tail.reduce(0) { $0 + 2 + $1.count } }
        if let fraction {
            while tail.count > 1, space(tail) < minimum { tail.removeLast() }
            if space(tail) >= minimum {
                let inner = min(space(tail), 40)
                let filled = Int(Double(inner) * fraction)
                let tip = filled < inner ? ">" : ""
                let bar =
                    String(repeating: "=", count: filled) + tip
                    + String(repeating: " ", count: inner - filled - tip.count)
                return head + "[\(bar)]" + tail.map { "  " + $0 }.joined()
            }
        }
        return String((head + tail.joined(separator: "  ")).prefix(max(width, 0)))
    }

    /// Rounded down, so that 100 means all of it.
    private var percent: Int? { fraction.map { Int($0 * 100) } }

    private func details(percent: String?) -> [String] {
        if totalBytes == nil, doneBytes == 0, let elapsed { return [elapsed.wholeSecondsText] }
        return [percent, amount, speed, left].compactMap { $0 }
    }

    private var amount: String {
        guard let totalBytes else { return "\(ByteCount(doneBytes))" }
        return "\(ByteCount(doneBytes)) of \(ByteCount(totalBytes))"
    }

    private var speed: String? {
        guard let bytesPerSecond, bytesPerSecond >= 0, bytesPerSecond < 1e15 else { return nil }
        return "\(ByteCount(Int64(bytesPerSecond)))/s"
    }

    private var left: String? { timeLeft.map { "\($0.operatorText) left" } }
}
