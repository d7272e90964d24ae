import Recovery
import Reporting
import SystemPackage
import TestSupport
import Testing

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
        #expect(names.filter { !$0.contains(" ") } == checks + RecoverySequence.listing.map(\.name))
    }

    @Test("has a row for every exit status", arguments: Reporting.ExitStatus.allCases)
    func statuses(status: Reporting.ExitStatus) {
        #expect(text.contains("\n| \(status.rawValue) | "), "\(status)")
    }
}
