/// How long a wait has lasted, as text: a wait moves no bytes.
public struct WaitLine: Sendable, Hashable {
    /// What is done, and with what: `waiting for etcd to answer`.
    public var title: String
    /// How long it has lasted.
    public var waited: Duration
    /// How long it lasts at most.
    public var limit: Duration
    /// What was seen last; `nil` before the first look is over.
    public var lastSeen: String?

    /// One moment of a wait.
    public init(title: String, waited: Duration, limit: Duration, lastSeen: String?) {
        self.title = title
        self.waited = waited
        self.limit = limit
        self.lastSeen = lastSeen
    }

    /// A line: `waiting for etcd to answer: 12 s of 20 min, last: connection refused`.
    public var plain: String {
        "\(title): \(waited.wholeSecondsText) of \(limit.wholeSecondsText)" + (lastSeen.map { ", last: \($0)" } ?? "")
    }
}
