import ContainerRuntime
import Files
import Glibc
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("The contents of images", .serialized, .enabled(if: Tier.live.isWanted, Tier.live.comment))
final class ImageStoreTests {
    let directory: TemporaryDirectory
    private let runtime: CRIRuntime
    private let store: ContainerdImages
    static let names = ["localhost/pause:test", "localhost/busybox:test"]
    static let later = "2099-01-01T00:00:00Z"

    /// A containerd that has both images, unpacked.
    init() throws {
        directory = try TemporaryDirectory()
        let socket = FilePath(try Shell.output("\(testbed("containerd-up")) \(directory / "containerd")").trimmed)
        runtime = CRIRuntime(socket: socket, cancellation: Cancellation())
        store = ContainerdImages(socket: socket, cancellation: Cancellation())
        let images = directory / "images"
        try Shell.output("\(testbed("oci-images")) \(images)")
        for name in ["pause", "busybox"] { try ctr("image import \(images)/\(name).tar") }
    }

    deinit {
        // ignored: a leftover of a test is not the test's failure
        _ = try? Shell.run("\(testbed("containerd-down")) \(directory / "containerd")")
    }

    @discardableResult
    private func ctr(_ arguments: String) throws -> String {
        try Shell.output("ctr --address \(directory / "containerd")/containerd.sock --namespace k8s.io \(arguments)")
    }

    private func layout(_ name: String) throws -> Directory {
        try Shell.output("mkdir -p '\(directory / name)'")
        return try Directory(path: directory / name)
    }

    /// Removes every image, and waits until the collector has removed all that belongs to them.
    private func removeAll() throws {
        for name in try ctr("images ls -q").split(separator: "\n") { try ctr("images rm --sync '\(name)'") }
        for _ in 0..<100 where try !runtime.images().isEmpty { usleep(50_000) }
        #expect(try ctr("content ls -q").isEmpty)
        #expect(try ctr("snapshots ls").split(separator: "\n").count == 1)
    }

    private func list() throws -> [ContainerImage] { try runtime.images() }

    private func starts(_ pod: String) throws {
        let line =
            "\(testbed("pod-up")) \(runtime.socket) kube-system \(pod) main localhost/busybox:test -c 'sleep 1000'"
        let id = String(try Shell.output(line).trimmed.split(separator: " ")[0])
        #expect(try runtime.troubles(ofPod: pod, images: Self.names).isEmpty)
        try runtime.stopPod(id, limit: .seconds(20))
        try runtime.removePod(id, limit: .seconds(20))
    }

    @Test("are saved into a layout that ctr reads, and come back without a registry, under the same digests")
    func thereAndBack() throws {
        let before = try list()
        let saved = try store.save(Self.names + ["localhost/none:1"], into: layout("1"), sharing: nil) { _ in }
        #expect(saved.images.count == 2)
        #expect(saved.leftOut == [.init(image: "localhost/none:1", reason: "the runtime does not have it")])
        #expect(saved.writtenBytes == saved.blobs.reduce(0) { $0 + $1.sizeBytes })
        #expect(try store.verify(saved, in: layout("1")) { _ in } == [])

        // With the same images a second layout adds no bytes.
        let second = try store.save(Self.names, into: layout("2"), sharing: layout("1")) { _ in }
        #expect(second.writtenBytes == 0)
        #expect(second.blobs == saved.blobs)
        #expect(second.images == saved.images)

        try removeAll()
        #expect(try list().isEmpty)
        let restored = try store.restore(saved, from: layout("1"), leaseUntil: Self.later) { _ in }
        #expect(restored.images.sorted() == Self.names.sorted())
        #expect(restored.writtenBlobs == saved.blobs.count)
        #expect(restored.unpackedLayers == 2)
        #expect(try list() == before)
        #expect(try ctr("leases ls -q").isEmpty)
        try starts("first")

        // What is there stays as it is.
        let again = try store.restore(saved, from: layout("1"), leaseUntil: Self.later) { _ in }
        #expect(again.writtenBlobs == 0)
        #expect(again.unpackedLayers == 0)
        #expect(try list() == before)

        try Shell.output("tar -C '\(directory / "1")' -cf '\(directory / "layout.tar")' .")
        let other = "ctr --address \(runtime.socket) --namespace other image"
        try Shell.output("\(other) import '\(directory / "layout.tar")'")
        let names = try Shell.output("\(other) ls -q").split(separator: "\n")
        #expect(Self.names.allSatisfy { names.contains(Substring($0)) })
    }

    @Test("come back although the runtime had discarded the blobs of their layers")
    func discarded() throws {
        let whole = try store.save(Self.names, into: layout("whole"), sharing: nil) { _ in }
        for blob in whole.blobs where blob.mediaType.contains("layer") || blob.mediaType.contains("rootfs") {
            try ctr("content rm \(blob.digest)")
        }
        let saved = try store.save(Self.names, into: layout("1"), sharing: nil) { _ in }
        #expect(saved.leftOut == [])
        #expect(saved.blobs.count { $0.rebuiltFor != nil } == 2)
        #expect(try store.verify(saved, in: layout("1")) { _ in } == [])
        let ids = try list().map(\.id)
        try removeAll()
        let restored = try store.restore(saved, from: layout("1"), leaseUntil: Self.later) { _ in }
        #expect(restored.unpackedLayers == 2)
        #expect(try list().map(\.id) == ids)
        try starts("rebuilt")
    }

    @Test("are whole after a restore that was interrupted anywhere and run again")
    func interrupted() throws {
        let before = try list()
        let saved = try store.save(Self.names, into: layout("1"), sharing: nil) { _ in }
        try removeAll()
        var stops = 0
        while true {
            let cancellation = Cancellation()
            let stopped = ContainerdImages(socket: store.socket, cancellation: cancellation)
            var left = stops
            do {
                _ = try stopped.restore(saved, from: layout("1"), leaseUntil: Self.later) { _ in
                    if left == 0 { cancellation.cancel(.signal(SIGTERM)) }
                    left -= 1
                }
                break
            } catch is Stopped {
                stops += 1
            }
        }
        #expect(stops > 3)
        #expect(try list() == before)
        #expect(try ctr("leases ls -q").isEmpty)
        try starts("whole")
    }

    @Test("that are damaged in the layout are named, and never taken into the store")
    func damaged() throws {
        let saved = try store.save(Self.names, into: layout("1"), sharing: nil) { _ in }
        let largest = try #require(saved.blobs.max { $0.sizeBytes < $1.sizeBytes })
        let file = "\(directory / "1")/blobs/sha256/\(largest.digest.dropFirst(7))"
        try Shell.output("printf x | dd of='\(file)' bs=1 seek=1000 conv=notrunc status=none")
        let faults = try store.verify(saved, in: layout("1")) { _ in }
        #expect(faults.count == 1)
        #expect(faults.first?.hasPrefix("'\(file)' is damaged: its digest is sha256:") == true)
        try Shell.output("truncate -s 5 '\(file)'")
        #expect(
            try store.verify(saved, in: layout("1")) { _ in }
                == ["'\(file)' has 5 bytes, and \(largest.sizeBytes) are recorded"]
        )
        try removeAll()
        #expect(throws: ImageStoreError.self) {
            try store.restore(saved, from: layout("1"), leaseUntil: Self.later) { _ in }
        }
        try Shell.output("rm '\(file)'")
        #expect(try store.verify(saved, in: layout("1")) { _ in } == ["'\(file)' does not exist"])
    }
}
