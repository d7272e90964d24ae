internal import Files
public import NodeInterface
internal import RPC

extension CRIRuntime {
    /// One image; `nil` when the runtime does not have it.
    ///
    /// The runtime is asked for the canonical name, as some refuse a name with both a tag and a digest; for a name
    /// without a registry also for the name as it is written, which CRI-O looks up by rules of its own.
    /// - Throws: ``CRIError``, `Stopped`.
    public func image(named name: String) throws -> ContainerImage? {
        let reference = ImageReference(name)
        let client = client()
        for form in reference.canonical == name || reference.digest != nil
            ? [reference.canonical] : [reference.canonical, name]
        {
            if let image = try imageStatus(client, form) { return image }
        }
        return nil
    }

    private func imageStatus(_ client: RPCClient, _ name: String) throws -> ContainerImage? {
        var request = PBImageStatusRequest()
        request.image.image = name
        let answer: PBImageStatusResponse
        do { answer = try call(client, "ImageService/ImageStatus", request) } catch let error as CRIError {
            if error.isNotFound { return nil }
            if case .call(.status(let status)) = error.fault { throw CRIError(socket, .image(name, status)) }
            throw error
        }
        guard answer.hasImage, !answer.image.id.isEmpty else { return nil }
        return Self.joined([answer.image], []).first
    }

    /// The image of the pods' sandboxes: as the runtime says, else as its configuration does, else the one that its
    /// version takes by itself; `nil` when no runtime is running, or nothing is known about this one.
    /// - Throws: ``CRIError``, `FilesError`, `Stopped`.
    public func sandboxImage() throws -> SandboxImage? {
        guard let runtime = try runtime() else { return nil }
        var request = PBStatusRequest()
        request.verbose = true
        let status: PBStatusResponse = try call(client(), "RuntimeService/Status", request)
        // "config" first: other values may quote what a pod or a plugin has set.
        for key in ["config"] + status.info.keys.filter({ $0 != "config" }).sorted() {
            if let name = status.info[key].flatMap({ ConfiguredImage.name(inStatus: $0) }) {
                return SandboxImage(name: name, source: .runtime)
            }
        }
        if let (name, file) = try ConfiguredImage.name(for: runtime, in: RootDirectory(path: root)) {
            return SandboxImage(name: name, source: .configuration(file))
        }
        return ConfiguredImage.builtIn(of: runtime).map { SandboxImage(name: $0, source: .builtIn) }
    }
}
