/// The limits of one call, running.
struct CallClock {
    let limits: RPCLimits

    private let start = ContinuousClock.now
    private var lastByte = ContinuousClock.now

    init(limits: RPCLimits) {
        self.limits = limits
    }

    /// A byte of the answer arrived, or we start to wait after the consumer had its time.
    mutating func progressed() {
        lastByte = .now
    }

    /// The moment at which the next limit is over.
    var next: ContinuousClock.Instant {
        let stall = lastByte + limits.stall
        return limits.total.map { min(stall, start + $0) } ?? stall
    }

    /// The limit that is over, if one is.
    var overrun: RPCError.Fault? {
        let now = ContinuousClock.now
        if let total = limits.total, now - start >= total { return .deadline(total) }
        if now - lastByte >= limits.stall { return .stalled(limits.stall) }
        return nil
    }

    /// What is left of the whole limit.
    var remaining: Duration? {
        limits.total.map { max($0 - (ContinuousClock.now - start), .zero) }
    }

    /// The limit for a connection that is made now, and the fault when it is over.
    var connecting: (until: ContinuousClock.Instant, fault: RPCError.Fault) {
        if let remaining, let total = limits.total, remaining < limits.connect {
            (.now + remaining, .deadline(total))
        } else {
            (.now + limits.connect, .connectTimedOut(limits.connect))
        }
    }
}
