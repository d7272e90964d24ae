import Files
import NodeInterface
import RecoveryPoints
import Reporting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("A recovery") struct RecoveryRunTests {
    @Test(
        "brings files, etcd and static pods back, and leaves nothing else behind",
        arguments: [NodeProfile.kubeadm, .openshift]
    )
    func whole(profile: NodeProfile) async throws {
        let good = try await RecoveryNode(profile, breaks: false)
        let before = try good.tree(isEnd: true)
        try good.breakNode()
        #expect(try good.tree(isEnd: true) != before)
        try await good.recover()
        #expect(try good.read("var/lib/etcd/member/snap/db") == "restored")
        let kept = try Shell.output("cat '\(good.root)'/var/lib/etcd/member.before-*/snap/db")
        #expect(kept == "failed\n")
        func withoutEtcd(_ text: String) -> String {
            text.split(separator: "\n").filter { !$0.contains("./var/lib/etcd") }.joined(separator: "\n")
        }
        #expect(withoutEtcd(try good.tree(isEnd: true)) == withoutEtcd(before))
        #expect(try !good.hasJournal())
        #expect(try good.leftovers() == "")
        #expect(good.units.isActive("kubelet.service") && good.units.isActive("crio.service"))
        let store = try RecoveryStore(path: good.store)
        #expect(try store.newest()?.generation == 1)
        #expect(try store.newestFailedState()?.generation == 2)
    }

    @Test("stops what runs in order, and starts it again") func order() async throws {
        let node = try await RecoveryNode()
        try await node.recover()
        let calls = node.recorder.calls.filter { !$0.hasPrefix("restore etcd") && $0 != "reload units" }
        #expect(
            calls == [
                "stop kubelet.service", "stop pod p-dns", "remove pod p-dns", "stop pod p-etcd", "remove pod p-etcd",
                "stop crio.service", "start crio.service", "start crio.service", "start kubelet.service",
            ]
        )
    }

    @Test("ends in the same state whichever of its calls fails once, and goes on with --resume") func failingCalls()
        async throws
    {
        let template = try await RecoveryNode()
        let reference = try RecoveryNode(copying: template)
        try await reference.recover()
        let count = reference.recorder.calls.count
        try #require(count > 12)
        let end = try reference.tree(isEnd: true)
        for failing in 1...count {
            let node = try RecoveryNode(copying: template)
            let seen = Counter()
            node.recorder.inject { call in
                if seen.next() == failing { throw InjectedFault(call: call) }
            }
            var ending: RecoveryEnding?
            do {
                ending = try await node.begin()
            } catch {
                ending = try await Self.goOn(node, after: error)
            }
            for _ in 2...4 {
                guard case .needsReboot = ending else { break }
                try node.boot()
                do { ending = try await node.resume() } catch {
                    ending = try await Self.goOn(node, after: error)
                }
            }
            #expect(ending == .completed, "call \(failing)")
            #expect(seen.value >= failing)
            #expect(try node.tree(isEnd: true) == end, "call \(failing)")
            #expect(try node.leftovers() == "", "call \(failing)")
            #expect(try RecoveryStore(path: node.store).generations() == [1, 2], "call \(failing)")
        }
    }

    @Test("ends in the same state when it is cut before, inside or after any step") func cutSteps() async throws {
        let template = try await RecoveryNode()
        let reference = try RecoveryNode(copying: template)
        try await reference.recover()
        let end = try reference.tree(isEnd: true)
        let all = RecoverySequence.twoReboots.steps
        let skipped = try RecoveryProgress(in: reference.store, root: reference.root).steps.filter {
            $0.state == "skipped"
        }
        for cut in all.indices where !skipped.contains(where: { $0.name == all[cut].name }) {
            // "before" one step is "after" the step in front of it, but for a line of the journal
            for place in cut.isMultiple(of: 3) ? ["before", "after"] : ["after"] {
                let name = all[cut].name
                let node = try RecoveryNode(copying: template)
                let seen = Counter()
                let steps = all.enumerated().map { index, step in
                    Step(step.phase, step.name, step.summary, step.conditions) { context in
                        guard index == cut else { return try await step.action(context) }
                        if place == "before", seen.next() == 1 { throw InjectedFault(call: name) }
                        let outcome = try await step.action(context)
                        if place == "after", seen.next() == 1 { throw InjectedFault(call: name) }
                        return outcome
                    }
                }
                let sequence = RecoverySequence(name: "interrupted", steps: steps)
                for _ in 1...4 {
                    try node.boot()
                    let ending: RecoveryEnding?
                    do throws(RecoveryError) {
                        ending = try await Sequencer(sequence: sequence, context: try node.contextOrFail()).run()
                    } catch {
                        #expect(error.summary.hasPrefix("step '\(name)': "))
                        #expect(error.hint != nil)
                        // as if it had been killed there: nobody wrote that it failed
                        try node.forgetLastRecord()
                        let again = try await Sequencer(sequence: sequence, context: try node.contextOrFail()).run()
                        if again == .completed { break }
                        continue
                    }
                    if ending == .completed { break }
                }
                #expect(seen.value >= 1, "\(place) \(name)")
                #expect(try node.tree(isEnd: true) == end, "\(place) \(name)")
                #expect(try RecoveryStore(path: node.store).generations() == [1, 2], "\(place) \(name)")
            }
        }
    }

    @Test("can run every step a second time: a journal that forgot its end leads to the same state") func again()
        async throws
    {
        let node = try await RecoveryNode()
        try await node.recover()
        let end = try node.tree(isEnd: true)
        let lines = try Shell.output("cat '\(node.store)/journal.last'").split(separator: "\n")
        try #require(lines.count > 2 * RecoverySequence.twoReboots.steps.count - 4)
        // ends and beginnings of steps by turns
        for count in stride(from: lines.count, to: 0, by: -3) {
            node.startPods()
            let text = lines.prefix(count).joined(separator: "\n") + "\n"
            try AtomicFile.write(Array(text.utf8), to: "journal", in: Directory(path: node.store))
            try node.boot()
            var ending = try await node.resume()
            if case .needsReboot = ending {
                try node.boot()
                ending = try await node.resume()
            }
            #expect(ending == .completed, "\(count) lines")
            #expect(try node.tree(isEnd: true) == end, "\(count) lines")
            #expect(try node.leftovers() == "", "\(count) lines")
            #expect(try RecoveryStore(path: node.store).generations() == [1, 2], "\(count) lines")
        }
    }

    private static func goOn(_ node: RecoveryNode, after error: RecoveryError) async throws -> RecoveryEnding {
        #expect(error.hint?.isEmpty == false, "\(error.summary)")
        // one that fails while it proves has nothing to go on with
        return try await node.hasJournal() ? node.resume() : node.begin()
    }
}

/// Counts what closures see.
final class Counter: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock { $0 } }

    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}

extension RecoveryNode {
    func contextOrFail() throws(RecoveryError) -> RecoveryContext {
        do { return try context() } catch { throw .wrapping(error) }
    }

    /// Takes the last line off the journal.
    func forgetLastRecord() throws {
        try Shell.output("sed -i '$d' '\(store)/journal'")
    }
}
