import Backup
import RecoveryPoints
import Reporting
import SystemPackage

/// A recovery point in `node-backup list`.
struct PointListing: Encodable {
    var generation: Int
    var createdAt: String?
    var node: String?
    var profile: String?
    var sourceBytes: Int64?
    var storedBytes: Int64?
    var etcdRevision: Int64?
    var deployment: String?
    var verifiedAt: String?
    /// Why its manifest cannot be read.
    var damage: String?
    /// Set in a failed state that a recovery has kept: the recovery point that it went to.
    var failedStateBefore: Int?

    init(_ entry: (generation: Int, point: Result<RecoveryPoint, StoreError>)) {
        generation = entry.generation
        switch entry.point {
        case .failure(let error): damage = error.summary
        case .success(let point):
            createdAt = point.manifest.createdAt
            node = point.manifest.node.name
            profile = point.manifest.profile
            sourceBytes = point.manifest.sourceBytes
            storedBytes = point.manifest.storedBytes
            etcdRevision = point.manifest.etcd?.revision
            deployment = point.manifest.deployment
            verifiedAt = point.verifiedAt
            failedStateBefore = point.manifest.failedState?.target
        }
    }

    static func table(_ listings: [PointListing]) -> String {
        var table = TextTable(
            ("POINT", .right),
            ("TIME", .left),
            ("NODE", .left),
            ("PROFILE", .left),
            ("SOURCE", .right),
            ("ON DISK", .right),
            ("REVISION", .right),
            ("DEPLOYMENT", .left),
            ("VERIFIED", .left)
        )
        var notes: [String] = []
        for listing in listings {
            if let reason = listing.damage {
                table.add("\(listing.generation)", "-", "-", "-", "-", "-", "-", "-", "DAMAGED")
                notes.append("recovery point \(listing.generation): \(reason.printable)")
                continue
            }
            if let target = listing.failedStateBefore {
                notes.append(
                    "recovery point \(listing.generation): the failed state before the recovery to \(target); "
                        + "'upgrade-recovery --undo' goes back to it"
                )
            }
            table.add(
                "\(listing.generation)",
                listing.createdAt ?? "-",
                listing.node ?? "-",
                listing.profile ?? "-",
                listing.sourceBytes.map { "\(ByteCount($0))" } ?? "-",
                listing.storedBytes.map { "\(ByteCount($0))" } ?? "-",
                listing.etcdRevision.map { "\($0)" } ?? "-",
                listing.deployment.map { String($0.prefix(12)) } ?? "-",
                listing.verifiedAt ?? "never"
            )
        }
        return ([table.text(width: Streams.columns)] + notes).joined(separator: "\n")
    }
}

/// What `node-backup create` prints about the recovery point that it took.
struct PointSummary: Encodable {
    var generation: Int
    var path: String
    var createdAt: String
    var durationSeconds: Double
    var sourceBytes: Int64
    var storedBytes: Int64
    var etcdRevision: Int64?
    var deployment: String?
    var isVerified: Bool

    init(_ point: RecoveryPoint) {
        generation = point.generation
        path = point.directory.string
        createdAt = point.manifest.createdAt
        durationSeconds = point.manifest.durationSeconds
        sourceBytes = point.manifest.sourceBytes
        storedBytes = point.manifest.storedBytes
        etcdRevision = point.manifest.etcd?.revision
        deployment = point.manifest.deployment
        isVerified = point.isVerified
    }

    var sentence: String {
        "Recovery point \(generation) is in '\(path)': \(ByteCount(sourceBytes)), stored in \(ByteCount(storedBytes)), "
            + "\(isVerified ? "verified" : "not verified"), \(Duration.milliseconds(Int64(durationSeconds * 1000)).operatorText)."
    }
}

/// `node-backup show` for people.
enum PointDescription {
    static func text(of point: RecoveryPoint) -> String {
        let manifest = point.manifest
        var lines = [
            "Recovery point \(manifest.generation) in '\(point.directory)'",
            "  taken       \(manifest.createdAt), in \(Duration.milliseconds(Int64(manifest.durationSeconds * 1000)).operatorText)",
            "  by          \(manifest.toolVersion.printable)",
            "  node        "
                + "\(manifest.node.name)\(manifest.node.machineID.map { " (machine id \($0))" } ?? "")".printable,
            "  profile     \(manifest.profile.printable)",
            "  size        \(ByteCount(manifest.sourceBytes)), stored in \(ByteCount(manifest.storedBytes))",
        ]
        if let failed = manifest.failedState {
            lines.append("  failed      the state before the recovery to recovery point \(failed.target)")
        }
        if let etcd = manifest.etcd {
            lines.append(
                "  etcd        \(etcd.serverVersion) at revision \(etcd.revision), \(etcd.totalKeys) keys, "
                    + "\(ByteCount(etcd.totalSizeBytes)), cluster \(etcd.clusterID)"
            )
            for alarm in etcd.alarms {
                lines.append("              alarm \(alarm.printable) is stored in the snapshot")
            }
        }
        if let deployment = manifest.deployment { lines.append("  deployment  \(deployment)") }
        lines.append("  verified    \(point.verifiedAt ?? "never")")
        var table = TextTable(
            ("COMPONENT", .left),
            ("FILES", .right),
            ("SOURCE", .right),
            ("ON DISK", .right),
            ("NOTES", .left)
        )
        for component in manifest.components {
            var notes: [String] = []
            if let generation = component.sharedWith { notes.append("shared with \(generation)") }
            if !component.leftOut.isEmpty { notes.append("\(component.leftOut.count) left out") }
            if !component.unstable.isEmpty { notes.append("\(component.unstable.count) kept changing") }
            if !component.unreadable.isEmpty { notes.append("\(component.unreadable.count) unreadable") }
            table.add(
                component.name,
                "\(component.sourceFiles)",
                component.sourceBytes > 0 ? "\(ByteCount(component.sourceBytes))" : "-",
                "\(ByteCount(component.files.reduce(0) { $0 + $1.sizeBytes }))",
                notes.joined(separator: ", ")
            )
        }
        for component in manifest.skipped { table.add(component.name, "-", "-", "-", "skipped: \(component.reason)") }
        lines += ["", table.text(width: Streams.columns)]
        for component in manifest.components {
            let notes = [
                ("Left out", component.leftOut), ("Kept changing", component.unstable),
                ("Unreadable", component.unreadable),
            ]
            for (title, list) in notes where !list.isEmpty {
                lines += ["", "\(title) of \(component.name):"]
                lines += list.prefix(20).map { "  /\($0.path): \($0.reason)".printable }
                if list.count > 20 { lines.append("  and \(list.count - 20) more: see --json") }
            }
        }
        return lines.joined(separator: "\n")
    }
}

/// What `node-backup verify` found in one recovery point.
struct VerificationReport: Encodable {
    struct Component: Encodable {
        var name: String
        var faults: [String]
    }

    var generation: Int
    var isGood: Bool
    var components: [Component]
    var damage: String?

    init(_ point: RecoveryPoint, _ results: [String: Verification.Result]) {
        generation = point.generation
        components = point.manifest.components.map { Component(name: $0.name, faults: results[$0.name]?.faults ?? []) }
        isGood = components.allSatisfy(\.faults.isEmpty)
    }

    init(generation: Int, unreadable reason: String) {
        self.generation = generation
        isGood = false
        components = []
        damage = reason
    }

    var text: String {
        if let damage { return "Recovery point \(generation): DAMAGED\n  \(damage.printable)" }
        guard !isGood else {
            return "Recovery point \(generation): good (\(components.map(\.name).joined(separator: ", ")))"
        }
        let lines = components.filter { !$0.faults.isEmpty }.flatMap { component in
            component.faults.prefix(10).map { "  \(component.name): \($0)".printable }
                + (component.faults.count > 10 ? ["  \(component.name): and \(component.faults.count - 10) more"] : [])
        }
        return (["Recovery point \(generation): DAMAGED"] + lines).joined(separator: "\n")
    }
}

/// A line of `node-backup prune`.
struct PruneLine: Encodable {
    var generation: Int
    var isRemoved: Bool
    var reason: String

    init(_ decision: Retention.Decision) {
        generation = decision.generation
        isRemoved = decision.isRemoved
        reason = decision.reason
    }

    static func text(of decisions: [Retention.Decision], isDryRun: Bool) -> String {
        guard !decisions.isEmpty else { return "There is no recovery point." }
        return decisions.map { decision in
            let verb = decision.isRemoved ? (isDryRun ? "would remove" : "removed") : (isDryRun ? "would keep" : "kept")
            return "\(verb) \(decision.generation): \(decision.reason.printable)"
        }.joined(separator: "\n")
    }
}

extension RecoveryStore {
    /// The recovery point that was named, else the newest.
    func chosen(_ generation: Int?) throws -> RecoveryPoint {
        if let generation { return try point(generation) }
        guard let newest = try newest() else { throw StoreError.empty(directory: path.string) }
        return newest
    }

    /// The same, with the damage of one whose manifest cannot be read as a value.
    func chosenEntry(_ generation: Int?) throws -> (generation: Int, point: Result<RecoveryPoint, StoreError>) {
        let all = try all()
        if let generation {
            guard let entry = all.first(where: { $0.generation == generation }) else {
                throw StoreError.noPoint(generation: generation, directory: path.string)
            }
            return entry
        }
        guard let newest = all.last else { throw StoreError.empty(directory: path.string) }
        return newest
    }
}

extension BackupForecast {
    /// The plan for people.
    var text: String {
        var lines = [
            "Plan for node '\(node.printable)', profile \(profile)\(profileEvidence.map { " (by \($0))" } ?? "")",
            "Recovery points in '\(directory)': about \(ByteCount(neededBytes)) needed, \(ByteCount(freeBytes)) free"
                + (neededBytes > freeBytes ? ", NOT ENOUGH" : ""),
            "",
        ]
        var table = TextTable(
            ("COMPONENT", .left),
            ("ACTION", .left),
            ("FILES", .right),
            ("SOURCE", .right),
            ("NOTES", .left)
        )
        for component in components {
            let isSkipped = component.action == "skip"
            table.add(
                component.name,
                component.action,
                isSkipped ? "-" : "\(component.sourceFiles)",
                component.sourceBytes > 0 ? "\(ByteCount(component.sourceBytes))" : "-",
                ([component.note].compactMap { $0 } + component.sources.prefix(6)
                    + (component.sources.count > 6 ? ["and \(component.sources.count - 6) more"] : [])
                    + component.exclusions.map { "except \($0)" })
                    .joined(separator: "; ")
            )
        }
        lines.append(table.text(width: Streams.columns))
        return lines.joined(separator: "\n")
    }
}
