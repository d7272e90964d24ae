public import Files
internal import FoundationEssentials
public import NodeInterface
internal import RPC
internal import Reporting
internal import SystemPackage

extension ContainerdImages {
    /// Copies images into a layout; every blob is proved by its digest on the way.
    ///
    /// Of an index only the platforms that the node has are taken. A layer whose blob the runtime has discarded is made
    /// again from what is unpacked; it has another digest than the original, but unpacks to the same files.
    /// - Throws: ``ImageStoreError``, `FilesError`, `Stopped`.
    public func save(
        _ references: [String],
        into layout: Directory,
        sharing earlier: Directory?,
        progress: @escaping (Int64) -> Void
    ) throws -> SavedImages {
        let client = client()
        let list: PBListNamedImagesResponse = try client.call(
            "images.v1.Images/List",
            PBListNamedImagesRequest(),
            "list",
            "images"
        )
        var run = SaveRun(
            store: self,
            client: client,
            present: try client.contents(),
            layout: try ImageLayout(making: layout),
            earlier: try earlier.map { try ImageLayout(reading: $0) },
            progress: progress
        )
        defer { run.end() }
        var images: [String: SavedImage] = [:]
        var leftOut: [SavedImages.LeftOut] = []
        for reference in references {
            try cancellation.check()
            let forms = ImageReference(reference).forms
            guard let found = list.images.first(where: { forms.contains($0.name) }) else {
                leftOut.append(.init(image: reference, reason: "the runtime does not have it"))
                continue
            }
            let target = found.target
            guard images[target.digest] == nil else { continue }
            do {
                let id = try run.copy(target)
                let names = list.images.filter { $0.target.digest == target.digest }
                images[target.digest] = SavedImage(
                    id: id,
                    names: Dictionary(names.map { ($0.name, $0.labels) }) { first, _ in first },
                    target: SavedBlob(digest: target.digest, sizeBytes: target.size, mediaType: target.mediaType)
                )
            } catch let error as SaveRun.Incomplete {
                leftOut.append(.init(image: reference, reason: error.reason))
            }
        }
        let sorted = images.values.sorted { ($0.id, $0.target.digest) < ($1.id, $1.target.digest) }
        try run.layout.writeIndex(sorted)
        try run.layout.blobs.sync()
        try layout.sync()
        return SavedImages(
            images: sorted,
            blobs: run.blobs.values.sorted { $0.digest < $1.digest },
            leftOut: leftOut,
            writtenBytes: run.writtenBytes
        )
    }

    /// Reads every blob of a layout back and compares it with its digest.
    /// - Throws: `FilesError` when a file cannot be read for a reason other than that it does not exist; `Stopped`.
    public func verify(
        _ saved: SavedImages,
        in layout: Directory,
        progress: @escaping (Int64) -> Void
    ) throws -> [String] {
        let directory = try ImageLayout(reading: layout).blobs
        var faults: [String] = []
        let digests = Set(saved.blobs.map(\.digest))
        for image in saved.images where !digests.contains(image.target.digest) {
            faults.append("the blob '\(image.target.digest)' of the image \(image.id) is not recorded")
        }
        for blob in saved.blobs {
            try cancellation.check()
            guard let name = ImageLayout.name(of: blob.digest) else {
                faults.append("'\(blob.digest)' is not a SHA-256 digest")
                continue
            }
            let path = directory.path.appending(name)
            guard let stat = try directory.stat(name) else {
                faults.append("'\(path)' does not exist")
                continue
            }
            // Never more is read than is recorded.
            guard stat.kind == .regular, stat.size == blob.sizeBytes else {
                faults.append("'\(path)' has \(stat.size) bytes, and \(blob.sizeBytes) are recorded")
                continue
            }
            let reader = try BlobReader(name, in: directory)
            let digest = RunningDigest()
            while let piece = try reader.next() {
                try cancellation.check()
                piece.withUnsafeBytes { digest.update($0) }
                progress(Int64(piece.count))
            }
            let found = ImageDigest.text(digest.finish())
            if found != blob.digest { faults.append("'\(path)' is damaged: its digest is \(found)") }
        }
        return faults
    }
}

/// One run of saving.
private struct SaveRun {
    /// An image that cannot be saved whole.
    struct Incomplete: Error { let reason: String }

    let store: ContainerdImages
    let client: ContainerdClient
    let present: [String: PBContentInfo]
    let layout: ImageLayout
    let earlier: ImageLayout?
    let progress: (Int64) -> Void
    var blobs: [String: SavedBlob] = [:]
    var writtenBytes: Int64 = 0
    private var rebuilt: [String: String] = [:]

    init(
        store: ContainerdImages,
        client: ContainerdClient,
        present: [String: PBContentInfo],
        layout: ImageLayout,
        earlier: ImageLayout?,
        progress: @escaping (Int64) -> Void
    ) {
        self.store = store
        self.client = client
        self.present = present
        self.layout = layout
        self.earlier = earlier
        self.progress = progress
    }

    /// Copies the blob that a name stands for, and everything below it.
    /// - Returns: the image's id: the digest of its configuration.
    mutating func copy(_ target: PBDescriptor) throws -> String {
        let manifest = try document(target, as: ImageManifest.self)
        guard let children = manifest.manifests else { return try copy(manifest, of: target) }
        var id: String?
        // Other platforms' manifests are not in the store, or their configurations and layers are not.
        for child in children where present[child.digest] != nil {
            let part = try document(child.descriptor, as: ImageManifest.self)
            guard let config = part.config, present[config.digest] != nil else { continue }
            let found = try copy(part, of: child.descriptor)
            id = id ?? found
        }
        guard let id else { throw Incomplete(reason: "none of the platforms of its index is complete in the runtime") }
        return id
    }

    private mutating func copy(_ manifest: ImageManifest, of target: PBDescriptor) throws -> String {
        guard let config = manifest.config, let layers = manifest.layers else {
            throw ImageStoreError(
                store.socket,
                .badDocument(digest: target.digest, reason: "it is neither a manifest nor an index")
            )
        }
        let configuration = try document(config.descriptor, as: ImageConfiguration.self)
        let diffIDs = configuration.rootfs.diff_ids
        guard diffIDs.count == layers.count else {
            throw ImageStoreError(
                store.socket,
                .badDocument(
                    digest: config.digest,
                    reason: "it has \(diffIDs.count) layers, and its manifest has \(layers.count)"
                )
            )
        }
        let chain = ImageDigest.chain(of: diffIDs)
        for (number, layer) in layers.enumerated() {
            if present[layer.digest] != nil {
                try copyBlob(layer.descriptor)
            } else {
                try rebuild(layer.descriptor, chain, number)
            }
        }
        return config.digest
    }

    /// Copies a document, and reads it.
    private mutating func document<Document: Decodable>(
        _ descriptor: PBDescriptor,
        as type: Document.Type
    ) throws -> Document {
        guard descriptor.size <= ImageDigest.documentLimitBytes else {
            throw ImageStoreError(
                store.socket,
                .badDocument(digest: descriptor.digest, reason: "it has \(descriptor.size) bytes")
            )
        }
        guard present[descriptor.digest] != nil else {
            throw Incomplete(reason: "the runtime does not have its blob '\(descriptor.digest)'")
        }
        try copyBlob(descriptor)
        guard let name = ImageLayout.name(of: descriptor.digest) else { throw badDigest(descriptor) }
        let file = try layout.blobs.open(name)
        let bytes = try file.descriptor.readAll(
            limitBytes: Int(ImageDigest.documentLimitBytes),
            path: layout.blobs.path.appending(name).string
        )
        do { return try JSONDecoder().decode(Document.self, from: Data(bytes)) } catch {
            throw ImageStoreError(
                store.socket,
                .badDocument(digest: descriptor.digest, reason: "it is not the JSON of an image")
            )
        }
    }

    private func badDigest(_ descriptor: PBDescriptor) -> ImageStoreError {
        ImageStoreError(store.socket, .badDocument(digest: descriptor.digest, reason: "its digest is not SHA-256"))
    }

    /// Copies a blob, or links the earlier layout's.
    private mutating func copyBlob(_ descriptor: PBDescriptor, rebuiltFor: String? = nil) throws {
        guard blobs[descriptor.digest] == nil else { return }
        try store.cancellation.check()
        guard let name = ImageLayout.name(of: descriptor.digest) else { throw badDigest(descriptor) }
        let directory = layout.blobs
        let size = present[descriptor.digest]?.size ?? descriptor.size
        // A file under this name is whole: it got the name when it was.
        if try directory.stat(name)?.size != size {
            if let earlier, try earlier.blobs.stat(name)?.size == size {
                try earlier.blobs.link(name, as: name, in: directory)
            } else {
                try write(descriptor.digest, size, to: name, in: directory)
            }
        }
        blobs[descriptor.digest] = SavedBlob(
            digest: descriptor.digest,
            sizeBytes: size,
            mediaType: descriptor.mediaType,
            rebuiltFor: rebuiltFor
        )
        progress(size)
    }

    private mutating func write(
        _ digest: String,
        _ size: Int64,
        to name: FilePath.Component,
        in directory: Directory
    ) throws {
        let running = RunningDigest()
        let path = directory.path.appending(name).string
        let client = client
        let socket = store.socket
        try AtomicFile.write(to: name, in: directory) { file in
            try client.read(digest) { piece in
                running.update(piece)
                try file.writeAll(piece, path: path)
            }
            let found = ImageDigest.text(running.finish())
            guard found == digest else {
                throw ImageStoreError(socket, .damagedContent(digest: digest, found: found))
            }
        }
        writtenBytes += size
    }

    /// Makes a layer again, as the difference of what is unpacked with it and without it.
    private mutating func rebuild(_ layer: PBDescriptor, _ chain: [String], _ number: Int) throws {
        guard rebuilt[layer.digest] == nil else { return }
        let snapshotter = try store.snapshotter(client).name
        guard try store.isUnpacked(chain[number], snapshotter, client) else {
            throw Incomplete(reason: "the runtime has its layer '\(layer.digest)' neither as a blob nor unpacked")
        }
        if client.lease == nil { client.lease = try store.takeLease(client, until: nil) }
        let keys = ["\(ContainerdImages.ownPrefix)left", "\(ContainerdImages.ownPrefix)right"]
        var request = PBDiffRequest()
        request.mediaType = "application/vnd.oci.image.layer.v1.tar"
        request.ref = "\(ContainerdImages.ownPrefix)\(chain[number])"
        if number > 0 {
            request.left = try store.mounts("View", keys[0], parent: chain[number - 1], snapshotter, client)
        }
        request.right = try store.mounts("View", keys[1], parent: chain[number], snapshotter, client)
        let answer: PBDiffResponse = try client.call(
            "diff.v1.Diff/Diff",
            request,
            "make the layer again",
            layer.digest,
            limit: .seconds(600)
        )
        for key in keys { try store.remove(key, snapshotter, client) }
        try copyBlob(answer.diff, rebuiltFor: layer.digest)
        rebuilt[layer.digest] = answer.diff.digest
    }

    /// Gives up what was kept for this run alone.
    func end() {
        guard let lease = client.lease else { return }
        client.lease = nil
        // ignored: the next run deletes what is left of this one
        try? store.delete(lease, client)
    }
}
