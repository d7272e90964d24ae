import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// What the doctor looks at, in order.
public enum ReadinessChecks {
    /// The checks; their names are in metrics and alerts in the field: never renamed, never reused.
    static let all: [Check] = [
        Check("partition", "DIR is a file system of its own, and can be written", .own, partition),
        Check("recovery", "No recovery is under way", .own, recovery, next: "upgrade-recovery --resume"),
        Check("point", "The newest recovery point is whole, and not too old", .proof, point),
        Check("verified", "It was read back and found good", .proof, verified, next: "node-backup verify"),
        Check("identity", "It is of this node", .proof, identity, next: "upgrade-recovery --skip-check identity"),
        Check("certificates", "The certificates in it have not expired", .proof, certificates),
        Check("etcd-member", "It identifies its etcd member", .proof, etcdMember, next: "node-backup create"),
        Check("layout", "Its static pods, keys and etcd are where they can be taken", .own, layout),
        Check("deployment", "Its deployment is present, can be booted and is pinned", .proof, deployment),
        Check("images", "The images of its static pods are present", .proof, images, next: "crictl pull IMAGE"),
        Check("image-store", "A power cut does not cost the images", .own, imageStore),
        Check(
            "recovery-space",
            "There is room for a recovery",
            .proof,
            recoverySpace,
            next: "node-backup prune --keep 1"
        ),
        Check("backup-space", "There is room for the next recovery point", .own, backupSpace),
        Check("etcd", "etcd answers, and has raised no alarm", .own, etcd, next: "systemctl restart kubelet"),
        Check("live-certificates", "The certificates of the node now have not expired", .own, liveCertificates),
        Check("clock", "The clock is right", .own, clock, next: "timedatectl set-ntp true"),
    ]

    /// Name and meaning of every check, for the documents.
    public static var listing: [(name: String, summary: String)] { all.map { ($0.name, $0.summary) } }

    /// One check.
    struct Check: Sendable {
        /// Whose check it is: a recovery's proof makes it too, so that its error is a refusal; or the doctor's own.
        enum Kind { case proof, own }

        let name: String
        let summary: String
        let isProof: Bool
        let action: @Sendable (ReadinessSubject) async throws -> Verdict
        /// What to type when it cannot be made.
        let next: String?

        init(
            _ name: String,
            _ summary: String,
            _ kind: Kind,
            _ action: @escaping @Sendable (ReadinessSubject) async throws -> Verdict,
            next: String? = nil
        ) {
            self.name = name
            self.summary = summary
            isProof = kind == .proof
            self.action = action
            self.next = next
        }
    }

    /// What a check says.
    enum Verdict {
        case green(String)
        case amber(String, next: String)
        case red(String, next: String)

        var colour: Readiness.Colour {
            switch self {
            case .green: .green
            case .amber: .amber
            case .red: .red
            }
        }
        var text: String {
            switch self {
            case .green(let text), .amber(let text, _), .red(let text, _): text
            }
        }
        var next: String? {
            switch self {
            case .green: nil
            case .amber(_, let next), .red(_, let next): next
            }
        }
    }

    /// A check about a recovery point, when there is none.
    struct NothingToLookAt: Error {}

    // MARK: The store

    @Sendable private static func partition(_ subject: ReadinessSubject) async throws -> Verdict {
        let path = subject.request.recovery.directory
        let directory: RootDirectory
        do throws(FilesError) {
            directory = try RootDirectory(path: path)
        } catch {
            return .red(error.summary, next: "mount \(path)")
        }
        let space = try FileSystemSpace(at: path)
        guard !space.isReadOnly else {
            return .red(
                "'\(path)' is mounted read-only: a recovery keeps its journal there",
                next: "mount -o remount,rw \(path)"
            )
        }
        let free = "\(ByteCount(space.availableBytes)) free"
        guard try BackupRun.isPart(directory, ofFileSystemsOf: subject.root) else {
            return .green("'\(path)' is a file system of its own, \(free)")
        }
        if subject.request.recovery.backup.allowsRootFileSystem {
            return .green("'\(path)' is on a file system of the node, as allowed; \(free)")
        }
        return .amber(
            "'\(path)' is not a file system of its own: it would be lost with the node's",
            next: "mount \(path); or accept it: node-backup doctor --allow-rootfs"
        )
    }

    @Sendable private static func recovery(_ subject: ReadinessSubject) async throws -> Verdict {
        let path = subject.request.recovery.directory
        let journal: StepJournal?
        do throws(RecoveryError) {
            journal = try StepJournal.open(in: path)
        } catch {
            // Without a directory there is no journal either; the check of the partition tells.
            if case .other(let error as FilesError) = error, error.errno == .noSuchFileOrDirectory {
                return .amber("unknown: '\(path)' does not exist", next: "mount \(path)")
            }
            return .red(error.summary, next: "upgrade-recovery --restart")
        }
        guard let journal else { return .green("no recovery is under way") }
        let target = journal.header.generation
        // Whoever is running is not to be disturbed.
        let holder = try FileLock.holder(RecoveryStore.lockName, in: Directory(path: path))
        if let holder, holder.hasPrefix(Recovery.lockHolder) {
            return .red(
                "a recovery to recovery point \(target) is running: \(holder)",
                next: "upgrade-recovery --status, and wait for it"
            )
        }
        guard journal.hasChangedTheNode else {
            return .amber(
                "a recovery to recovery point \(target) was interrupted while proving, and has changed nothing",
                next: "upgrade-recovery"
            )
        }
        let progress = try RecoveryProgress(in: path, root: subject.node.root)
        return .red(
            "a recovery to recovery point \(target) is under way",
            next: progress.command ?? "upgrade-recovery --resume"
        )
    }

    @Sendable private static func point(_ subject: ReadinessSubject) async throws -> Verdict {
        guard let proof = subject.proof else {
            let lack = subject.lack?.summary ?? "there is no recovery point"
            return .red(lack, next: "node-backup create")
        }
        let point = proof.point
        let number = point.generation
        for file in point.manifest.components.flatMap(\.files) where !point.has(file) {
            return .red(
                "'\(point.path(of: file))' of recovery point \(number) is missing or has another length",
                next: "node-backup create"
            )
        }
        if point.profile != .plain {
            for name in [ComponentName.etcd, .staticPods] where point.manifest.component(name) == nil {
                return .amber(point.manifest.reasonForLack(of: name), next: "node-backup create")
            }
        }
        if subject.request.recovery.generation == nil {
            for entry in try proof.store.all() where entry.generation > number {
                guard case .failure(let error) = entry.point else { continue }
                return .amber(
                    "the newer recovery point \(entry.generation) cannot be read: \(error.summary)",
                    next: "node-backup create"
                )
            }
        }
        guard point.manifest.isWhole else {
            let lacking = point.manifest.lacking.map { "\($0.name) (\($0.reason))" }.joined(separator: ", ")
            return .amber("recovery point \(number) is partial, without \(lacking)", next: "node-backup create")
        }
        if let unknown = point.manifest.unknownParts.first {
            return .amber(
                "a newer program wrote '\(unknown)' into recovery point \(number), which this one cannot restore",
                next: "\(proof.store.path.appending("upgrade-recovery")) --dry-run"
            )
        }
        let newer = try Recovery.newerPartial(than: point, subject.request.recovery, in: proof.store)
        guard let taken = point.manifest.taken else {
            return .amber("recovery point \(number) does not say when it was taken", next: "node-backup create")
        }
        let age = Duration.seconds(max(0, subject.node.now().seconds - taken.seconds))
        let text = "recovery point \(number) of \(point.manifest.createdAt) is \(age.dayText) old"
        return age > subject.request.maxAge
            ? .amber("\(text), more than \(subject.request.maxAge.dayText)", next: "node-backup create")
            : .green(newer.map { "\(text); \($0)" } ?? text)
    }

    @Sendable private static func verified(_ subject: ReadinessSubject) async throws -> Verdict {
        let point = try subject.proved().point
        var results = point.verification()?.components ?? [:]
        var verifiedAt = point.verifiedAt
        if subject.request.verifies {
            let verifier = PointVerifier(node: subject.node, jobs: subject.request.recovery.jobs, meter: subject.meter)
            results = try verifier.verify(point)
            verifiedAt = results.values.map(\.verifiedAt).min()
            do throws(StoreError) {
                try point.record(results)
            } catch {
                subject.node.log.warning("\(error.summary), continuing without the record")
            }
        }
        let faults = point.manifest.components.flatMap { (results[$0.name]?.faults ?? []).prefix(1) }
        guard faults.isEmpty else {
            let error = RecoveryError.pointDamaged(generation: point.generation, faults: faults)
            return .red(error.summary, next: "node-backup create")
        }
        guard let verifiedAt else {
            return .amber(
                "recovery point \(point.generation) has never been verified",
                next: "node-backup verify \(point.generation)"
            )
        }
        return .green("verified and found good at \(verifiedAt)")
    }

    // MARK: The recovery point and the node

    @Sendable private static func identity(_ subject: ReadinessSubject) async throws -> Verdict {
        let (here, difference) = try subject.proved().identity()
        guard let difference else { return .green("it is of this node, '\(here.name)'") }
        return .amber(
            "the host name differs: \(difference); a recovery accepts it",
            next: "hostnamectl set-hostname \(try subject.proved().point.manifest.node.name)"
        )
    }

    @Sendable private static func certificates(_ subject: ReadinessSubject) async throws -> Verdict {
        let proof = try subject.proved()
        guard proof.point.profile != .plain else { return .green("none are needed: the profile is plain") }
        let found = try proof.certificates(in: subject.files())
        subject.until = found.map(\.notAfter).min()
        return verdict(on: found, subject, place: "in the recovery point", isNeeded: true)
    }

    @Sendable private static func liveCertificates(_ subject: ReadinessSubject) async throws -> Verdict {
        let profile = try subject.profile()
        if let lost = subject.lostProfile(profile) { return lost }
        guard profile != .plain else { return .green("none are needed: the profile is plain") }
        let root = subject.root
        let found = try DatedCertificate.all(in: root)
        return verdict(on: found, subject, place: "on the node", isNeeded: false)
    }

    /// - Parameter isNeeded: whether a recovery is refused when one has expired.
    private static func verdict(
        on found: [DatedCertificate],
        _ subject: ReadinessSubject,
        place: String,
        isNeeded: Bool
    ) -> Verdict {
        let now = subject.node.now().seconds
        let renewal =
            isNeeded
            ? "node-backup create"
            : subject.isOpenShift
                ? "oc adm certificate approve $(oc get csr -o name)"
                : "kubeadm certs renew all, then node-backup create"
        if let early = CertificatesFromTheFuture(found, now: subject.node.now()) {
            let next = "timedatectl set-ntp true"
            return isNeeded ? .red(early.summary, next: next) : .amber(early.summary, next: next)
        }
        let expired = found.filter { $0.notAfter < now }
        guard expired.isEmpty else {
            let names = expired.prefix(3).map(\.text).joined(separator: "; ")
            let more = expired.count > 3 ? "; and \(expired.count - 3) more" : ""
            let text = "certificates \(place) have expired: \(names)\(more)"
            return isNeeded ? .red(text, next: renewal) : .amber(text, next: renewal)
        }
        guard let first = found.min(by: { $0.notAfter < $1.notAfter }) else {
            return .amber("there are no certificates \(place)", next: renewal)
        }
        let left = first.notAfter - now
        let text =
            "the first one \(place) to expire is '\(first.path)', on \(UTCDay.text(of: first.notAfter)) "
            + "(\(UTCDay.count(left / 86_400)))"
        return Duration.seconds(left) <= subject.request.expiryWarning
            ? .amber(text, next: renewal) : .green(text)
    }

    @Sendable private static func etcdMember(_ subject: ReadinessSubject) async throws -> Verdict {
        let proof = try subject.proved()
        guard let entry = proof.point.manifest.etcd else {
            return .green(proof.point.manifest.reasonForLack(of: .etcd))
        }
        let member = try proof.etcdMember(in: subject.files())
        try EtcdPlacement(member, in: subject.root, recovery: "0").refuseUnlessReplaceable()
        try Proof.refuseSeveralMembers(entry.members?.map(\.name) ?? [])
        let skipped = subject.request.recovery.skippedChecks
        try proof.refuseUnlessEtcdFits(in: subject.files()) { skipped.contains($0) }
        if let warning = try proof.etcdMisfits(in: subject.files()).warnings.first {
            return .amber(warning, next: "node-backup show")
        }
        return .green("member '\(member.name)', revision \(entry.currentRevision), \(ByteCount(entry.totalSizeBytes))")
    }

    /// What a backup of this node would not take, or would not understand.
    @Sendable private static func layout(_ subject: ReadinessSubject) async throws -> Verdict {
        let root = subject.root
        try PhysicalSysroot.refuse(root)
        let retry = "node-backup create --dry-run"
        let pods = try StaticPods(in: root)
        let places = try pods.places(in: root)
        if let remark = places.remarks.first {
            return .red(remark, next: "node-backup create --dry-run")
        }
        let finding = try ProfileDetector.detect(in: root)
        let profile = try subject.profile()
        if profile == .plain, let sign = finding.signs.first {
            return .amber(
                "this looks like Kubernetes ('\(sign)'), but neither etcd nor an API server was found; if it is a control "
                    + "plane, say so with --profile",
                next: retry
            )
        }
        if profile != .plain, let other = try KubeletSettings(in: root).unusualRoot {
            return .amber("the kubelet's state is in '\(other)' (--root-dir), which no component takes", next: retry)
        }
        if let remark = pods.remarks.first { return .amber(remark, next: "ls -la \(pods.directories[0])") }
        let count = pods.pods.count
        return .green(
            profile == .plain ? "a plain node" : "\(count) static pod\(count == 1 ? "" : "s"), nothing is left out"
        )
    }

    @Sendable private static func deployment(_ subject: ReadinessSubject) async throws -> Verdict {
        let proof = try subject.proved()
        guard let (wanted, all) = try await proof.recordedDeployment() else {
            return .green(
                proof.point.manifest.deployment == nil
                    ? "the recovery point has none" : "the node is not managed by ostree"
            )
        }
        let repair = try await proof.bootRepair(of: wanted)
        guard !repair.isPossible else {
            return .amber(
                "'\(wanted.label)' cannot be booted as it is, and a recovery puts back what is missing: "
                    + repair.obstacles.joined(separator: "; "),
                next: "upgrade-recovery"
            )
        }
        // Said, and no more: a person can have reasons for a pin.
        let unneeded = try Pins.unneeded(among: all, proof.store).map { other in
            let index = all.firstIndex(of: other).map { "\($0)" } ?? "INDEX"
            return "; no recovery point needs the pin of '\(other.label)' ('ostree admin pin --unpin \(index)')"
        }.joined()
        let text = "'\(wanted.label)' is \(wanted.isBooted ? "booted" : "present and can be booted")"
        guard !wanted.isPinned, let index = all.firstIndex(of: wanted) else {
            return .green("\(text), and pinned\(unneeded)")
        }
        return .amber("\(text), but not pinned: the next upgrade can remove it", next: "ostree admin pin \(index)")
    }

    @Sendable private static func images(_ subject: ReadinessSubject) async throws -> Verdict {
        let proof = try subject.proved()
        guard proof.point.profile != .plain else { return .green("none are needed: the profile is plain") }
        switch try proof.images(in: subject.files()) {
        case .noStaticPods: return .green("there are no static pods in the recovery point")
        case .noRuntime:
            return .amber("unknown: no container runtime answers", next: "systemctl restart crio, or containerd")
        case .present(let count): return .green("all of \(counted(count, "needed image")) are present")
        case .missing(let missing): throw RecoveryError.imagesMissing(missing)
        }
    }

    @Sendable private static func imageStore(_ subject: ReadinessSubject) async throws -> Verdict {
        guard case .removedAtNextStart(let file) = try CRIOStore.danger(in: subject.root) else {
            return .green("a power cut does not remove the images of the container runtime")
        }
        return .amber(
            "after a power cut CRI-O would remove all of its images, as '\(file)' does not exist while it runs",
            next: #"printf '[crio]\nclean_shutdown_file = ""\n' > /etc/crio/crio.conf.d/98-keep-images, "#
                + "then systemctl restart crio"
        )
    }

    // MARK: Space

    @Sendable private static func recoverySpace(_ subject: ReadinessSubject) async throws -> Verdict {
        let proof = try subject.proved()
        let needs = try await proof.spaceNeeds(
            in: subject.files(),
            keepsFailedState: subject.request.recovery.keepsFailedState,
            meter: subject.meter
        )
        try proof.refuseUnlessRoom(for: needs)
        let total = needs.reduce(0) { $0 + $1.bytes }
        return .green("a recovery needs about \(ByteCount(total)), and there is room for it")
    }

    @Sendable private static func backupSpace(_ subject: ReadinessSubject) async throws -> Verdict {
        var request = subject.request.recovery.backup
        request.allowsRootFileSystem = true  // the check of the partition tells
        let run = BackupRun(request, on: subject.node, meter: subject.meter)
        let forecast: BackupForecast
        do throws(BackupError) {
            forecast = try await run.forecast()
        } catch {
            if case .stopped = error { throw error }
            return .amber(
                "a backup would fail: \(error.summary)",
                next: error.hint ?? "fix that, then node-backup create"
            )
        }
        let needed = ByteCount(forecast.neededBytes)
        let free = ByteCount(forecast.freeBytes)
        return forecast.neededBytes <= forecast.freeBytes
            ? .green("the next recovery point needs about \(needed), \(free) free")
            : .amber(
                "the next recovery point needs about \(needed), and only \(free) are free",
                next: "node-backup prune --keep 1"
            )
    }

    // MARK: The node now

    @Sendable private static func etcd(_ subject: ReadinessSubject) async throws -> Verdict {
        let profile = try subject.profile()
        if let lost = subject.lostProfile(profile) { return lost }
        let endpoint = try EtcdLocator.locate(
            in: subject.root,
            profile: profile,
            nodeName: NodeIdentity.read(from: subject.root, isRunningSystem: subject.node.isRunningSystem).name,
            overrides: subject.request.recovery.backup.etcd,
            now: subject.node.now().seconds
        )
        guard let endpoint else {
            return profile == .plain
                ? .green("a plain node has no etcd")
                : .amber("no etcd was found on this \(profile.rawValue) node", next: "upgrade-recovery")
        }
        let status = try subject.node.etcd.status(of: endpoint, limit: .seconds(5))
        if let alarm = status.alarms.first {
            return .amber(
                "etcd at \(endpoint) has raised the alarm \(alarm)",
                next: "etcdctl defrag, then etcdctl alarm disarm"
            )
        }
        if let error = status.errors.first {
            return .amber("etcd at \(endpoint) says: \(error)", next: "systemctl restart kubelet")
        }
        do {
            // What 'create' asks for: with authentication on, a status is given to everyone.
            try subject.node.etcd.tryStreamingSnapshot(from: endpoint, stallLimit: .seconds(10))
        } catch let error as any OperatorError where !(error is Stopped) {
            return .amber(
                "etcd at \(endpoint) gives no snapshot: \(error.summary)",
                next: error.hint ?? "node-backup create --dry-run"
            )
        }
        return .green("etcd \(status.serverVersion) answers at \(endpoint), revision \(status.revision)")
    }

    @Sendable private static func clock(_ subject: ReadinessSubject) async throws -> Verdict {
        let now = subject.node.now()
        if let point = subject.proof?.point, let taken = point.manifest.taken, now < taken {
            return .amber(
                "it is \(now.iso8601) on this node, before recovery point \(point.generation) of "
                    + "\(point.manifest.createdAt)",
                next: "timedatectl set-ntp true"
            )
        }
        guard subject.node.isRunningSystem else { return .green("it is \(now.iso8601) on this node") }
        switch subject.node.isClockSynchronized() {
        case true?: return .green("it is \(now.iso8601) on this node, and the clock is synchronised")
        case false?:
            return .amber("the clock is not synchronised", next: "timedatectl set-ntp true")
        case nil:
            return .amber("unknown whether the clock is synchronised", next: "timedatectl set-ntp true")
        }
    }
}

extension ReadinessSubject {
    /// What kind of node it is: what was said, else what its files say.
    func profile() throws -> NodeProfile {
        switch request.recovery.backup.profile {
        case .fixed(let profile): profile
        case .detect: try ProfileDetector.detect(in: root).profile
        }
    }

    /// What there is to say when the node has lost every sign of Kubernetes that the recovery point has.
    func lostProfile(_ profile: NodeProfile) -> ReadinessChecks.Verdict? {
        guard profile == .plain, let point = proof?.point, point.profile != .plain else { return nil }
        return .amber(
            "this node has lost every sign of \(point.profile.rawValue), which recovery point \(point.generation) has",
            next: "upgrade-recovery"
        )
    }

    /// For the choice of a command only.
    var isOpenShift: Bool {
        // ignored: a profile that cannot be told has its own findings
        (try? profile()) == .openshift
    }
}

extension Duration {
    /// As an operator reads a long one: days from two days on.
    var dayText: String {
        let days = components.seconds / 86_400
        return days >= 2 ? UTCDay.count(days) : operatorText
    }
}
