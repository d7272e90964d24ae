import Etcd
import FoundationEssentials
import NodeInterface
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("Inspecting a snapshot") struct SnapshotInspectorTests {
    /// What a tool's `snapshot status -w json` printed.
    struct ToolStatus: Decodable {
        var hash: UInt32
        var revision: Int64
        var totalKey: Int64
        var totalSize: Int64
        var version: String?
    }
    struct Description: Decodable {
        var server: String
        var serverRevision: Int64
        var status: [String: ToolStatus]
    }

    @Test("tells the same as the tools of all versions", arguments: Fixture.snapshots)
    func status(name: String) throws {
        let description = try JSONDecoder().decode(
            Description.self,
            from: Data(Fixture.bytes(name + ".json"))
        )
        let inspection = try SnapshotImage(name).inspect()
        #expect(inspection.faults == [])
        #expect(inspection.warnings == [])
        let status = try #require(inspection.status)
        #expect(description.status.count == 5)
        for (tool, expected) in description.status {
            #expect(status.hash == expected.hash)
            #expect(status.revision == expected.revision)
            #expect(status.totalSizeBytes == expected.totalSize)
            if tool.hasPrefix("3.4") || tool.hasPrefix("3.5") {
                #expect(status.totalPairs == expected.totalKey)
            } else {
                #expect(status.totalKeys == expected.totalKey)
                #expect(status.version == expected.version)
            }
        }
        #expect(status.currentRevision == description.serverRevision)
        #expect(status.alarms == [])
    }

    @Test("tells which cluster it was taken from")
    func contents() throws {
        let contents = try #require(try SnapshotImage("etcd-3.6.13-auth").inspect().contents)
        #expect(contents.pageSize == 4096)
        #expect(contents.members.map(\.name) == ["default"])
        #expect(contents.removedMembers == [])
        #expect(contents.clusterVersion == "3.6.0")
        #expect(contents.storageVersion == "3.6.0")
        #expect(contents.downgradeTarget == nil)
        #expect(contents.isAuthEnabled)
        #expect(contents.hasConfState)
        #expect(contents.compactRevision == 20)
        #expect(contents.leases == 3)
    }

    @Test("stops when it is told to")
    func cancel() throws {
        let cancellation = Cancellation()
        cancellation.cancel(.signal(15))
        let directory = try TemporaryDirectory()
        let file = try FileDescriptor.open(
            SnapshotImage("etcd-3.5.1-small").write(to: directory / "snapshot.db"),
            .readOnly
        )
        defer { try? file.close() }  // ignored: nothing was written
        #expect(throws: Stopped.self) { try SnapshotInspector(cancellation: cancellation).inspect(file) }
    }

    // MARK: - The digest

    @Test("finds one changed byte anywhere in the file", arguments: ["etcd-3.4.23-small", "etcd-3.7.1-auth"])
    func flips(name: String) throws {
        let directory = try TemporaryDirectory()
        var image = try SnapshotImage(name)
        let path = try image.write(to: directory / "snapshot.db")
        let file = try FileDescriptor.open(path, .readWrite)
        defer { try? file.close() }  // ignored: the file is thrown away
        var random = SeededGenerator(seed: 20)
        let inspector = SnapshotInspector(cancellation: Cancellation())
        for region in 0..<500 {
            // One place in each of 500 regions of the file: meta pages, leaves, free pages and the digest among them.
            let width = image.bytes.count / 500 + 1
            let place = min(region * width + Int.random(in: 0..<width, using: &random), image.bytes.count - 1)
            let old = image.bytes[place]
            image.bytes[place] = old ^ UInt8.random(in: 1...255, using: &random)
            _ = try file.writeAll(toAbsoluteOffset: Int64(place), image.bytes[place...place])
            let faults = try inspector.inspect(file).faults
            #expect(faults.first?.hasPrefix("the SHA-256 at the end does not belong to") == true, "byte \(place)")
            image.bytes[place] = old
            _ = try file.writeAll(toAbsoluteOffset: Int64(place), image.bytes[place...place])
        }
        #expect(try inspector.inspect(file).faults == [])
    }

    @Test("refuses a file whose length is wrong")
    func lengths() throws {
        let whole = try SnapshotImage("etcd-3.5.26-small")
        func faults(_ bytes: [UInt8]) throws -> [String] {
            var image = whole
            image.bytes = bytes
            let inspection = try image.inspect()
            #expect(inspection.status == nil || !inspection.faults.isEmpty)
            return inspection.faults
        }
        let all = whole.bytes
        let database = Array(all.dropLast(32))
        #expect(try faults([]).last == "0 bytes are too few for a bbolt file")
        #expect(try faults(Array(all.prefix(31))).last == "31 bytes are too few for a bbolt file")
        #expect(try faults(Array(all.suffix(32))).last == "0 bytes are too few for a bbolt file")
        #expect(
            try faults(database)
                == [
                    "there is no SHA-256 at the end: a length of 49152 bytes is that of a copy of the database file or of an incomplete snapshot"
                ]
        )
        #expect(try faults(Array(all.dropLast(1))).first?.hasSuffix("is that of an incomplete snapshot") == true)
        #expect(try faults(database.dropLast(4096) + all.suffix(32)).count == 2)
        #expect(
            try faults(Array(all.prefix(20001)))
                .contains("the file is too short: 12 pages of 4096 bytes do not fit into 20001 bytes")
        )
        #expect(try faults(all + [0]).isEmpty == false)
        #expect(try faults(all + all.suffix(32)).isEmpty == false)
        var longer = whole
        longer.replace(database + [UInt8](repeating: 0, count: 4096))
        #expect(
            try longer.inspect().faults
                == ["12 pages of 4096 bytes are 49152 bytes, but the database has 53248"]
        )
        var shorter = whole
        shorter.replace(database.dropLast(4096))
        #expect(
            try shorter.inspect().faults.first
                == "the file is too short: 12 pages of 4096 bytes do not fit into 45056 bytes"
        )
    }

    @Test("reads a copy of the database file only when the digest is optional")
    func copies() throws {
        var image = try SnapshotImage("etcd-3.5.26-small")
        let status = try image.inspect().status
        image.bytes = image.bytes.dropLast(32) + [UInt8](repeating: 0, count: 8192)
        #expect(try image.inspect().faults.count == 1)
        var inspection = try image.inspect(.optional)
        #expect(inspection.faults == [])
        #expect(inspection.warnings.count == 1)
        #expect(inspection.status == status)
        // A copy can have caught one of the meta pages half written.
        image.bytes[4096 + 16 + 50] ^= 1
        inspection = try image.inspect(.optional)
        #expect(inspection.faults == [])
        #expect(
            inspection.warnings.last == "meta page 1 is not used: the meta page cannot be used: the checksum is wrong"
        )
        image.bytes[16 + 50] ^= 1
        #expect(
            try image.inspect(.optional).faults == [
                "page 0: the meta page cannot be used: the checksum is wrong, and there is no meta page 1 at any page size"
            ]
        )
    }

    @Test("takes a value that was changed before the digest was made, which nothing in the file can tell")
    func changedValue() throws {
        var image = try SnapshotImage("etcd-3.5.26-small")
        let hash = try #require(try image.inspect().status).hash
        let leaf = image.page(image.root(ofBucket: "key"))
        let child = image.page(image[u64: image.element(leaf, 0) + 8])
        let last = image.element(child, 0)
        image.bytes[last + Int(image[u32: last + 4] + image[u32: last + 8] + image[u32: last + 12]) - 1] ^= 0x20
        image.seal()
        let inspection = try image.inspect()
        #expect(inspection.faults == [])
        #expect(inspection.status?.hash != hash)
    }
}
