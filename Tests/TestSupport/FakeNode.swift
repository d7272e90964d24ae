public import Files
import Logging
public import NodeInterface
public import Reporting
import Synchronization
public import SystemPackage

/// Makes nodes whose root is a directory and whose services do what a test says.
///
/// A call that a test did not script
/// throws ``Unscripted`` with the call's name.
public enum FakeNode {
    /// A node of these parts; what is left out refuses every call.
    public static func make(
        root: FilePath,
        etcd: any EtcdInterface = ScriptedEtcd(),
        deployments: any DeploymentInterface = ScriptedDeployments(),
        containers: any ContainerInterface = ScriptedContainers(),
        pods: (any PodInterface)? = nil,
        units: (any UnitInterface)? = nil,
        cluster: (any ClusterInterface)? = nil,
        log: LogRecorder = LogRecorder(),
        cancellation: Cancellation = Cancellation(),
        now: FileTime = FileTime(seconds: 1_795_228_625, nanoseconds: 0)
    ) -> Node {
        Node(
            root: root,
            etcd: etcd,
            deployments: deployments,
            containers: containers,
            pods: pods,
            units: units,
            cluster: cluster,
            log: Logger(label: "test") { _ in log.handler },
            cancellation: cancellation,
            now: { now },
            pause: { _ in }
        )
    }
}

/// A call that the test did not expect.
public struct Unscripted: Error, CustomStringConvertible {
    let call: String

    /// Names the call.
    public var description: String { "the test did not script the call '\(call)'" }
}

/// An etcd member as a test wants it.
public struct ScriptedEtcd: EtcdInterface {
    /// Answers ``status(of:limit:)``.
    public var status: (@Sendable (EtcdEndpoint) throws -> EtcdMemberStatus)?
    /// Gives the pieces of the snapshot stream one after the other; an error in between ends it.
    public var snapshot: (@Sendable (EtcdEndpoint, (UnsafeRawBufferPointer) throws -> Void) throws -> Void)?
    /// Answers ``hashKV(of:revision:limit:)``.
    public var hash: (@Sendable (EtcdEndpoint, _ revision: Int64) throws -> EtcdHash)?
    /// Looks at a snapshot.
    public var inspect: (@Sendable (FileDescriptor) throws -> SnapshotReport)?
    /// Makes a data directory.
    public var restore: (@Sendable (FileDescriptor, EtcdRestoreRequest) throws -> EtcdRestoreResult)?

    /// A member that refuses every call.
    public init() {}

    /// Gives what ``status`` says.
    public func status(of endpoint: EtcdEndpoint, limit: Duration) throws -> EtcdMemberStatus {
        guard let status else { throw Unscripted(call: "status of \(endpoint)") }
        return try status(endpoint)
    }

    /// Gives what ``hash`` says.
    public func hashKV(of endpoint: EtcdEndpoint, revision: Int64, limit: Duration) throws -> EtcdHash {
        guard let hash else { throw Unscripted(call: "hash of \(endpoint)") }
        return try hash(endpoint, revision)
    }

    /// Gives what ``snapshot`` says.
    public func streamSnapshot(
        from endpoint: EtcdEndpoint,
        stallLimit: Duration,
        progress: @escaping (_ done: Int64, _ total: Int64) -> Void,
        sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int64 {
        guard let snapshot else { throw Unscripted(call: "snapshot of \(endpoint)") }
        var done: Int64 = 0
        try snapshot(endpoint) { piece in
            try sink(piece)
            done += Int64(piece.count)
            progress(done, done)
        }
        return done
    }

    /// Gives what ``inspect`` says.
    public func inspectSnapshot(
        _ file: FileDescriptor,
        isDigestProved: Bool,
        cancellation: Cancellation
    ) throws -> SnapshotReport {
        guard let inspect else { throw Unscripted(call: "inspection of a snapshot") }
        return try inspect(file)
    }

    /// Does what ``restore`` says.
    public func restoreSnapshot(
        _ snapshot: FileDescriptor,
        _ request: EtcdRestoreRequest,
        cancellation: Cancellation
    ) throws -> EtcdRestoreResult {
        guard let restore else { throw Unscripted(call: "restore of \(request.snapshotName)") }
        return try restore(snapshot, request)
    }
}

/// Deployments as a test wants them.
public struct ScriptedDeployments: DeploymentInterface {
    /// What is there; `nil` for a node without ostree.
    public var present: [Deployment]?
    /// What is done when one is pinned.
    public var pinning: (@Sendable (Deployment) throws -> Void)?
    /// What keeps each one from being booted.
    public var obstacles: (@Sendable (Deployment) throws -> [String])?
    /// What is done when one is unpinned.
    public var unpinning: (@Sendable (Deployment) throws -> Void)?
    /// What each one lacks; ``obstacles``, which cannot be put back, when it is not set.
    public var repair: (@Sendable (Deployment) throws -> BootRepair)?
    /// What is done when it is put back; gives the files.
    public var repairing: (@Sendable (Deployment) throws -> [String])?
    /// The commits that the repository has.
    public var repository: Set<String> = []
    /// What is done when a commit is deployed again.
    public var deployingAgain: (@Sendable (Deployment) throws -> Deployment)?
    /// What is done when one is made the default.
    public var makingDefault: (@Sendable (Deployment) throws -> Void)?

    /// A node without ostree.
    public init() {}

    /// Gives ``present``.
    public func deployments() async throws -> [Deployment]? { present }

    /// Does what ``pinning`` says.
    public func pin(_ deployment: Deployment) async throws {
        guard let pinning else { throw Unscripted(call: "pin of \(deployment.checksum)") }
        try pinning(deployment)
    }

    /// As ostree has it.
    public func configuration(of deployment: Deployment) -> FilePath {
        FilePath("/ostree/deploy/\(deployment.osName)/deploy/\(deployment.checksum).\(deployment.serial)/etc")
    }

    /// Gives what ``obstacles`` says.
    public func obstacles(toBooting deployment: Deployment) async throws -> [String] {
        guard let obstacles else { throw Unscripted(call: "obstacles to booting \(deployment.checksum)") }
        return try obstacles(deployment)
    }

    /// Does what ``unpinning`` says.
    public func unpin(_ deployment: Deployment) async throws {
        guard let unpinning else { throw Unscripted(call: "unpin of \(deployment.checksum)") }
        try unpinning(deployment)
    }

    /// Gives what ``repair`` says, else ``obstacles``.
    public func bootRepair(of deployment: Deployment) async throws -> BootRepair {
        if let repair { return try repair(deployment) }
        let lines = try await obstacles(toBooting: deployment)
        return BootRepair(obstacles: lines, reasons: lines)
    }

    /// Does what ``repairing`` says.
    public func repairBoot(of deployment: Deployment) async throws -> [String] {
        guard let repairing else { throw Unscripted(call: "repair of \(deployment.checksum)") }
        return try repairing(deployment)
    }

    /// Whether it is one of ``repository``.
    public func isInRepository(_ checksum: String) async throws -> Bool { repository.contains(checksum) }

    /// Does what ``deployingAgain`` says.
    public func deployAgain(_ deployment: Deployment) async throws -> Deployment {
        guard let deployingAgain else { throw Unscripted(call: "deploying \(deployment.checksum) again") }
        return try deployingAgain(deployment)
    }

    /// Does what ``makingDefault`` says.
    public func makeDefault(_ deployment: Deployment) async throws {
        guard let makingDefault else { throw Unscripted(call: "making \(deployment.checksum) the default") }
        try makingDefault(deployment)
    }
}

/// A container runtime as a test wants it.
public struct ScriptedContainers: ContainerInterface {
    /// Its name and version; `nil` when there is none.
    public var name: String?
    /// What it has.
    public var present: [ContainerImage] = []
    /// Images whose records are damaged: each makes the whole list fail, and the question for itself.
    public var damaged: Set<String> = []
    /// The image of the pods' sandboxes.
    public var sandbox: SandboxImage?

    /// No runtime.
    public init() {}

    /// Gives ``name``.
    public func runtime() throws -> String? { name }

    /// Gives ``present``.
    public func images() throws -> [ContainerImage] {
        guard name != nil else { throw Unscripted(call: "images") }
        guard damaged.isEmpty else { throw InjectedFault(call: "list images") }
        return present
    }

    /// Gives what ``present`` has under a name in any form.
    public func image(named name: String) throws -> ContainerImage? {
        guard self.name != nil else { throw Unscripted(call: "image \(name)") }
        let reference = ImageReference(name)
        guard damaged.isDisjoint(with: reference.forms) else { throw InjectedFault(call: "image \(name)") }
        guard var image = present.first(where: { $0.matches(reference) }) else { return nil }
        image.usedBy = []
        return image
    }

    /// Gives ``sandbox``.
    public func sandboxImage() throws -> SandboxImage? { name == nil ? nil : sandbox }
}

/// Keeps every log line, for a test to look at.
public final class LogRecorder: Sendable {
    private let recorded = Mutex<[String]>([])

    /// No line yet.
    public init() {}

    /// The lines so far, each with its level in front: `warning: …`.
    public var lines: [String] { recorded.withLock { $0 } }

    var handler: any LogHandler { Handler(recorder: self) }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            recorder.recorded.withLock { $0.append("\(event.level): \(event.message)") }
        }
    }
}

/// What the scripted services of a node were asked to do, in order, and what may go wrong there.
public final class CallRecorder: Sendable {
    private let state = Mutex<(calls: [String], fault: (@Sendable (String) throws -> Void)?)>(([], nil))

    /// No call yet.
    public init() {}

    /// The calls so far: `stop kubelet.service`.
    public var calls: [String] { state.withLock { $0.calls } }

    /// Forgets the calls so far.
    public func forget() { state.withLock { $0.calls = [] } }

    /// Has every call go through `fault` first, which may throw.
    public func inject(_ fault: (@Sendable (String) throws -> Void)?) { state.withLock { $0.fault = fault } }

    /// Records a call.
    public func record(_ call: String) throws {
        let fault = state.withLock { state in
            state.calls.append(call)
            return state.fault
        }
        try fault?(call)
    }
}

/// The service manager as a test wants it: units start and stop as they are told to.
public final class ScriptedUnits: UnitInterface {
    /// Every call that changes something.
    public let recorder: CallRecorder
    private let active: Mutex<[String: Bool]>
    private let masked: Set<String>

    /// A service manager with these units, which run.
    /// - Parameter masked: those of them that are masked.
    public init(
        _ units: [String] = ["kubelet.service", "crio.service"],
        masked: Set<String> = [],
        recorder: CallRecorder = CallRecorder()
    ) {
        self.recorder = recorder
        self.masked = masked
        active = Mutex(Dictionary(uniqueKeysWithValues: units.map { ($0, true) }))
    }

    /// Whether a unit runs.
    public func isActive(_ unit: String) -> Bool { active.withLock { $0[unit] ?? false } }

    /// Gives whether the unit is there and runs.
    public func state(of unit: String) throws -> UnitState {
        guard let isActive = active.withLock({ $0[unit] }) else {
            return UnitState(load: "not-found", active: "inactive", sub: "dead")
        }
        return UnitState(
            load: masked.contains(unit) ? "masked" : "loaded",
            active: isActive ? "active" : "inactive",
            sub: isActive ? "running" : "dead"
        )
    }

    /// Stops a unit.
    @discardableResult
    public func stop(_ unit: String, limit: Duration) throws -> UnitStop {
        try recorder.record("stop \(unit)")
        let outcome = UnitStop(before: try state(of: unit))
        active.withLock { if $0[unit] != nil { $0[unit] = false } }
        return outcome
    }

    /// Starts a unit.
    public func start(_ unit: String, limit: Duration) throws {
        try recorder.record("start \(unit)")
        guard active.withLock({ $0[unit] != nil }) else { throw Unscripted(call: "start of the missing unit \(unit)") }
        active.withLock { $0[unit] = true }
    }

    /// Notes it.
    public func reload() throws { try recorder.record("reload units") }

    /// Notes it.
    public func reboot() throws { try recorder.record("reboot") }
}

/// What a test has a call end with, as an adapter would say it.
public struct InjectedFault: OperatorError {
    private let call: String

    /// That of a call.
    public init(call: String) { self.call = call }

    /// Names the call.
    public var summary: String { "injected: \(call)" }
    /// None.
    public var hint: String? { nil }
    /// Of an adapter.
    public var exitStatus: Reporting.ExitStatus { .ioError }
}

/// Pods as a test wants them.
public final class ScriptedPods: PodInterface {
    private let recorder: CallRecorder
    private let present: Mutex<[PodSandbox]>
    private let troubles = Mutex<[String: [ContainerTrouble]]>([:])
    private let stuck = Mutex<Set<String>>([])
    private let answering = Mutex(true)
    private let refusals = Mutex(0)

    /// A runtime with these pods.
    public init(_ pods: [PodSandbox], recorder: CallRecorder) {
        self.recorder = recorder
        present = Mutex(pods)
    }

    /// Whether the runtime answers from now on.
    public func answers(_ answers: Bool) { answering.withLock { $0 = answers } }

    /// How many times from now on the runtime refuses to tell its pods.
    public func refuses(_ times: Int) { refusals.withLock { $0 = times } }

    /// Gives what is left; `nil` while the runtime does not answer.
    public func pods() throws -> [PodSandbox]? {
        let refuses = refusals.withLock { left in
            defer { left = max(0, left - 1) }
            return left > 0
        }
        if refuses { throw InjectedFault(call: "list pods") }
        return answering.withLock { $0 } ? present.withLock { $0 } : nil
    }

    /// What is said from now on to keep a pod from running.
    public func troubles(ofPod name: String, are troubles: [ContainerTrouble]) {
        self.troubles.withLock { $0[name] = troubles }
    }

    /// Has a pod not stop from now on, whatever is done to it.
    public func sticks(_ id: String) { stuck.withLock { _ = $0.insert(id) } }

    /// Gives what was set.
    public func troubles(ofPod name: String, images: [String]) throws -> [ContainerTrouble] {
        troubles.withLock { $0[name] ?? [] }
    }

    /// Notes it.
    public func stopPod(_ id: String, limit: Duration) throws {
        try recorder.record("stop pod \(id)")
        if stuck.withLock({ $0.contains(id) }) { throw StuckPod(id: id, action: "stop", limit: limit) }
    }

    /// Removes the pod.
    public func removePod(_ id: String, limit: Duration) throws {
        try recorder.record("remove pod \(id)")
        present.withLock { $0.removeAll { $0.id == id } }
    }
}

/// An API server as a test wants it.
public final class ScriptedCluster: ClusterInterface {
    /// What it says.
    public struct Script: Sendable {
        /// Checks that fail.
        public var failingChecks: @Sendable () throws -> [String] = { [] }
        /// What it says of a node.
        public var readiness: @Sendable (String) throws -> NodeReadiness? = { _ in nil }
        /// Its operators.
        public var operators: @Sendable () throws -> [ClusterOperatorState] = { [] }
        /// How its operands are rolled out; one that is not here is at revision 7, and nobody has asked.
        public var rollouts: [String: OperandRollout] = [:]
        /// How many revisions further an operand is that was asked for.
        public var revisionsForAsking = 1
        /// Certificate requests that are not decided.
        public var requests: [PendingCertificateRequest] = []

        /// A server that knows nothing.
        public init() {}
    }

    private let recorder: CallRecorder
    private let script: Mutex<Script>

    /// A server that follows a script.
    public init(_ script: Script, recorder: CallRecorder) {
        self.recorder = recorder
        self.script = Mutex(script)
    }

    /// Changes what it says.
    public func change(_ body: (inout sending Script) -> Void) { script.withLock { body(&$0) } }

    /// Gives what the script says.
    public func failingChecks() throws -> [String] { try script.withLock { $0.failingChecks }() }

    /// Gives what the script says.
    public func readiness(ofNode name: String) throws -> NodeReadiness? {
        try script.withLock { $0.readiness }(name)
    }

    /// Gives what the script says.
    public func operators() throws -> [ClusterOperatorState] { try script.withLock { $0.operators }() }

    /// Gives what the script has.
    public func rollout(of operand: String) throws -> OperandRollout {
        script.withLock { $0.rollouts[operand] }
            ?? OperandRollout(reason: "", latestRevision: 7, currentRevisions: [7], message: "")
    }

    /// Notes it, and has the operand rolled out.
    public func redeploy(_ operand: String, reason: String) throws {
        try recorder.record("redeploy \(operand) \(reason)")
        var rollout = try rollout(of: operand)
        rollout.reason = reason
        script.withLock { script in
            rollout.latestRevision += script.revisionsForAsking
            rollout.currentRevisions = rollout.currentRevisions.map { $0 + script.revisionsForAsking }
            script.rollouts[operand] = rollout
        }
    }

    /// Gives what is not decided.
    public func pendingCertificateRequests(ofNode name: String) throws -> [PendingCertificateRequest] {
        script.withLock { $0.requests }
    }

    /// Takes the request off the list.
    public func approve(_ request: PendingCertificateRequest) throws {
        try recorder.record("approve \(request.name)")
        script.withLock { $0.requests.removeAll { $0 == request } }
    }
}
