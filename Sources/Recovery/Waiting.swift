import Backup
import Logging
import NodeInterface
import Reporting
import SystemPackage

/// What one look of a wait saw.
enum Sight {
    /// What was waited for is so.
    case there(String)
    /// Not yet; what is so instead.
    case notYet(String)
}

extension RecoveryContext {
    /// Looks again and again, until it is so or the limit is over.
    /// - Parameter what: what is waited for, for the error: `etcd to answer`.
    /// - Parameter limit: how long at most; that of the request when `nil`.
    /// - Parameter commands: what shows the operator why it does not come, for the error's hint.
    /// - Parameter pod: the static pod whose containers make it so; what keeps them from running is told.
    /// - Parameter interval: between two looks.
    /// - Returns: what the last look saw.
    /// - Throws: ``RecoveryError/waitedInVain(what:limit:lastSeen:look:)``, `Stopped`; what the look throws counts as not
    ///   yet.
    func wait(
        for what: String,
        limit: Duration? = nil,
        look commands: String = "'journalctl -u kubelet -n 50' and 'crictl ps -a'",
        ofPod pod: String? = nil,
        every interval: Duration = .seconds(2),
        _ look: () async throws -> Sight
    ) async throws -> String {
        let limit = limit ?? request.waitLimit
        let begun = ContinuousClock.now
        var looks = 0
        var lastSeen = "nothing yet"
        meter.beginWait(for: what, limit: limit)
        defer { meter.endWait() }
        while true {
            try node.cancellation.check()
            do {
                switch try await look() {
                case .there(let text): return text
                case .notYet(let text): lastSeen = text
                }
            } catch let error as Stopped {
                throw error
            } catch let error as RecoveryError {
                throw error  // another look would see the same
            } catch let error as any OperatorError {
                lastSeen = error.summary
            }
            if let pod, let trouble = trouble(ofPod: pod) { lastSeen += "; \(trouble)" }
            meter.saw(lastSeen)
            looks += 1
            // Counted as well as timed: a clock that stands still must not make a wait endless.
            guard ContinuousClock.now - begun < limit, interval * looks < limit else {
                throw RecoveryError.waitedInVain(what: what, limit: limit, lastSeen: lastSeen, look: commands)
            }
            node.pause(interval)
        }
    }

    /// What the container runtime says about a static pod that does not do what is waited for; `nil` when nothing.
    private func trouble(ofPod pod: String) -> String? {
        do {
            let images = try StaticPods.all(in: root)
                .filter { $0.path.lastComponent?.stem.hasPrefix(pod) ?? false }.flatMap(\.images)
            return try node.pods?.troubles(ofPod: pod, images: images).first?.text
        } catch {
            node.log.debug("nothing is known about the pod '\(pod)': \(error)")
            return nil
        }
    }
}
