import Recovery
import Reporting
import SystemPackage
import TestSupport
import Testing

@testable import node_recovery

@Suite("The page about the service") struct ServicePageTests {
    @Test("has the id of every end of a run that journald knows, and no other") func ids() throws {
        let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        let text = try Shell.output("cat '\(root)/docs/service.md'")
        let ids = text.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .compactMap { $0.split(separator: "`").dropFirst().first }.map { String($0) }.filter { $0.utf8.count == 32 }
        #expect(ids == JournalEvent.allCases.map(\.rawValue))
    }
}

@Suite("The runbook") struct RunbookTests {
    private let text: String

    init() throws {
        let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        text = try Shell.output("cat '\(root)/docs/runbook.md'")
    }

    @Test("has a row for every check of the doctor and every step of the recovery, in order, and for no other")
    func steps() {
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }
        let names = rows.compactMap { $0.split(separator: "`").dropFirst().first }.map { String($0) }
        let checks = ReadinessChecks.listing.map(\.name)
        #expect(names.filter { !$0.contains(" ") } == checks + RecoverySequence.twoReboots.listing.map(\.name))
    }

    @Test("has a row for every exit status", arguments: Reporting.ExitStatus.allCases)
    func statuses(status: Reporting.ExitStatus) {
        #expect(text.contains("\n| \(status.rawValue) | "), "\(status)")
    }
}
