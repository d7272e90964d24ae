import Files
import NodeInterface
import RecoveryPoints
import Reporting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("The reboot of a recovery") struct RebootGateTests {
    private func needsReboot(_ ending: RecoveryEnding, at step: String) -> Bool {
        if case .needsReboot(step, _) = ending { true } else { false }
    }

    @Test("is asked for when files have changed, and without it nothing goes on") func refused() async throws {
        let node = try await RecoveryNode()
        #expect(needsReboot(try await node.begin(), at: "reboot"))
        let before = try node.tree()
        node.recorder.forget()
        for _ in 0..<2 {
            let error = await #expect(throws: RecoveryError.self) { try await node.resume() }
            #expect(error?.exitStatus == .tempFail)
            #expect(error?.hint?.contains("systemctl reboot") == true)
            #expect(error?.hint?.contains("upgrade-recovery --resume") == true)
        }
        #expect(node.recorder.calls == [])
        #expect(try node.tree() == before)
        #expect(try RecoveryProgress(in: node.store, root: node.root).state != .done)
        try node.boot("boot-2")
        #expect(try await node.resume() == .completed)
    }

    @Test("shows in the status with what to type, before it and after it") func status() async throws {
        let node = try await RecoveryNode()
        #expect(try RecoveryProgress(in: node.store, root: node.root).state == .none)
        _ = try await node.begin()
        var progress = try RecoveryProgress(in: node.store, root: node.root)
        #expect(progress.state == .paused)
        #expect(progress.next == "reboot")
        #expect(progress.command == "systemctl reboot, then upgrade-recovery --resume")
        try node.boot("boot-2")
        progress = try RecoveryProgress(in: node.store, root: node.root)
        #expect(progress.command == "upgrade-recovery --resume")
        _ = try await node.resume()
        progress = try RecoveryProgress(in: node.store, root: node.root)
        #expect(progress.state == .done)
        #expect(progress.command == nil)
        #expect(progress.steps.allSatisfy { ["done", "skipped"].contains($0.state) })
    }

    @Test("is not asked for when no file has changed") func notNeeded() async throws {
        let node = try await RecoveryNode(breaks: false)
        #expect(try await node.begin() == .completed)
        let progress = try RecoveryProgress(in: node.store, root: node.root)
        #expect(progress.steps.first { $0.name == "reboot" }?.state == "skipped")
    }

    @Test("is still asked for when the recovery was restarted after files had changed") func restarted() async throws {
        let node = try await RecoveryNode()
        #expect(needsReboot(try await node.begin(), at: "reboot"))
        #expect(needsReboot(try await node.restart(), at: "reboot"))
        try node.boot("boot-2")
        #expect(try await node.resume() == .completed)
        #expect(try RecoveryStore(path: node.store).generations() == [1, 2])
    }

    @Test("is done by itself with --reboot, and a unit goes on afterwards") func byItself() async throws {
        let node = try await RecoveryNode()
        let ending = try await node.begin { $0.rebootsByItself = true }
        #expect(needsReboot(ending, at: "reboot"))
        #expect(node.recorder.calls.last == "reboot")
        let unit = try node.read("etc/systemd/system/upgrade-recovery-resume.service")
        #expect(unit.contains("--resume --reboot --dir \(node.store)"))
        #expect(try node.read("etc/systemd/system/multi-user.target.wants/upgrade-recovery-resume.service") == unit)
        #expect(try node.read("etc/motd.d/node-recovery").contains("upgrade-recovery --status"))
        try node.boot("boot-2")
        #expect(try await node.resume() == .completed)
        #expect(try Shell.output("find '\(node.root)/etc' -name '*recovery*'") == "")
        #expect(
            try Shell.output("find '\(node.root)/etc' -name motd.d -o -name '*.wants' -o -name '*.service.d'") == ""
        )
    }

    // MARK: Deployments

    /// A node whose recovery point has one deployment and that has booted another one.
    private func withDeployments() async throws -> RecoveryNode {
        let node = try await RecoveryNode(breaks: false)
        node.deployments.present = [Self.deployment("a", isBooted: true)]
        node.deployments.pinning = { _ in }
        try Shell.output("rm -r '\(node.store)/points'")
        try await node.takePoint()
        try node.breakNode()
        node.deployments.present = [Self.deployment("b", isBooted: true), Self.deployment("a", isBooted: false)]
        node.deployments.obstacles = { _ in [] }
        node.recorder.forget()
        return node
    }

    private static func deployment(_ letter: Character, isBooted: Bool) -> Deployment {
        Deployment(
            osName: "os",
            checksum: String(repeating: letter, count: 64),
            serial: 0,
            origin: nil,
            version: "version-\(letter)",
            kernelArguments: [],
            isBooted: isBooted,
            isPinned: true,
            isStaged: false
        )
    }

    @Test("into the recorded deployment: made the default, refused while it is another one, and then on")
    func deployment()
        async throws
    {
        let node = try await withDeployments()
        let made = Collected()
        node.deployments.makingDefault = { made.add("\($0.checksum.prefix(1))") }
        #expect(needsReboot(try await node.begin(), at: "deployment"))
        #expect(made.all == ["a"])
        #expect(try node.read("etc/hosts") == "half")  // no file was restored yet
        // What still knew its images would cost them at the boot of another version.
        #expect(
            node.recorder.calls.filter { !$0.hasPrefix("restore etcd") } == [
                "stop kubelet.service", "stop pod p-dns", "remove pod p-dns", "stop pod p-etcd", "remove pod p-etcd",
            ]
        )

        let early = await #expect(throws: RecoveryError.self) { try await node.resume() }
        #expect(early?.exitStatus == .tempFail)

        try node.boot("boot-2")
        let wrong = await #expect(throws: RecoveryError.self) { try await node.resume() }
        #expect(wrong?.exitStatus == .unavailable)
        #expect(wrong?.summary.contains("version-b") == true && wrong?.summary.contains("version-a") == true)
        #expect(wrong?.hint?.contains("--resume --force") == true)
        #expect(try node.read("etc/hosts") == "half")

        node.deployments.present = [Self.deployment("a", isBooted: true), Self.deployment("b", isBooted: false)]
        #expect(needsReboot(try await node.resume(), at: "reboot"))
        try node.boot("boot-3")
        #expect(try await node.resume() == .completed)
        #expect(try node.read("etc/hosts") == "127.0.0.1 localhost")
        #expect(made.all == ["a"])
    }

    @Test("is preceded by what the deployment lacks in /boot, also where it is the booted one, or is refused")
    func repair() async throws {
        let node = try await withDeployments()
        node.deployments.present = [Self.deployment("a", isBooted: true)]
        let repaired = Collected()
        node.deployments.repair = { _ in
            BootRepair(obstacles: repaired.all.isEmpty ? ["its kernel does not exist"] : [], files: ["/boot/vmlinuz"])
        }
        node.deployments.repairing = {
            repaired.add("\($0.checksum.prefix(1))")
            return ["/boot/vmlinuz"]
        }
        try await node.recover()
        #expect(repaired.all == ["a"])
        #expect(
            node.log.lines.contains("notice: Put back what 'version-a (aaaaaaaaaaaa.0)' needs to boot: /boot/vmlinuz")
        )
        let other = try await withDeployments()
        other.deployments.present = [Self.deployment("a", isBooted: true)]
        other.deployments.repair = { _ in
            BootRepair(obstacles: ["its kernel does not exist"], reasons: ["its tree has no kernel"])
        }
        let error = await #expect(throws: RecoveryError.self) { try await other.begin() }
        #expect(error?.step == "bootable" && error?.exitStatus == .unavailable)
        #expect(error?.summary.contains("its tree has no kernel") == true)
    }

    @Test("into the recorded deployment puts the hold into its /etc, and takes it away again") func holdThere()
        async throws
    {
        let node = try await withDeployments()
        node.deployments.makingDefault = { _ in }
        let etc = "ostree/deploy/os/deploy/\(String(repeating: "a", count: 64)).0/etc"
        try Shell.output("mkdir -p '\(node.root)/\(etc)/systemd/system'")
        _ = try await node.begin()
        let hold = "systemd/system/kubelet.service.d/zz-node-recovery-hold.conf"
        #expect(try node.read("\(etc)/\(hold)").contains("ConditionPathExists=!/etc/\(hold)"))
        for place in [etc, "etc"] {
            #expect(try node.read("\(place)/crio/crio.conf.d/99-node-recovery").contains("clean_shutdown_file"))
        }
        // the node boots it: its /etc is the node's
        try Shell.output("rm -r '\(node.root)/etc/systemd' && cp -a '\(node.root)/\(etc)/.' '\(node.root)/etc/'")
        node.deployments.present = [Self.deployment("a", isBooted: true)]
        try node.boot("boot-2")
        try await node.goOn(from: try await node.resume())
        #expect(try Shell.output("find '\(node.root)/etc' -name '*recovery*' -o -name '*.service.d'") == "")
    }

    @Test("is skipped with --force, which stays on what is booted; also halfway") func force() async throws {
        let node = try await withDeployments()
        try await node.recover { $0.skippedChecks = [.deployment] }
        #expect(try node.read("etc/hosts") == "127.0.0.1 localhost")

        let later = try await withDeployments()
        later.deployments.makingDefault = { _ in }
        _ = try await later.begin()
        try later.boot("boot-2")
        try await later.goOn(from: try await later.resume { $0.skippedChecks = [.deployment] })
        #expect(try later.read("etc/hosts") == "127.0.0.1 localhost")
    }

    @Test("into a deployment that is gone or cannot be booted is refused while nothing has changed, with the reasons")
    func obstacles() async throws {
        let node = try await withDeployments()
        let before = try node.tree()
        node.deployments.obstacles = { _ in ["'/boot/vmlinuz' is missing", "its tree is not whole"] }
        var error = await #expect(throws: RecoveryError.self) { try await node.begin() }
        #expect(error?.exitStatus == .unavailable)
        #expect(error?.summary.contains("'/boot/vmlinuz' is missing; its tree is not whole") == true)
        #expect(error?.hint?.contains("--force") == true)
        node.deployments.present = [Self.deployment("b", isBooted: true)]
        error = await #expect(throws: RecoveryError.self) { try await node.begin() }
        #expect(error?.exitStatus == .noInput)
        #expect(error?.summary.contains(String(repeating: "a", count: 64)) == true)
        #expect(error?.hint?.contains("--force") == true)
        #expect(try node.tree() == before)
        #expect(node.recorder.calls == [])
        #expect(try !node.hasJournal())
    }
}

/// Words that closures say.
final class Collected: Sendable {
    private let words = Mutex<[String]>([])

    var all: [String] { words.withLock { $0 } }

    func add(_ word: String) { words.withLock { $0.append(word) } }
}
