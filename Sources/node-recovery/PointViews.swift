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
    /// The components that it has, by name.
    var components: [String]?
    /// The components that the node had and it has not; absent in a whole recovery point.
    var lacking: [String]?
    /// What a newer program wrote into it and this one cannot restore; absent for nothing.
    var unknown: [String]?
    /// Why its manifest cannot be read.
    var damage: String?
    /// Whether that is because a newer program wrote it; absent otherwise.
    var isOfNewerProgram: Bool?
    /// Set in a failed state that a recovery has kept: the recovery point that it went to.
    var failedStateBefore: Int?

    init(_ entry: (generation: Int, point: Result<RecoveryPoint, StoreError>)) {
        generation = entry.generation
        switch entry.point {
        case .failure(let error):
            damage = error.summary
            if case .unknownFormat = error { isOfNewerProgram = true }
        case .success(let point):
            let manifest = point.manifest
            components = manifest.components.map(\.name)
            lacking = manifest.isWhole ? nil : manifest.lacking.map(\.name)
            unknown = manifest.unknownParts.isEmpty ? nil : manifest.unknownParts
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
            ("VERIFIED", .left),
            ("COMPONENTS", .left)
        )
        var notes: [String] = []
        for listing in listings {
            if let reason = listing.damage {
                table.add(
                    "\(listing.generation)",
                    "-",
                    "-",
                    "-",
                    "-",
                    "-",
                    "-",
                    "-",
                    listing.isOfNewerProgram == true ? "NEWER" : "DAMAGED",
                    "-"
                )
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
                listing.verifiedAt ?? "never",
                (listing.components ?? []).joined(separator: ", ")
            )
            if let lacking = listing.lacking {
                notes.append(
                    "recovery point \(listing.generation): partial, without \(lacking.joined(separator: ", "))"
                )
            }
            if let unknown = listing.unknown {
                notes.append(
                    "recovery point \(listing.generation): a newer program wrote \(unknown.joined(separator: ", ")), "
                        + "which this one cannot restore"
                )
            }
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
    /// - Parameter others: the other recovery points of the store: what is shared is shared with one of them.
    static func text(of point: RecoveryPoint, among others: [RecoveryPoint]) -> String {
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
        if !manifest.isWhole {
            lines.append("  partial     without \(manifest.lacking.map(\.name).joined(separator: ", "))")
        }
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
            if component.component == nil { notes.append("of a newer program, cannot be restored") }
            if let other = others.last(where: { $0.manifest.component(named: component.name)?.files == component.files }
            ) {
                notes.append("shared with \(other.generation)")
            }
            if component.leftOutCount > 0 { notes.append("\(component.leftOutCount) left out") }
            if component.unstableCount > 0 { notes.append("\(component.unstableCount) kept changing") }
            if component.unreadableCount > 0 { notes.append("\(component.unreadableCount) unreadable") }
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
                ("Left out", component.leftOut, component.leftOutCount),
                ("Kept changing", component.unstable, component.unstableCount),
                ("Unreadable", component.unreadable, component.unreadableCount),
            ]
            for (title, list, count) in notes where !list.isEmpty {
                lines += ["", "\(title) of \(component.name):"]
                lines += list.prefix(20).map { "  /\($0.path): \($0.reason)".printable }
                if count > 20 { lines.append("  and \(count - 20) more: see --json") }
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
        /// What could not be proved, as a newer program wrote it; absent when all was.
        var unproved: [String]?
    }

    var generation: Int
    var isGood: Bool
    var components: [Component]
    var damage: String?
    /// Set when a newer program wrote it, or a part of it, so that not all could be proved; absent otherwise.
    var isOfNewerProgram: Bool?

    init(_ point: RecoveryPoint, _ results: [String: Verification.Result]) {
        generation = point.generation
        components = point.manifest.components.map {
            Component(name: $0.name, faults: results[$0.name]?.faults ?? [], unproved: results[$0.name]?.unproved)
        }
        isOfNewerProgram = components.contains { $0.unproved != nil } ? true : nil
        isGood = components.allSatisfy(\.faults.isEmpty) && isOfNewerProgram == nil
    }

    init(generation: Int, unreadable error: StoreError) {
        self.generation = generation
        isGood = false
        components = []
        damage = error.summary
        if case .unknownFormat = error { isOfNewerProgram = true }
    }

    /// Whether something is wrong with it, and not only unknown.
    var isDamaged: Bool {
        components.contains { !$0.faults.isEmpty } || (damage != nil && isOfNewerProgram == nil)
    }

    var text: String {
        if let damage {
            return "Recovery point \(generation): \(isDamaged ? "DAMAGED" : "NOT VERIFIED")\n  \(damage.printable)"
        }
        if !isDamaged, isOfNewerProgram == true {
            let lines = components.flatMap { component in
                (component.unproved ?? []).map { "  \(component.name): \($0)".printable }
            }
            let proved = components.filter { $0.unproved == nil }.map(\.name).joined(separator: ", ")
            return
                (["Recovery point \(generation): VERIFIED IN PART, good as far as this program can tell (\(proved))"]
                + lines)
                .joined(separator: "\n")
        }
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
