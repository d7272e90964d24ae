import Archives
import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// What a restore leaves alone, in one place.
enum RestoreExclusions {
    /// Where static pods lie: restored with the component of that name, as one set, when the point has it.
    static let manifests: PathPattern = "etc/kubernetes/manifests"

    /// Paths below the trees of a component that a restore neither writes nor removes.
    static let rows: [(component: ComponentName, pattern: PathPattern, reason: String)] = [
        (.etc, "etc/.updated", "systemd's own time stamp"),
        (.etc, "etc/systemd/system/kubelet.service.d/zz-node-recovery-hold.conf", "holds the kubelet meanwhile"),
        (.etc, "etc/systemd/system/upgrade-recovery-resume.service", "continues after the reboot"),
        (.etc, "etc/systemd/system/multi-user.target.wants/upgrade-recovery-resume.service", "the same"),
        (.etc, "etc/motd.d/node-recovery", "shown to whoever logs in meanwhile"),
        (.etc, "etc/crio/crio.conf.d/99-node-recovery", "keeps CRI-O from removing its images meanwhile"),
    ]

    /// All patterns for a component of one recovery point.
    ///
    /// What the backup left out on purpose, or could not read, is not in the point: it stays as it is on the node.
    static func patterns(
        for component: ComponentName,
        entry: ComponentEntry,
        kept: [String],
        hasStaticPods: Bool
    ) -> [PathPattern] {
        var patterns = rows.filter { $0.component == component }.map(\.pattern)
        if component == .etc, hasStaticPods { patterns.append(manifests) }
        patterns += kept.compactMap { PathPattern(text: $0) }
        let gone: Set<String> = ["missing", "vanished"]
        for note in entry.leftOut where !gone.contains(note.reason) {
            if let path = FileName.bytes(of: note.path).flatMap({ TreePath(validating: $0) }), !path.isRoot {
                patterns.append(PathPattern(path))
            }
        }
        for note in entry.unreadable {
            if let path = FileName.bytes(of: note.path).flatMap({ TreePath(validating: $0) }), !path.isRoot {
                patterns.append(PathPattern(path))
            }
        }
        return patterns
    }
}
