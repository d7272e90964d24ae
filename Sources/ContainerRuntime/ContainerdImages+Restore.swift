public import Files
internal import FoundationEssentials
public import NodeInterface
internal import RPC
internal import Reporting
internal import SystemPackage

extension ContainerdImages {
    /// Puts images of a layout into the runtime's store under their names, unpacked and on the disk.
    ///
    /// Each image: its blobs, those without others below them first; its layers, each synced before the runtime takes
    /// it as whole, as the runtime syncs only its database; its names, those with a digest first. At the end the runtime
    /// is asked for each name.
    /// - Throws: ``ImageStoreError``, `FilesError`, `Stopped`.
    public func restore(
        _ saved: SavedImages,
        from layout: Directory,
        leaseUntil: String,
        progress: @escaping (Int64) -> Void
    ) throws -> RestoredImages {
        let client = client()
        let (snapshotter, root) = try snapshotter(client)
        client.lease = try takeLease(client, until: leaseUntil)
        var run = RestoreRun(
            store: self,
            client: client,
            saved: saved,
            layout: try ImageLayout(reading: layout),
            snapshotter: snapshotter,
            snapshots: try Directory(path: root),
            progress: progress
        )
        for image in saved.images {
            try cancellation.check()
            try run.put(image)
        }
        if let lease = client.lease { try delete(lease, client) }
        return run.report
    }
}

/// One run of restoring.
private struct RestoreRun {
    let store: ContainerdImages
    let client: ContainerdClient
    let layout: ImageLayout
    let snapshotter: String
    let snapshots: Directory
    let progress: (Int64) -> Void
    var report = RestoredImages(images: [], writtenBlobs: 0, writtenBytes: 0, unpackedLayers: 0)
    private let blobs: [String: SavedBlob]
    /// The blob that stands for a layer which was discarded, by the layer's digest.
    private let rebuilt: [String: SavedBlob]

    init(
        store: ContainerdImages,
        client: ContainerdClient,
        saved: SavedImages,
        layout: ImageLayout,
        snapshotter: String,
        snapshots: Directory,
        progress: @escaping (Int64) -> Void
    ) {
        self.store = store
        self.client = client
        self.layout = layout
        self.snapshotter = snapshotter
        self.snapshots = snapshots
        self.progress = progress
        blobs = Dictionary(saved.blobs.map { ($0.digest, $0) }) { first, _ in first }
        rebuilt = Dictionary(
            saved.blobs.compactMap { blob in blob.rebuiltFor.map { ($0, blob) } }
        ) { first, _ in first }
    }

    mutating func put(_ image: SavedImage) throws {
        let target = try document(image.target.digest, as: ImageManifest.self)
        if let children = target.manifests {
            var labels: [String: String] = [:]
            for (number, child) in children.enumerated() {
                labels["\(ContainerdImages.contentLabel)m.\(number)"] = child.digest
                guard blobs[child.digest] != nil else { continue }
                try put(document(child.digest, as: ImageManifest.self), of: child.digest)
            }
            try write(image.target, labels: labels)
        } else {
            try put(target, of: image.target.digest)
        }
        // Names with a digest first: a name with a tag is what others look for.
        for (name, labels) in image.names.sorted(by: { (Self.rank($0.key), $0.key) < (Self.rank($1.key), $1.key) }) {
            try name.isEmpty ? () : create(name, labels, image.target)
        }
        for name in image.names.keys.sorted() { try prove(name, image.id) }
        report.images.append(image.names.keys.sorted { (Self.rank($1), $0) < (Self.rank($0), $1) }.first ?? image.id)
    }

    private static func rank(_ name: String) -> Int {
        name.contains("@") ? 0 : name.hasPrefix("sha256:") ? 1 : 2
    }

    private mutating func put(_ manifest: ImageManifest, of digest: String) throws {
        guard let config = manifest.config, let layers = manifest.layers else {
            throw ImageStoreError(
                store.socket,
                .badDocument(digest: digest, reason: "it is neither a manifest nor an index")
            )
        }
        let diffIDs = try document(config.digest, as: ImageConfiguration.self).rootfs.diff_ids
        guard diffIDs.count == layers.count, !layers.isEmpty else {
            throw ImageStoreError(
                store.socket,
                .badDocument(
                    digest: config.digest,
                    reason: "it has \(diffIDs.count) layers, and its manifest has \(layers.count)"
                )
            )
        }
        let chain = ImageDigest.chain(of: diffIDs)
        var labels = ["\(ContainerdImages.contentLabel)config": config.digest]
        for (number, layer) in layers.enumerated() where rebuilt[layer.digest] == nil {
            try write(blob(layer.digest), labels: [:])
            labels["\(ContainerdImages.contentLabel)l.\(number)"] = layer.digest
        }
        try write(blob(config.digest), labels: [:])
        try write(blob(digest), labels: labels)
        for (number, layer) in layers.enumerated() {
            try unpack(layer, chain, number, diffID: diffIDs[number])
        }
        try client.update(config.digest, labels: [ContainerdImages.snapshotLabel + snapshotter: chain[chain.count - 1]])
    }

    private func blob(_ digest: String) throws(ImageStoreError) -> SavedBlob {
        guard let blob = blobs[digest] else {
            throw ImageStoreError(
                store.socket,
                .badDocument(digest: digest, reason: "the layout does not have it")
            )
        }
        return blob
    }

    /// Reads a document of the layout; its digest is proved.
    private func document<Document: Decodable>(_ digest: String, as type: Document.Type) throws -> Document {
        guard let name = ImageLayout.name(of: digest), blobs[digest] != nil else {
            throw ImageStoreError(
                store.socket,
                .badDocument(digest: digest, reason: "the layout does not have it")
            )
        }
        let path = layout.blobs.path.appending(name)
        let file = try layout.blobs.open(name)
        let bytes = try file.descriptor.readAll(limitBytes: Int(ImageDigest.documentLimitBytes), path: path.string)
        let found = ImageDigest.text(SHA256Hasher.digest(of: bytes))
        guard found == digest else { throw ImageStoreError(store.socket, .damagedFile(path, found: found)) }
        do { return try JSONDecoder().decode(Document.self, from: Data(bytes)) } catch {
            throw ImageStoreError(store.socket, .badDocument(digest: digest, reason: "it is not the JSON of an image"))
        }
    }

    private mutating func write(_ blob: SavedBlob, labels: [String: String]) throws {
        try store.cancellation.check()
        guard let name = ImageLayout.name(of: blob.digest) else {
            throw ImageStoreError(store.socket, .badDocument(digest: blob.digest, reason: "its digest is not SHA-256"))
        }
        let reader = try BlobReader(name, in: layout.blobs)
        var descriptor = PBDescriptor()
        descriptor.mediaType = blob.mediaType
        descriptor.digest = blob.digest
        descriptor.size = blob.sizeBytes
        let progress = progress
        let isWritten = try client.write(descriptor, labels: labels) {
            let piece = try reader.next()
            progress(Int64(piece?.count ?? 0))
            return piece
        }
        if isWritten {
            report.writtenBlobs += 1
            report.writtenBytes += blob.sizeBytes
        }
    }

    /// Unpacks a layer on top of those below it, unless it is unpacked.
    private mutating func unpack(
        _ layer: ImageManifest.Part,
        _ chain: [String],
        _ number: Int,
        diffID: String
    ) throws {
        try store.cancellation.check()
        guard try !store.isUnpacked(chain[number], snapshotter, client) else { return }
        var descriptor = layer.descriptor
        if let made = rebuilt[layer.digest] {
            try write(made, labels: [:])
            descriptor.mediaType = "application/vnd.oci.image.layer.v1.tar"
            descriptor.digest = made.digest
            descriptor.size = made.sizeBytes
        }
        let key = "\(ContainerdImages.ownPrefix)\(chain[number])"
        var request = PBApplyRequest()
        request.diff = descriptor
        request.mounts = try store.mounts(
            "Prepare",
            key,
            parent: number > 0 ? chain[number - 1] : "",
            snapshotter,
            client
        )
        request.syncFs = true
        let answer: PBApplyResponse = try client.call(
            "diff.v1.Diff/Apply",
            request,
            "unpack the layer",
            layer.digest,
            limit: .seconds(600)
        )
        // What was made again has the same files in another order or form, and so another digest.
        guard rebuilt[layer.digest] != nil || answer.applied.digest == diffID else {
            try store.remove(key, snapshotter, client)
            throw ImageStoreError(
                store.socket,
                .otherLayer(digest: layer.digest, wanted: diffID, found: answer.applied.digest)
            )
        }
        // The runtime syncs its database when it takes the layer as whole, and the files never: after a power cut they
        // would be empty, in a layer that counts as whole.
        try snapshots.syncFileSystem()
        var commit = PBCommitSnapshotRequest()
        commit.snapshotter = snapshotter
        commit.name = chain[number]
        commit.key = key
        do {
            let _: PBEmpty = try client.call(
                "snapshots.v1.Snapshots/Commit",
                commit,
                "take as whole the layer",
                layer.digest
            )
        } catch let error as ImageStoreError where error.status == GRPCStatus.alreadyExists {
            try store.remove(key, snapshotter, client)
        }
        report.unpackedLayers += 1
    }

    /// Gives an image a name; another image that has it loses it.
    private func create(_ name: String, _ labels: [String: String], _ target: SavedBlob) throws {
        var image = PBNamedImage()
        image.name = name
        image.labels = labels.merging([ContainerdImages.managedLabel: "managed"]) { $1 }
        // Without a target 1.7 and 2.x die of the call, whatever the mask says.
        image.target.mediaType = target.mediaType
        image.target.digest = target.digest
        image.target.size = target.sizeBytes
        do {
            var request = PBCreateNamedImageRequest()
            request.image = image
            let _: PBCreateNamedImageResponse = try client.call(
                "images.v1.Images/Create",
                request,
                "name the image",
                name
            )
        } catch let error as ImageStoreError where error.status == GRPCStatus.alreadyExists {
            var request = PBUpdateNamedImageRequest()
            request.image = image
            request.updateMask.paths = ["target"] + image.labels.keys.sorted().map { "labels.\($0)" }
            let _: PBCreateNamedImageResponse = try client.call(
                "images.v1.Images/Update",
                request,
                "name the image",
                name
            )
        }
    }

    /// Asks the CRI for a name; it hears of new names a moment later.
    private func prove(_ name: String, _ id: String) throws {
        var request = PBImageStatusRequest()
        request.image.image = name
        var found: String?
        for attempt in 0..<50 {
            let answer: PBImageStatusResponse = try client.cri("ImageService/ImageStatus", request, name)
            found = answer.hasImage && !answer.image.id.isEmpty ? answer.image.id : nil
            if found == id { return }
            if attempt < 49 { store.cancellation.wait(.milliseconds(100)) }
            try store.cancellation.check()
        }
        throw ImageStoreError(store.socket, .notTaken(name: name, found: found))
    }
}
