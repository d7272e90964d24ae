import Files
import NodeInterface
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("The marks of a recovery") struct NodeMarksTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func look() throws -> String {
        try Shell.output("cd '\(directory.path)' && find . -printf '%p %y %m %U:%G %n %T@ %s %l\\n' | LC_ALL=C sort")
    }

    private func marks(_ made: [String] = []) throws -> NodeMarks {
        NodeMarks(etc: try Directory(path: directory / "etc"), made: made)
    }

    @Test(
        "leave no trace when they are gone, not even in the times of directories",
        arguments: [
            "etc/systemd/system", "etc/motd.d etc/systemd/system/kubelet.service.d",
            "etc/motd.d etc/systemd/system/multi-user.target.wants", "etc/systemd/system etc/crio",
            "etc/systemd/system etc/crio/crio.conf.d",
        ]
    )
    func traceless(present: String) throws {
        try Shell.output(
            """
            cd '\(directory.path)' && mkdir -p \(present)
            find . -type d -exec touch -d '2020-02-02 02:02:02.123456789 UTC' {} +
            """
        )
        let before = try look()
        var marks = try marks()
        let missing = try marks.missing()
        try marks.hold()
        try marks.installResumeUnit("/bin/true", store: "/var/recovery")
        try marks.holdOffWipe()
        #expect(Set(marks.made).isSubset(of: missing))
        // twice, as after a cut
        try marks.hold()
        try marks.installResumeUnit("/bin/true", store: "/var/recovery")
        let all = marks.made
        var later = try self.marks(all)
        try later.hold()
        #expect(try Shell.output("cat '\(directory.path)/etc/motd.d/node-recovery'").contains("The kubelet is held."))
        try later.release()
        #expect(try Shell.output("cat '\(directory.path)/etc/motd.d/node-recovery'").contains("is running again."))
        #expect(
            try Shell.run("ls '\(directory.path)/etc/systemd/system/kubelet.service.d/zz-node-recovery-hold.conf'")
                .status != 0
        )
        try later.removeTheRest()
        try later.release()
        try later.removeTheRest()
        #expect(try look() == before)
    }

    @Test("are taken away again when the run that made them was killed before it could say so") func cut() async throws
    {
        let node = try await RecoveryNode(breaks: false)
        let before = try node.tree(isEnd: true).split(separator: "\n").filter { !$0.contains("./var/lib/etcd") }
        node.recorder.inject { if $0 == "reload units" { throw InjectedFault(call: $0) } }
        await #expect(throws: RecoveryError.self) { try await node.begin() }
        #expect(try node.read("etc/motd.d/node-recovery").contains("under way"))
        node.recorder.inject(nil)
        try await node.goOn(from: try await node.resume())
        let after = try node.tree(isEnd: true).split(separator: "\n").filter { !$0.contains("./var/lib/etcd") }
        #expect(after == before)
    }

    @Test("leave a directory that the recovery point has, though it is empty and had to be made") func wanted()
        async throws
    {
        let node = try await RecoveryNode(breaks: false)
        try Shell.output("mkdir '\(node.root)/etc/motd.d' && rm -r '\(node.store)/points'")
        try await node.takePoint()
        try Shell.output("rmdir '\(node.root)/etc/motd.d'")
        try await node.recover()
        #expect(try Shell.output("ls -A '\(node.root)/etc/motd.d'") == "")
    }

    @Test("hold the kubelet by a condition that their own presence fails") func condition() throws {
        try Shell.output("mkdir '\(directory.path)/etc'")
        var marks = try marks()
        try marks.hold()
        let path = "etc/systemd/system/kubelet.service.d/zz-node-recovery-hold.conf"
        let text = try Shell.output("cat '\(directory.path)/\(path)'")
        #expect(text.contains("[Unit]\nConditionPathExists=!/\(path)\n"))
        #expect(try Shell.output("stat -c %a '\(directory.path)/\(path)'").trimmed == "644")
    }
}

@Suite("The unit that goes on after a reboot") struct ResumeUnitTests {
    @Test("is the one that the package ships, but for the command") func packaged() throws {
        let package = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        let shipped = try Shell.output("cat '\(package)/packaging/systemd/upgrade-recovery-resume.service'")
        let command = "/var/recovery/upgrade-recovery --resume --reboot --dir /var/recovery"
        #expect(NodeMarks.resumeUnit(command, store: "/var/recovery") == shipped)
    }

    @Test("waits for the mount of the recovery points wherever they lie, and quotes what systemd would take apart")
    func elsewhere() throws {
        let unit = NodeMarks.resumeUnit("/bin/true", store: "/mnt/my \"100%\"\\points")
        #expect(
            unit.contains("\nRequiresMountsFor=\"/mnt/my \\\"100%%\\\"\\\\points\" /var/lib/etcd /var/lib/kubelet\n")
        )
        #expect(UnitText.argument("/mnt/$a b%") == "\"/mnt/$$a b%%\"")
        #expect(UnitText.argument("--dir") == "--dir")
    }
}

@Suite("What a restore leaves alone") struct RestoreExclusionsTests {
    private func entry(leftOut: [PathNote] = [], unreadable: [PathNote] = []) -> ComponentEntry {
        ComponentEntry(
            name: "etc",
            files: [],
            sourceFiles: 0,
            sourceBytes: 0,
            leftOut: leftOut,
            unreadable: unreadable
        )
    }

    @Test("is what the backup left out or could not read, but not what was gone already") func leftOut() {
        let patterns = RestoreExclusions.patterns(
            for: .etc,
            entry: entry(
                leftOut: [
                    PathNote(path: "etc/excluded", reason: "excluded"), PathNote(path: "etc/gone", reason: "missing"),
                    PathNote(path: "etc/just-gone", reason: "vanished"),
                    PathNote(path: "etc/mnt", reason: "mount point"),
                ],
                unreadable: [PathNote(path: "etc/secret", reason: "Permission denied")]
            ),
            kept: ["etc/mine", "*.bak"],
            hasStaticPods: true
        )
        .map(\.description)
        for path in ["etc/excluded", "etc/mnt", "etc/secret", "etc/mine", "*.bak", "etc/kubernetes/manifests"] {
            #expect(patterns.contains(path), "\(path) in \(patterns)")
        }
        #expect(!patterns.contains("etc/gone") && !patterns.contains("etc/just-gone"))
    }

    @Test("are static pods only when the recovery point has them as a set of their own") func staticPods() {
        let without = RestoreExclusions.patterns(for: .etc, entry: entry(), kept: [], hasStaticPods: false)
        #expect(!without.map(\.description).contains("etc/kubernetes/manifests"))
        let pods = RestoreExclusions.patterns(for: .staticPods, entry: entry(), kept: [], hasStaticPods: true)
        #expect(pods.isEmpty)
    }

    @Test("stays as it is on the node: kept paths, and what was left out") func kept() async throws {
        let node = try await RecoveryNode()
        try Shell.output("echo mine > '\(node.root)/etc/mine'")
        try await node.recover { $0.keptPaths = ["etc/mine", "etc/hosts"] }
        #expect(try node.read("etc/mine") == "mine")
        #expect(try node.read("etc/hosts") == "half")
        #expect(try Shell.run("ls '\(node.root)/etc/left-by-the-upgrade'").status != 0)
    }
}
