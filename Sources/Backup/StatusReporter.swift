import Files
import FoundationEssentials
import Glibc
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import Synchronization
import SystemPackage

/// Keeps `status.json` and the container's termination message true while a backup runs.
///
/// What it cannot write it logs once: a status that cannot be told must not end the backup that it tells of.
final class StatusReporter: Sendable {
    private struct State {
        var status: RunStatus
        var store: RecoveryStore?
        var hasFailed = false
    }

    private let state: Mutex<State>
    private let meter: ProgressMeter
    private let node: Node
    private let terminationLog: FilePath?

    init(node: Node, meter: ProgressMeter, terminationLog: FilePath?) {
        self.node = node
        self.meter = meter
        self.terminationLog = terminationLog
        state = Mutex(State(status: RunStatus(state: .preparingToStart, pid: getpid(), startedAt: node.now().iso8601)))
    }

    /// From now on the status goes into this store, whose lock we hold.
    func attach(_ store: RecoveryStore) {
        state.withLock { $0.store = store }
        write()
    }

    /// Goes on to another state.
    func enter(_ next: RunStatus.State, generation: Int? = nil) {
        state.withLock { state in
            state.status.state = next
            if let generation { state.status.generation = generation }
        }
        write()
    }

    /// Writes how far the run is; for a ticker.
    func refresh() {
        let isRunning = state.withLock { $0.status.state == .active }
        if isRunning { write() }
    }

    /// Records the end of the run.
    func finish(_ error: (any OperatorError)?) {
        state.withLock { state in
            switch error {
            case nil: state.status.state = .succeeded
            case .some(BackupError.stopped), .some(is Stopped): state.status.state = .backupTimeout
            default: state.status.state = .unrecoverableError
            }
            state.status.error = error.map {
                RunStatus.Failure(summary: $0.summary, hint: $0.hint, exitStatus: $0.exitStatus.rawValue)
            }
        }
        write()
        writeTerminationLog()
    }

    private func write() {
        let reading = meter.current
        let now = node.now().iso8601
        state.withLock { state in
            state.status.updatedAt = now
            if !reading.component.isEmpty {
                state.status.component = reading.component
                state.status.componentNumber = reading.componentNumber
                state.status.componentCount = reading.componentCount
                state.status.doneBytes = reading.allDoneBytes
                state.status.totalBytes = reading.allTotalBytes
            }
            guard let store = state.store, !state.hasFailed else { return }
            do throws(StoreError) {
                try store.write(try state.status.encoded(), as: RunStatus.name)
            } catch {
                state.hasFailed = true
                node.log.warning("\(error.summary), continuing without \(RunStatus.fileName)")
            }
        }
    }

    /// One line of JSON of at most 4096 bytes into the file that Kubernetes reads a container's last words from.
    private func writeTerminationLog() {
        guard let terminationLog else { return }
        // ignored: not in a container; the file is only written where it exists
        guard let file = try? OwnedDescriptor(overwriting: terminationLog) else { return }
        var status = state.withLock { $0.status }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if let summary = status.error?.summary, summary.utf8.count > 1500 {
            status.error?.summary = String(decoding: summary.utf8.prefix(1500), as: UTF8.self)
        }
        // ignored: status.json has the same, and nobody is left to be told
        guard let line = try? encoder.encode(status), line.count <= 4096 else { return }
        _ = try? file.descriptor.writeAll(line)
    }
}
