import Backup
import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("A full recovery partition") struct FullPartitionTests {
    /// A node whose recovery points lie on a file system of their own.
    private func node(breaks: Bool = true) async throws -> RecoveryNode {
        let node = try await RecoveryNode(breaks: breaks)
        let store = node.store
        try Shell.output(
            """
            set -e
            mv '\(store)' '\(store).aside' && mkdir '\(store)'
            mount -t tmpfs -o size=64m,mode=700 test '\(store)'
            cp -a '\(store).aside/.' '\(store)/' && rm -r '\(store).aside'
            """
        )
        return node
    }

    private func fill(_ file: FilePath, leavingKiB: Int = 0) throws {
        try Shell.output("dd if=/dev/zero of='\(file)' bs=4k 2> /dev/null; truncate -s -\(leavingKiB)K '\(file)'")
    }

    private func expectFull(
        _ error: RecoveryError?,
        says: String,
        hint: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(error?.exitStatus == .cantCreate, "\(error?.summary ?? "")", sourceLocation: sourceLocation)
        #expect(error?.summary.contains(says) == true, "\(error?.summary ?? "")", sourceLocation: sourceLocation)
        for text in hint {
            #expect(error?.hint?.contains(text) == true, "\(error?.hint ?? "")", sourceLocation: sourceLocation)
        }
    }

    @Test("is not taken for damage of the recovery point, which is proved elsewhere when there is room") func verify()
        async throws
    {
        let node = try await node()
        let before = try node.tree()
        // Room for the journal, and none for the snapshot unpacked.
        try fill(node.store.appending("filler"), leavingKiB: 88)
        let error = await #expect(throws: RecoveryError.self) { try await node.begin() }
        expectFull(
            error,
            says:
                "step 'verify': not enough space to unpack '\(node.store)/points/1/etcd.snapshot.zst': 97.7 KiB needed, ",
            hint: ["nothing was changed; make room", "'node-backup prune --keep 1'", "then run it again"]
        )
        #expect(try node.tree() == before)
        #expect(try !node.hasJournal())
        let point = try RecoveryStore(path: node.store).point(1)
        #expect(point.isVerified)

        try fill(node.store.appending("more"))
        try Shell.output("mkdir -p -m 1777 '\(node.root)/var/tmp'")
        let results = try PointVerifier(node: node.node, jobs: 2).verify(point)
        #expect(results.count > 5 && results.values.allSatisfy { $0.faults.isEmpty })
        #expect(try Shell.output("ls -A '\(node.root)/var/tmp'") == "")
        // Damage is still damage.
        try Shell.output(
            "printf '\\377' | dd of='\(node.store)/points/1/etcd.snapshot.zst' bs=1 seek=40 conv=notrunc status=none"
        )
        let damaged = try PointVerifier(node: node.node, jobs: 2).verify(point)
        #expect(damaged.filter { !$0.value.faults.isEmpty }.map(\.key) == ["etcd"])
    }

    @Test("keeps a recovery from beginning, which says what makes room") func wholly() async throws {
        let node = try await node()
        let before = try node.tree()
        try fill(node.store.appending("filler"))
        let error = await #expect(throws: RecoveryError.self) { try await node.begin() }
        expectFull(error, says: "'\(node.store)/journal'", hint: ["'node-backup prune --keep 1'"])
        #expect(try node.tree() == before)
        #expect(try !node.hasJournal())
    }

    @Test("is no obstacle when a backup that was cut has filled it: its leftovers go first") func leftovers()
        async throws
    {
        let node = try await node()
        try Shell.output("mkdir '\(node.store)/points/2.partial'")
        try fill(node.store.appending("points/2.partial/etc.tar.zst"))
        try await node.recover()
        #expect(try RecoveryStore(path: node.store).generations() == [1, 2])
        #expect(node.log.lines.contains { $0.contains("Removed '2.partial', left by an interrupted run") })
    }

    @Test("does not stop a recovery that has begun") func begun() async throws {
        let node = try await node()
        let ending = try await node.begin()
        try fill(node.store.appending("filler"))
        try await node.goOn(from: ending)
        #expect(try node.read("etc/hosts") == "127.0.0.1 localhost")
        #expect(try node.read("var/lib/etcd/member/snap/db") == "restored")
    }

    @Test("that the failed state does not fit on says how to go on with it and without it") func wayBack() async throws
    {
        let node = try await node()
        try fill(node.store.appending("filler"), leavingKiB: 512)
        let refused = await #expect(throws: RecoveryError.self) { try await node.begin() }
        expectFull(
            refused,
            says: "not enough space at '\(node.store)': about ",
            hint: ["nothing was changed; make room there", "'node-backup prune --keep 1'", "--without-undo"]
        )
        // Somebody fills it between the proof and the step.
        let late = await #expect(throws: RecoveryError.self) { try await node.begin { $0.skippedChecks = [.space] } }
        expectFull(
            late,
            says: "step 'keep-failed-state': ",
            hint: [
                "'node-backup prune --keep 1'", "then 'upgrade-recovery --resume'",
                "'upgrade-recovery --restart --without-undo'",
            ]
        )
        try await node.goOn(from: try await node.restart { $0.keepsFailedState = false })
        #expect(try node.read("etc/hosts") == "127.0.0.1 localhost")
    }

    @Test("of the node's own files in the middle of a step names the file and the command that goes on") func tree()
        async throws
    {
        let node = try await node()
        let place = node.root.appending("usr/local")
        try Shell.output("mount -t tmpfs -o size=64k,mode=755 test '\(place)'")
        try fill(place.appending("filler"))
        let error = await #expect(throws: RecoveryError.self) {
            try await node.begin { $0.skippedChecks = [.space] }
        }
        expectFull(
            error,
            says: "step 'restore-usr-local': ",
            hint: ["'df -h; df -i'", "then 'upgrade-recovery --resume'"]
        )
        try Shell.output("umount '\(place)'")
        try await node.goOn(from: try await node.resume())
        #expect(try node.read("usr/local/bin/tool") == "tool")
    }
}
