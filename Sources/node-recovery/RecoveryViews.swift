import Recovery
import Reporting

/// A recovery's plan and progress as text.
enum RecoveryViews {
    /// The steps, a line each.
    static func steps(_ listing: [RecoveryPlan.StepEntry]) -> String {
        var table = TextTable(("PHASE", .left), ("STEP", .left), ("WHAT IT DOES", .left), ("ONLY WITH", .left))
        for entry in listing {
            table.add(entry.phase, entry.name, entry.summary, entry.conditions.joined(separator: "; "))
        }
        return table.text(width: Streams.columns)
    }

    /// What a recovery would do, in a few lines.
    static func summary(of plan: RecoveryPlan) -> String {
        var lines = [
            "Recovery point \(plan.generation) of \(plan.createdAt), node '\(plan.node.printable)', profile \(plan.profile.printable)"
        ]
        if let deployment = plan.deployment {
            let now = plan.deploymentNow
            lines.append(
                now == deployment
                    ? "deployment: \(deployment), which is booted"
                    : "deployment: from \(now ?? "none of ostree's") to \(deployment), with a reboot"
            )
        }
        if let revision = plan.etcdRevision {
            let now = plan.etcdRevisionNow.map { "\($0)" } ?? "unknown, it does not answer"
            lines.append("etcd: to revision \(revision) (now: \(now)), raised so that watchers notice")
        }
        for tree in plan.trees {
            if let skipped = tree.skipped {
                lines.append("\(tree.component): skipped, \(skipped)")
            } else {
                lines.append(
                    "\(tree.component): \(tree.written) to write (\(ByteCount(tree.writtenBytes))), "
                        + "\(tree.metadataOnly) with new metadata, \(tree.removed) to remove, "
                        + "\(tree.unchanged) unchanged"
                )
            }
        }
        for step in plan.steps {
            if let reason = step.skipped { lines.append("step \(step.name): skipped, \(reason)") }
        }
        return lines.joined(separator: "\n")
    }

    /// How far a recovery is.
    static func status(_ progress: RecoveryProgress, asJSON: Bool) throws -> String {
        var progress = progress
        progress.command = progress.command.map { GivenOptions(CommandLine.arguments).applied(to: $0) }
        if asJSON { return try JSONText.of(progress) }
        guard let generation = progress.generation else { return "No recovery has been started here." }
        var table = TextTable(("PHASE", .left), ("STEP", .left), ("STATE", .left), ("NOTE", .left))
        for step in progress.steps { table.add(step.phase, step.name, step.state, step.note ?? "") }
        let target = "to recovery point \(generation), started \(progress.begunAt ?? "")"
        let headline =
            switch progress.state {
            case .none, .underWay: "A recovery \(target) is under way."
            case .paused: "A recovery \(target) waits for a reboot."
            case .done: "The last recovery, \(target), is done."
            }
        var text = "\(headline)\n\n\(table.text(width: Streams.columns))"
        if let next = progress.next { text += "\n\nNext: \(next)" }
        if let command = progress.command { text += "\nType: \(command)" }
        return text
    }
}
