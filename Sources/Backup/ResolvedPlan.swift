import Archives
import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// What one backup of one node would do: every component with its source found, nothing changed yet.
struct ResolvedPlan {
    /// What becomes of one component.
    struct Entry {
        var component: Component
        var work: Work
        /// Bytes of content, before compression.
        var sourceBytes: Int64
        /// Files, directories and links.
        var sourceFiles: Int64
        /// Bytes that it will take, as estimated.
        var storedBytes: Int64
        /// Bytes that it takes in the directory while it is written and verified, beyond ``storedBytes``.
        var workingBytes: Int64 = 0
        /// What is left out before anything is looked at.
        var leftOut: [PathNote] = []

        /// Whether nothing is taken.
        var isSkipped: Bool {
            if case .skip = work { return true }
            return false
        }
    }

    /// What is to be done for a component.
    enum Work {
        /// Stream a snapshot.
        case etcd(EtcdEndpoint, EtcdMemberStatus)
        /// Link the snapshot of an earlier recovery point: the member has put nothing into its database since.
        case shareSnapshot(EtcdEndpoint, from: RecoveryPoint, ComponentEntry, EtcdEntry)
        /// Archive a selection of the node's files.
        case tree(TreeSelection)
        /// Link the files of an earlier recovery point: nothing has changed since.
        case share(TreeSelection, from: RecoveryPoint, ComponentEntry, leftOut: [LeftOut])
        /// Record all deployments and pin one.
        case deployment([Deployment], pinned: Deployment)
        /// Record the images of the runtime.
        case images([ContainerImage], runtime: String)
        /// Nothing, for this reason; whether the recovery point is a partial one for it.
        case skip(String, makesPartial: Bool)
    }

    var profile: ProfileDetector.Finding
    var identity: NodeIdentity
    var entries: [Entry]
    /// The deployment that is recorded, and is to be pinned.
    var pinned: Deployment? {
        for case .deployment(_, let pinned) in entries.map(\.work) { return pinned }
        return nil
    }

    /// The directory that holds the recovery points, and its space.
    var directory: FilePath
    var freeBytes: Int64

    /// Bytes that must be free: everything that stays, the largest working space, and some room to breathe.
    var neededBytes: Int64 {
        let reserve: Int64 = 32 << 20
        return entries.reduce(reserve) { $0.addingSaturated($1.storedBytes) }
            .addingSaturated(entries.map(\.workingBytes).max() ?? 0)
    }

    /// Bytes of content of all components that are written again.
    var workBytes: Int64 {
        entries.reduce(0) { sum, entry in
            switch entry.work {
            case .etcd, .tree: sum.addingSaturated(entry.sourceBytes)
            default: sum
            }
        }
    }
}
