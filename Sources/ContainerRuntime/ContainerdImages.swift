public import NodeInterface
internal import RPC
public import Reporting
public import SystemPackage

/// The contents of the images of a containerd, over its own services on the socket of its CRI.
public struct ContainerdImages: ImageStore {
    /// The runtime's socket.
    public let socket: FilePath
    let cancellation: Cancellation

    /// The images of the containerd that listens at `socket`; nothing is connected yet.
    public init(socket: FilePath, cancellation: Cancellation) {
        self.socket = socket
        self.cancellation = cancellation
    }

    /// What marks a name as one of the CRI's.
    static let managedLabel = "io.cri-containerd.image"
    /// What keeps an image's unpacked layers, on its configuration; the name of the snapshotter follows.
    static let snapshotLabel = "containerd.io/gc.ref.snapshot."
    /// What keeps the blobs that a blob names, on the blob that names them.
    static let contentLabel = "containerd.io/gc.ref.content."
    /// What the names of everything that is only for a while start with.
    static let ownPrefix = "node-recovery-"

    func client() -> ContainerdClient { ContainerdClient(socket: socket, cancellation: cancellation) }

    /// The directory and the name of the snapshotter that the CRI uses.
    ///
    /// The CRI's image file system is `ROOT/io.containerd.snapshotter.v1.NAME`, in every version; its status names it
    /// only up to 1.7.
    func snapshotter(_ client: ContainerdClient) throws -> (name: String, root: FilePath) {
        let prefix = "io.containerd.snapshotter.v1."
        let info: PBImageFsInfoResponse = try client.cri(
            "ImageService/ImageFsInfo",
            PBImageFsInfoRequest(),
            "the image file system"
        )
        let place = FilePath(info.imageFilesystems.first?.fsID.mountpoint ?? "")
        guard place.isAbsolute, let last = place.lastComponent?.string, last.hasPrefix(prefix) else {
            throw ImageStoreError(socket, .noSnapshotter)
        }
        return (String(last.dropFirst(prefix.count)), place)
    }

    /// Deletes what earlier runs that were interrupted have left, and makes a lease for this one.
    ///
    /// A lease that is left keeps also what is damaged, and would defeat a repair.
    func takeLease(_ client: ContainerdClient, until: String?) throws -> String {
        let list: PBListLeasesResponse = try client.call(
            "leases.v1.Leases/List",
            PBListLeasesRequest(),
            "list",
            "leases"
        )
        for lease in list.leases where lease.id.hasPrefix(Self.ownPrefix) { try delete(lease.id, client) }
        var request = PBCreateLeaseRequest()
        request.id = "\(Self.ownPrefix)\(UInt64.random(in: 0 ... .max))"
        if let until { request.labels = ["containerd.io/gc.expire": until] }
        let _: PBLeaseEnvelope = try client.call("leases.v1.Leases/Create", request, "create the lease", request.id)
        return request.id
    }

    /// Deletes a lease; one that does not exist stays so.
    func delete(_ lease: String, _ client: ContainerdClient) throws {
        var request = PBDeleteLeaseRequest()
        request.id = lease
        request.sync = true
        do {
            let _: PBEmpty = try client.call(
                "leases.v1.Leases/Delete",
                request,
                "delete the lease",
                lease,
                limit: .seconds(300)
            )
        } catch let error as ImageStoreError where error.status == GRPCStatus.notFound {
            // ignored: it is what was wanted
        }
    }

    /// Removes a snapshot that is only for a while; one that does not exist stays so.
    func remove(_ key: String, _ snapshotter: String, _ client: ContainerdClient) throws {
        var request = PBSnapshotRequest()
        request.snapshotter = snapshotter
        request.key = key
        do {
            let _: PBEmpty = try client.call("snapshots.v1.Snapshots/Remove", request, "remove the snapshot", key)
        } catch let error as ImageStoreError where error.status == GRPCStatus.notFound {
            // ignored: it is what was wanted
        }
    }

    /// Whether layers are unpacked under a name.
    func isUnpacked(_ chain: String, _ snapshotter: String, _ client: ContainerdClient) throws -> Bool {
        var request = PBSnapshotRequest()
        request.snapshotter = snapshotter
        request.key = chain
        do {
            let _: PBEmpty = try client.call("snapshots.v1.Snapshots/Stat", request, "look for the snapshot", chain)
            return true
        } catch let error as ImageStoreError where error.status == GRPCStatus.notFound {
            return false
        }
    }

    /// Makes a snapshot that is only for a while: a view, or one to unpack into.
    ///
    /// One that was left is replaced.
    func mounts(
        _ method: String,
        _ key: String,
        parent: String,
        _ snapshotter: String,
        _ client: ContainerdClient
    ) throws -> [PBMount] {
        var request = PBPrepareSnapshotRequest()
        request.snapshotter = snapshotter
        request.key = key
        request.parent = parent
        do {
            let answer: PBMountsResponse = try client.call(
                "snapshots.v1.Snapshots/\(method)",
                request,
                "make the snapshot",
                key
            )
            return answer.mounts
        } catch let error as ImageStoreError where error.status == GRPCStatus.alreadyExists {
            try remove(key, snapshotter, client)
            let answer: PBMountsResponse = try client.call(
                "snapshots.v1.Snapshots/\(method)",
                request,
                "make the snapshot",
                key
            )
            return answer.mounts
        }
    }
}
