import Backup
import Files
import Glibc
import Logging
public import NodeInterface
import RecoveryPoints
public import Reporting
import SystemPackage

/// Brings one node back to a recovery point.
public struct Recovery {
    let request: RecoveryRequest
    let node: Node
    let meter: ProgressMeter

    /// A recovery of `node`; how far it is can be read from `meter`.
    public init(_ request: RecoveryRequest, on node: Node, meter: ProgressMeter) {
        self.request = request
        self.node = node
        self.meter = meter
    }

    /// Starts a recovery.
    ///
    /// - Throws: ``RecoveryError``. When it is thrown by a step of the phase `prove` nothing has changed and no
    ///   recovery is under way; later the journal stays, and ``resume()`` continues.
    public func begin() async throws(RecoveryError) -> RecoveryEnding {
        do {
            let (store, lock) = try open()
            if let journal = try StepJournal.open(in: store.path) {
                guard !journal.hasChangedTheNode else {
                    if request.undoes { return try await undo(journal, store, lock) }
                    throw RecoveryError.underWay(directory: store.path.string, generation: journal.header.generation)
                }
                // It was interrupted while proving, and has changed nothing.
                try await forget(journal, store)
            }
            return try await begin(in: store, lock, recovery: Self.newIdentity())
        } catch {
            throw .wrapping(error)
        }
    }

    /// Goes back to the failed state as far as the recovery under way has changed anything, and ends it.
    /// - Returns: `nil` when it had changed nothing.
    /// - Throws: as ``begin()``; ``RecoveryError/nothingToResume(directory:)`` when no recovery is under way.
    public func abort() async throws(RecoveryError) -> RecoveryEnding? {
        do {
            let (store, lock) = try open()
            guard let journal = try StepJournal.open(in: store.path) else {
                throw RecoveryError.nothingToResume(directory: store.path.string)
            }
            guard !journal.hasChangedTheNode else { return try await undo(journal, store, lock) }
            try await forget(journal, store)
            return nil
        } catch {
            throw .wrapping(error)
        }
    }

    /// Turns the recovery under way into one to the failed state that it has kept.
    ///
    /// Its identity stays: what it has put aside of etcd is what is taken back, and no second failed state is kept.
    private func undo(
        _ journal: StepJournal,
        _ store: RecoveryStore,
        _ lock: FileLock
    ) async throws -> RecoveryEnding {
        guard let failed = try store.newestFailedState(),
            failed.manifest.failedState?.recovery == journal.header.recovery
        else { throw RecoveryError.nothingToUndo(directory: store.path.string) }
        var request = request
        request.undoes = true
        request.generation = failed.generation
        request.skippedChecks.formUnion(journal.header.skippedChecks)
        request.rebootsByItself = request.rebootsByItself || journal.header.rebootsByItself
        node.log.notice("Going back to the failed state, recovery point \(failed.generation)")
        return try await Recovery(request, on: node, meter: meter)
            .begin(in: store, lock, recovery: journal.header.recovery, carried: journal.lasting)
    }

    /// Continues the recovery under way, after a reboot or a failure.
    public func resume() async throws(RecoveryError) -> RecoveryEnding {
        do {
            let (store, lock) = try open()
            guard let journal = try StepJournal.open(in: store.path) else {
                throw RecoveryError.nothingToResume(directory: store.path.string)
            }
            let point = try store.point(journal.header.generation)
            guard point.manifestDigest.hex == journal.header.manifestSHA256 else {
                throw RecoveryError.pointReplaced(generation: point.generation)
            }
            try clear(store)
            return try await run(journal, point, store, lock)
        } catch {
            throw .wrapping(error)
        }
    }

    /// Forgets which steps are done, and starts over with the same recovery point unless another one is named.
    ///
    /// The identity of the recovery stays, so that the failed state that it has kept remains the one to undo to.
    public func restart() async throws(RecoveryError) -> RecoveryEnding {
        do {
            let (store, lock) = try open()
            var request = request
            var forgotten: StepJournal?
            var identity = Self.newIdentity()
            var carried: JournalValues?
            do throws(RecoveryError) {
                forgotten = try StepJournal.open(in: store.path)
                if let journal = forgotten {
                    let over = journal.sequence.steps.filter { journal.isOver($0.name) }.map(\.name)
                    node.log.notice(
                        "Forgot the steps \(over.isEmpty ? "of an empty journal" : over.joined(separator: ", "))"
                    )
                    if request.generation == nil { request.generation = journal.header.generation }
                    request.keptPaths += journal.header.keptPaths.compactMap { .init(text: $0) }
                    request.skippedChecks.formUnion(journal.header.skippedChecks)
                    request.undoes = request.undoes || journal.header.undoes
                    request.keepsFailedState = request.keepsFailedState && journal.header.keepsFailedState
                    request.rebootsByItself = request.rebootsByItself || journal.header.rebootsByItself
                    identity = journal.header.recovery
                    if journal.hasChangedTheNode { carried = journal.lasting }
                    if journal.header.undoes, let wanted = request.generation, wanted != journal.header.generation {
                        // The undo may have put the failed etcd back in place. Another recovery keeps it for itself,
                        // instead of taking it for what was started between two attempts.
                        identity = Self.newIdentity()
                        request.undoes = false
                        removeStaged(journal, store)
                    }
                }
            } catch {
                guard error.isAboutUnreadableJournal else { throw error }
                node.log.warning("\(error.summary); ignoring it, continuing")
                // How far it was is unknown: whatever it can have done counts as done.
                identity = try Self.identityOfUnreadableJournal(in: store) ?? identity
                carried = JournalValues(JournalKeys.filesChanged, true)
            }
            if let forgotten, carried == nil { try await forget(forgotten, store) }
            return try await Recovery(request, on: node, meter: meter)
                .begin(in: store, lock, recovery: identity, carried: carried)
        } catch {
            throw .wrapping(error)
        }
    }

    /// Makes the checks that ``begin()`` would make before the first change, as far as they need no writing.
    /// - Throws: what would refuse the recovery.
    public func prove() async throws(RecoveryError) {
        do {
            guard geteuid() == 0 else { throw RecoveryError.notRoot }
            let store = try RecoveryStore(path: request.directory)
            if let journal = try StepJournal.open(in: store.path), journal.hasChangedTheNode {
                throw RecoveryError.underWay(directory: store.path.string, generation: journal.header.generation)
            }
            let point = try Self.point(of: request, in: store)
            let header = header(for: point, recovery: Self.newIdentity(), carried: nil)
            let context = try RecoveryContext(
                node: node,
                request: request,
                store: store,
                lock: nil,
                point: point,
                journal: StepJournal(inMemory: header, request.sequence),
                meter: meter
            )
            let proving = request.sequence.steps.filter { $0.phase == .prove }
            let sequence = RecoverySequence(name: request.sequence.name, steps: proving)
            meter.plan(components: proving.count, totalBytes: 0)
            _ = try await Sequencer(sequence: sequence, context: context).run()
        } catch {
            throw .wrapping(error)
        }
    }

    // MARK: - Steps of the above

    private func begin(
        in store: RecoveryStore,
        _ lock: FileLock,
        recovery: String,
        carried: JournalValues? = nil
    ) async throws -> RecoveryEnding {
        let point = try Self.point(of: request, in: store)
        if let note = try Self.newerPartial(than: point, request, in: store) { node.log.warning("\(note), continuing") }
        try clear(store)
        let header = header(for: point, recovery: recovery, carried: carried)
        let journal = try StepJournal.begin(header, request.sequence, in: store.path)
        let name = point.manifest.node.name
        node.log.notice("Recovering '\(name)' to recovery point \(point.generation) of \(point.manifest.createdAt)")
        return try await run(journal, point, store, lock)
    }

    private func header(
        for point: RecoveryPoint,
        recovery: String,
        carried: JournalValues?
    ) -> StepJournal.Header {
        StepJournal.Header(
            recovery: recovery,
            generation: point.generation,
            manifestSHA256: point.manifestDigest.hex,
            begunAt: node.now().iso8601,
            toolVersion: request.backup.toolVersion,
            undoes: request.undoes,
            skippedChecks: request.skippedChecks.sorted { $0.rawValue < $1.rawValue },
            keptPaths: request.allKeptPaths.map(\.description),
            keepsFailedState: request.keepsFailedState,
            rebootsByItself: request.rebootsByItself,
            carried: carried
        )
    }

    private func run(
        _ journal: StepJournal,
        _ point: RecoveryPoint,
        _ store: RecoveryStore,
        _ lock: FileLock
    ) async throws -> RecoveryEnding {
        let context = try RecoveryContext(
            node: node,
            request: request,
            store: store,
            lock: lock,
            point: point,
            journal: journal,
            meter: meter
        )
        try SELinuxMode.putBack(in: context)
        meter.plan(components: journal.sequence.steps.count, totalBytes: 0)
        do {
            let ending = try await Sequencer(sequence: context.sequence, context: context).run()
            switch ending {
            case .completed:
                try journal.close()
                node.log.notice("Recovered '\(point.manifest.node.name)' to recovery point \(point.generation)")
            case .needsReboot(let step, let reason):
                guard context.rebootsByItself, let units = node.units else { break }
                node.log.notice("\(step): rebooting, as \(reason)")
                try units.reboot()
            case .phaseDone: break
            }
            return ending
        } catch {
            // As long as nothing has changed there is nothing to continue either.
            if !journal.hasChangedTheNode { try await forget(journal, store) }
            throw error
        }
    }

    /// Removes what interrupted backups have left: it can be what fills the partition.
    private func clear(_ store: RecoveryStore) throws(StoreError) {
        for name in try store.removeLeftovers() {
            node.log.notice("Removed '\(name)', left by an interrupted run")
        }
    }

    /// Removes a journal that has changed nothing, and what was made for the proof.
    private func forget(_ journal: StepJournal, _ store: RecoveryStore) async throws {
        removeStaged(journal, store)
        try StepJournal.removeUnpackedFiles(of: journal.header.recovery, from: store)
        try StepJournal.remove(in: store.path)
    }

    /// Removes what was staged of etcd for the proof.
    private func removeStaged(_ journal: StepJournal, _ store: RecoveryStore) {
        let identity = journal.header.recovery
        if let point = try? store.point(journal.header.generation),  // ignored: a point that is gone has staged nothing
            point.profile != .plain, point.manifest.component(.etcd) != nil
        {
            do {
                let files = try ArchivedFiles(point, node: node, jobs: request.jobs)
                let root = try RootDirectory(path: node.root)
                let member = try EtcdMember.read(
                    from: files.staticPods,
                    node: root,
                    profile: point.profile,
                    nodeName: point.manifest.node.name,
                    members: point.manifest.etcd?.members
                )
                try EtcdPlacement(member, in: root, recovery: identity).removeStaged()
            } catch {
                // A damaged point does not say where; then nothing was staged either.
                node.log.debug("nothing staged was removed: \(error)")
            }
        }
    }

    /// What the lock says of a recovery.
    static let lockHolder = "upgrade-recovery"

    private func open() throws -> (RecoveryStore, FileLock) {
        guard geteuid() == 0 else { throw RecoveryError.notRoot }
        try PhysicalSysroot.refuse(RootDirectory(path: node.root))
        let store = try RecoveryStore(path: request.directory)
        return (store, try store.lock(command: Self.lockHolder))
    }

    /// The recovery point that a request names.
    static func point(of request: RecoveryRequest, in store: RecoveryStore) throws -> RecoveryPoint {
        if let generation = request.generation { return try store.point(generation) }
        if request.undoes {
            guard let point = try store.newestFailedState() else {
                throw RecoveryError.nothingToUndo(directory: store.path.string)
            }
            return point
        }
        guard let point = try store.newestWhole() ?? store.newest() else {
            throw StoreError.empty(directory: store.path.string)
        }
        return point
    }

    /// The identity of the recovery whose journal cannot be read: from the journal's first line as far as that is
    /// legible, else from the failed state that was kept since the last recovery was done.
    private static func identityOfUnreadableJournal(in store: RecoveryStore) throws -> String? {
        if let identity = try StepJournal.legibleIdentity(in: store.path) { return identity }
        guard let failed = try store.newestFailedState() else { return nil }
        let last = try StepJournal.open(in: store.path, name: StepJournal.lastName)
        if let last, last.header.begunAt >= failed.manifest.createdAt { return nil }
        return failed.manifest.failedState?.recovery == last?.header.recovery
            ? nil : failed.manifest.failedState?.recovery
    }

    /// That a newer recovery point than the one that was chosen for the operator exists, but is a partial one; `nil` when
    /// there is none, or the operator chose.
    static func newerPartial(
        than point: RecoveryPoint,
        _ request: RecoveryRequest,
        in store: RecoveryStore
    ) throws -> String? {
        guard request.generation == nil, !request.undoes, let newest = try store.newest(),
            newest.generation > point.generation
        else { return nil }
        let lacking = newest.manifest.lacking.map(\.name).joined(separator: ", ")
        return "recovery point \(newest.generation) is newer, but partial (without \(lacking)): "
            + "the newest whole one is \(point.generation); --point \(newest.generation) takes the partial one"
    }

    private static func newIdentity() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
