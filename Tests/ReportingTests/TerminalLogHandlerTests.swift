import Glibc
import Logging
import SystemPackage
import TestSupport
import Testing

@testable import Reporting

@Suite("Log lines for a person") struct TerminalLogHandlerTests {
    /// Everything that `body` writes to a terminal that is a file.
    private func written(verbosity: Verbosity = .normal, _ body: (Terminal, inout Logger) -> Void) throws -> String {
        let directory = try TemporaryDirectory()
        let file = try FileDescriptor.open(
            directory / "out",
            .readWrite,
            options: [.create],
            permissions: [.ownerReadWrite]
        )
        let terminal = Terminal(descriptor: file, environment: [:])
        var log = Logger(label: "node-backup") {
            TerminalLogHandler(label: $0, terminal: terminal, verbosity: verbosity)
        }
        body(terminal, &log)
        try file.close()
        return try Shell.output("cat \(directory / "out")")
    }

    @Test("name the program and what is wrong")
    func lines() throws {
        let text = try written { _, log in
            log.notice("backed up 'etc'", metadata: ["files": "12"])
            log.warning("'x' vanished, continuing")
            log.error("no")
            log.info("a figure")
            log.debug("the rest")
        }
        #expect(
            text == """
                node-backup: backed up 'etc'
                node-backup: warning: 'x' vanished, continuing
                node-backup: no

                """
        )
    }

    @Test("follow --quiet and --verbose")
    func verbosity() throws {
        let say = { (terminal: Terminal, log: inout Logger) in
            log[metadataKey: "point"] = "7"
            log.notice("a step", metadata: ["message_id": "0123", "files": "12"])
            log.debug("the rest")
            log.warning("careful")
        }
        #expect(try written(verbosity: .quiet, say) == "node-backup: warning: careful\n")
        #expect(
            try written(verbosity: .verbose, say) == """
                node-backup: a step (files=12, point=7)
                node-backup: the rest (point=7)
                node-backup: warning: careful (point=7)

                """
        )
    }

    @Test("cannot be made to steer the terminal by a file's name")
    func harmless() throws {
        let text = try written { _, log in log.notice("'a\u{1B}[2Jb\nc\u{9B}d\u{7F}é'") }
        #expect(text == "node-backup: 'a\\033[2Jb\\012c\\233d\\177é'\n")
    }

    @Test("have colours only where they are wanted")
    func colors() throws {
        let terminal = Terminal(descriptor: .standardError, environment: ["NO_COLOR": "1"])
        #expect(!terminal.hasColor)
        let handler = TerminalLogHandler(label: "x", terminal: terminal, verbosity: .normal)
        let event = LogEvent(
            level: .warning,
            message: "m",
            metadata: nil,
            source: nil,
            file: "",
            function: "",
            line: 0
        )
        #expect(handler.line(for: event, hasColor: false) == "x: warning: m")
        #expect(handler.line(for: event, hasColor: true) == "x: \u{1B}[33mwarning:\u{1B}[0m m")
    }

    @Test("stand above the progress bar")
    func statusLine() throws {
        let text = try written { terminal, log in
            terminal.showStatus("[==> ]")
            terminal.showStatus("[==> ]")
            log.notice("a step")
            terminal.showStatus("")
            log.notice("another")
        }
        let clear = "\r\u{1B}[K"
        #expect(text == "\(clear)[==> ]\(clear)node-backup: a step\n[==> ]\(clear)node-backup: another\n")
    }
}
