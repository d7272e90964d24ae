import Backup
import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage

/// The etcd member that a recovery restores: what its data directory has to say of itself, so that the node's etcd
/// takes it for its own, and where on the node that etcd keeps what.
struct EtcdMember: Equatable {
    /// `--name`.
    var name: String
    /// `--initial-advertise-peer-urls`.
    var peerURLs: [String]
    /// `--data-dir`, as a path of the node.
    var dataDirectory: FilePath
    /// `--wal-dir`, as a path of the node; `nil` when the log is in the data directory.
    var logDirectory: FilePath?
    /// The systemd unit that runs it; `nil` for a static pod.
    var unit: String?

    /// Reads it from the files of a recovery point.
    ///
    /// Where a static pod says all of it, that counts. An etcd outside a static pod may leave its name or its address to
    /// the command line of something else: then it is the one member of the snapshot's own list that fits.
    /// - Parameter node: the node now, asked when the recovery point's files say nothing of etcd: a unit below `/usr/lib`
    ///   is in no recovery point.
    /// - Parameter members: those of the snapshot; `nil` for a recovery point of an earlier version.
    /// - Throws: ``RecoveryError/memberUnknown(_:)``, ``EtcdRefusal``.
    static func read(
        from files: (any FileSource)?,
        node: RootDirectory? = nil,
        profile: NodeProfile,
        nodeName: String,
        members: [EtcdMemberEntry]? = nil
    ) throws -> EtcdMember {
        guard profile != .plain else { throw RecoveryError.memberUnknown("its profile is plain") }
        var place = try files.flatMap { try EtcdPlace.find(in: $0, profile: profile, nodeName: nodeName) }
        if place == nil || place?.data == .unknown, let node,
            let live = try EtcdPlace.find(in: node, profile: profile, nodeName: nodeName), live.unit != nil
        {
            place = live
        }
        guard let place else {
            throw RecoveryError.memberUnknown(
                files == nil ? "it has no static pods" : "neither a static pod nor a unit of etcd is in it"
            )
        }
        let data = try path(place.data, option: "--data-dir", of: place)
        let log = try place.log.map { try path($0, option: "--wal-dir", of: place) }
        var member = EtcdMember(
            name: place.name ?? "",
            peerURLs: place.peerURLs,
            dataDirectory: data,
            logDirectory: log,
            unit: place.unit
        )
        guard member.name.isEmpty || member.peerURLs.isEmpty else { return member }
        let fitting = (members ?? []).filter { known in
            !known.name.isEmpty && (member.name.isEmpty || member.name == known.name)
                && (member.peerURLs.isEmpty || Set(member.peerURLs) == Set(known.peerURLs))
        }
        guard fitting.count == 1, let only = fitting.first else {
            throw RecoveryError.memberUnknown(
                "'\(place.source)' has no --name or --initial-advertise-peer-urls, and \(fitting.count) members of "
                    + "the snapshot fit"
            )
        }
        member.name = only.name
        member.peerURLs = only.peerURLs
        return member
    }

    private static func path(_ location: EtcdPlace.Location, option: String, of place: EtcdPlace) throws -> FilePath {
        switch location {
        case .onNode(let path): return path
        case .onlyInPod(let path): throw EtcdRefusal.onlyInPod(option: option, path: path, manifest: place.source)
        case .unknown: throw EtcdRefusal.nowhere(option: option, source: place.source)
        }
    }
}

/// Why etcd cannot be restored where the node's etcd would find it.
enum EtcdRefusal: OperatorError, Equatable {
    /// The directory is inside the pod only.
    case onlyInPod(option: String, path: FilePath, manifest: FilePath)
    /// Nothing says where the directory is.
    case nowhere(option: String, source: FilePath)
    /// Something is mounted where a rename would have to replace it.
    case mounted(FilePath)
    /// Two directories of etcd are in each other, so that one cannot be replaced without the other.
    case nested(log: FilePath, data: FilePath)
    /// The snapshot is of a cluster with several members; their names.
    case severalMembers([String])

    var summary: String {
        switch self {
        case .onlyInPod(let option, let path, let manifest):
            "'\(manifest)' keeps etcd's data (\(option)) at '\(path)' in the pod, where no directory of the node is mounted"
        case .nowhere(let option, let source): "'\(source)' does not say where etcd keeps its data (\(option))"
        case .mounted(let path):
            "'\(path)' is a mount point inside etcd's data: the restored member cannot take its place"
        case .nested(let log, let data):
            "etcd's log '\(log)' and its data '\(data)' are not in directories of their own: they cannot be replaced"
        case .severalMembers(let names):
            "the snapshot is of a cluster with \(names.count) members (\(names.joined(separator: ", "))): restored here "
                + "it would be a second cluster beside the others"
        }
    }

    var hint: String? {
        switch self {
        case .onlyInPod(_, _, let manifest), .nowhere(_, let manifest):
            "give etcd a hostPath volume there in '\(manifest)', then 'node-backup create'; or restore by hand with "
                + "'node-backup extract POINT etcd --to DIR' and 'etcd-snapshot restore'"
        case .mounted(let path):
            "stop etcd, 'umount \(path)' and mount it again after the recovery, or move the mount to etcd's data directory"
        case .nested: "restore by hand with 'node-backup extract POINT etcd --to DIR' and 'etcd-snapshot restore'"
        case .severalMembers:
            "replace this member in the living cluster ('etcdctl member remove', 'member add'); if all other members are "
                + "lost for good, make a new cluster of this one with --force-new-cluster"
        }
    }

    var exitStatus: ExitStatus { .config }
}
