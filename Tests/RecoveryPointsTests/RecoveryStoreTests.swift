import Files
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("The store") struct RecoveryStoreTests {
    private let directory: TemporaryDirectory
    private let store: RecoveryStore

    init() throws {
        directory = try TemporaryDirectory()
        store = try RecoveryStore(path: directory.path)
        try store.prepare()
    }

    private func manifest(_ generation: Int) -> Manifest {
        var manifest = ManifestTests.example()
        manifest.generation = generation
        return manifest
    }

    @discardableResult
    private func commit(verified: Bool = true) throws -> RecoveryPoint {
        let partial = try store.begin()
        let result = Verification.Result(verifiedAt: "2026-11-21T03:00:00Z", faults: [])
        return try store.commit(
            partial,
            manifest: manifest(partial.generation),
            verified: verified ? ["etc": result] : [:]
        )
    }

    private func listing() throws -> [String] {
        try Shell.output("cd '\(directory.path)' && find . -mindepth 1 -printf '%P %y %m\n' | sort")
            .split(separator: "\n").map { String($0) }
    }

    @Test("numbers recovery points from 1, links the newest, and lets only root in") func numbers() throws {
        #expect(try store.newest() == nil)
        try commit()
        try commit(verified: false)
        #expect(try store.generations() == [1, 2])
        #expect(try store.newest()?.generation == 2)
        try store.pointLatest(at: 2)
        #expect(try Shell.output("readlink '\(directory / "latest")'") == "points/2\n")
        #expect(try store.point(1).isVerified)
        #expect(try store.point(1).verifiedAt == "2026-11-21T03:00:00Z")
        #expect(try !store.point(2).isVerified)
        for line in try listing() where !line.hasSuffix(" l 777") {
            #expect(line.hasSuffix(" d 700") || line.hasSuffix(" f 600"), "\(line)")
        }
    }

    @Test("never gives the number of a removed or a damaged recovery point again while one after it is there")
    func numbersAreNotReused() throws {
        try commit()
        try commit()
        try store.remove(1)
        #expect(try store.begin().generation == 3)
        #expect(try Shell.output("readlink '\(directory / "latest")'") == "points/2\n")
    }

    @Test("does not count what a cut run has left, and removes it") func leftovers() throws {
        try commit()
        let partial = try store.begin()
        try Shell.output("echo half > '\(partial.directory)/etc.tar.zst'")
        try Shell.output("mkdir '\(directory / "points/9.removing")'")
        #expect(try store.generations() == [1])
        #expect(try store.removeLeftovers().sorted() == ["2.partial", "9.removing"])
        #expect(try Shell.output("ls '\(directory / "points")'") == "1\n")
        #expect(try store.removeLeftovers().isEmpty)
    }

    @Test("tells of a recovery point whose manifest is missing, damaged or another one's, and reads the others")
    func damage() throws {
        for _ in 1...4 { try commit() }
        try Shell.output("rm '\(directory / "points/1/manifest.json")'")
        try Shell.output("echo '{' > '\(directory / "points/2/manifest.json")'")
        try Shell.output("cp '\(directory / "points/4/manifest.json")' '\(directory / "points/3/manifest.json")'")
        let all = try store.all()
        #expect(all.map(\.generation) == [1, 2, 3, 4])
        let summaries = all.map { entry in
            if case .failure(let error) = entry.point { error.summary } else { "good" }
        }
        #expect(summaries[0].hasSuffix("/points/1/manifest.json' is damaged: it is missing"))
        #expect(summaries[1].hasSuffix("/points/2/manifest.json' is damaged: it is not JSON"))
        #expect(summaries[2].hasSuffix("is damaged: it is of recovery point 4, not of 3"))
        #expect(summaries[3] == "good")
        #expect(throws: StoreError.noPoint(generation: 9, directory: directory.path.string)) { try store.point(9) }
    }

    @Test("gives no number that a directory only claims, however large, and refuses a link") func hostileNames() throws
    {
        try commit()
        try Shell.output(
            """
            cd '\(directory / "points")'
            mkdir 9223372036854775807 9223372036854775807.partial 99999999999999999999 0 ./-1 01
            ln -s 1 7; touch 8
            """
        )
        #expect(try store.generations() == [1, 7, 8])
        let summaries = try store.all().map { entry in
            if case .failure(let error) = entry.point { error.summary } else { "good" }
        }
        #expect(summaries[0] == "good")
        #expect(summaries[1].hasSuffix("/points/7' is damaged: it is a link"))
        #expect(summaries[2].hasSuffix("/points/8' is damaged: it is not a directory"))
        #expect(try store.newest()?.generation == 1)
        #expect(try store.begin().generation == 9)
        try Shell.output("mkdir '\(directory / "points/999999999")'")
        #expect(throws: StoreError.noNumber(directory: directory.path.string)) { try store.begin() }
    }

    @Test("commits only what a reader takes: lists are cut to a bound, and the rest is counted") func boundedLists()
        throws
    {
        let partial = try store.begin()
        var manifest = manifest(partial.generation)
        let name = String(repeating: "\\001", count: 1000)
        manifest.components[0].leftOut =
            [PathNote(path: "etc/mnt", reason: "mount point")]
            + (0..<4000).map { PathNote(path: "etc/\($0)\(name)", reason: "socket") }
            + [PathNote(path: "etc/last", reason: "excluded")]
        _ = try store.commit(partial, manifest: manifest, verified: [:])
        let entry = try #require(try store.point(partial.generation).manifest.component(.etc))
        #expect(entry.leftOut.first?.path == "etc/mnt" && entry.leftOut.last?.path == "etc/last")
        #expect(entry.leftOut.count < 100)
        #expect(entry.leftOutCount == 4002)
    }

    @Test("knows the newest whole recovery point") func newestWhole() throws {
        try commit()
        let partial = try store.begin()
        var manifest = manifest(partial.generation)
        manifest.skipped = [SkippedComponent(name: "etcd", reason: "left out as asked", makesPartial: true)]
        _ = try store.commit(partial, manifest: manifest, verified: [:])
        #expect(try store.newest()?.generation == 2)
        #expect(try store.newestWhole()?.generation == 1)
    }

    @Test("never says that a recovery point was verified before it was taken") func verifiedAfterTaken() throws {
        let partial = try store.begin()
        let result = Verification.Result(verifiedAt: "2026-11-01T00:00:00Z", faults: [])
        let point = try store.commit(partial, manifest: manifest(partial.generation), verified: ["etc": result])
        #expect(point.verifiedAt == point.manifest.createdAt)
        try point.record([
            "etc": .init(verifiedAt: "2026-11-22T00:00:00Z", faults: [], unproved: ["of a newer program"])
        ])
        #expect(!point.isVerified)
    }

    @Test("forgets a verification when the manifest is another one") func staleVerification() throws {
        try commit()
        #expect(try store.point(1).isVerified)
        let path = directory / "points/1/manifest.json"
        try Shell.output("sed -i 's/node1/node2/' '\(path)'")
        #expect(try !store.point(1).isVerified)
    }

    @Test("keeps what an earlier verification said of other components, and believes the later one") func records()
        throws
    {
        let point = try commit()
        try point.record(["etc": .init(verifiedAt: "2026-11-22T00:00:00Z", faults: ["etc/hosts differs"])])
        #expect(!point.isVerified)
        #expect(point.verification()?.components["etc"]?.faults == ["etc/hosts differs"])
    }

    @Test("is locked by one run at a time, and tells the second who holds it") func lock() throws {
        let held = try store.lock(command: "node-backup create")
        do {
            _ = try RecoveryStore(path: directory.path).lock(command: "node-backup prune")
            Issue.record("the second run got the lock")
        } catch {
            #expect(error.summary.contains("node-backup create (process "), "\(error.summary)")
            #expect(error.exitStatus == .tempFail)
        }
        withExtendedLifetime(held) {}
    }

    @Test("can be locked again when the holder has let go") func lockAgain() throws {
        do {
            let held = try store.lock(command: "first")
            withExtendedLifetime(held) {}
        }
        _ = try store.lock(command: "second")
    }

    @Test("keeps one copy of the program, executable by root alone, and the old name as a link") func install() throws {
        let program = directory / "program"
        try Shell.output("printf one > '\(program)'")
        try store.install(program)
        let copy = directory / "upgrade-recovery"
        let inode = try Shell.output("stat -c '%a %i' '\(copy)'")
        #expect(inode.hasPrefix("700 "))
        #expect(try Shell.output("readlink '\(directory / "upgrade-recovery.sh")'") == "upgrade-recovery\n")
        try store.install(program)
        #expect(try Shell.output("stat -c '%a %i' '\(copy)'") == inode)
        try Shell.output("printf two > '\(program)'")
        try store.install(program)
        #expect(try Shell.output("cat '\(copy)'") == "two")
    }

    @Test("that is not there is said to be missing") func missing() {
        #expect(throws: StoreError.noStore(directory: "/nonexistent/recovery")) {
            try RecoveryStore(path: "/nonexistent/recovery")
        }
    }
}
