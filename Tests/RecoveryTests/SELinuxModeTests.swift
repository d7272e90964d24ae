import Files
import RecoveryPoints
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import Recovery

@Suite("SELinux in a recovery") struct SELinuxModeTests {
    private func enforcing() async throws -> RecoveryNode {
        let node = try await RecoveryNode(breaks: false)
        try Shell.output("mkdir -p '\(node.root)/sys/fs/selinux' && printf 1 > '\(node.root)/sys/fs/selinux/enforce'")
        return node
    }

    private func mode(_ node: RecoveryNode) throws -> String { try node.read("sys/fs/selinux/enforce") }

    private static func refusal(_ errno: Errno) -> FilesError {
        FilesError(operation: "set the attribute of", path: "/etc/shadow", errno: errno)
    }

    @Test("stays enforcing as long as nothing is refused, and whatever else goes wrong") func untouched() async throws {
        let node = try await enforcing()
        let context = try node.context()
        #expect(try SELinuxMode.keeping(in: context) { try mode(node) } == "1")
        for errno in [Errno.noSpace, .ioError, .noSuchFileOrDirectory] {
            let runs = Counter()
            #expect(throws: FilesError.self) {
                try SELinuxMode.keeping(in: context) {
                    _ = runs.next()
                    #expect(try mode(node) == "1")
                    throw Self.refusal(errno)
                }
            }
            #expect(runs.value == 1)
        }
        #expect(context.journal.records.isEmpty)
    }

    @Test(
        "is suspended for one more try when it refuses, and enforcing again after it",
        arguments: [Errno.permissionDenied, .notPermitted]
    )
    func suspended(errno: Errno) async throws {
        let node = try await enforcing()
        let context = try node.context()
        var modes: [String] = []
        let value = try SELinuxMode.keeping(in: context) {
            modes.append(try mode(node))
            if modes.count == 1 { throw Self.refusal(errno) }
            return 7
        }
        #expect(value == 7)
        #expect(modes == ["1", "0"])
        #expect(try mode(node) == "1")
        #expect(node.log.lines.contains { $0.hasPrefix("warning: SELinux refused: ") })
    }

    @Test("is enforcing again when the second try fails too") func fails() async throws {
        let node = try await enforcing()
        let context = try node.context()
        let runs = Counter()
        #expect(throws: FilesError.self) {
            try SELinuxMode.keeping(in: context) {
                _ = runs.next()
                throw Self.refusal(.permissionDenied)
            }
        }
        #expect(runs.value == 2)
        #expect(try mode(node) == "1")
        #expect(context.journal.value(JournalKeys.selinux) == .putBack)
    }

    @Test("is not touched where it is permissive or not there") func permissive() async throws {
        let node = try await enforcing()
        try Shell.output("printf 0 > '\(node.root)/sys/fs/selinux/enforce'")
        let context = try node.context()
        #expect(throws: FilesError.self) {
            try SELinuxMode.keeping(in: context) { throw Self.refusal(.permissionDenied) }
        }
        #expect(try mode(node) == "0")
        try SELinuxMode.putBack(in: context)
        #expect(try mode(node) == "0")
        try Shell.output("rm -r '\(node.root)/sys'")
        #expect(throws: FilesError.self) {
            try SELinuxMode.keeping(in: context) { throw Self.refusal(.permissionDenied) }
        }
        #expect(context.journal.records.isEmpty)
    }

    @Test(
        "is put back by the next run when one was killed meanwhile, by --resume as by --restart",
        arguments: [true, false]
    )
    func killed(resumes: Bool) async throws {
        let node = try await enforcing()
        do {
            let context = try node.context()
            try context.note(JournalValues(JournalKeys.selinux, .suspended), of: "restore-etc")
            try Shell.output("printf 0 > '\(node.root)/sys/fs/selinux/enforce'")
        }
        let ending = resumes ? try await node.resume() : try await node.restart()
        #expect(try mode(node) == "1")
        try await node.goOn(from: ending)
        #expect(try mode(node) == "1")
    }
}
