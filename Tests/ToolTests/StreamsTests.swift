import SystemPackage
import TestSupport
import Testing

@testable import node_recovery

@Suite("What a command prints") struct StreamsTests {
    @Test("keeps its lines and its own colours, and escapes every other control character")
    func harmless() {
        #expect(Streams.harmless("a\nb\u{1B}[2Jc") == "a\nb\\033[2Jc")
        let coloured = TerminalColour.red.around("red") + " \u{1B}[5mx\u{1B}"
        #expect(Streams.harmless(coloured) == "\u{1B}[1;31mred\u{1B}[0m \\033[5mx\\033")
        #expect(Streams.harmless("\u{1B}\u{301}[2J\r\n").unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\n" })
    }

    @Test("into a pipe that nobody reads ends with the command's own status, not with a signal")
    func closedPipe() throws {
        let directory = try TemporaryDirectory()
        let tool = try Tool(in: directory)
        try Shell.output("head -c 40000 /dev/zero > '\(directory / "junk")'")
        for (name, arguments) in [
            ("upgrade-recovery", "--list-steps"), ("upgrade-recovery", "--help"), ("node-backup", "create --help"),
            ("etcd-snapshot", "verify '\(directory / "junk")'"), ("node-backup", "--no-such-option"),
        ] {
            let command = "'\(tool.path(name))' \(arguments) 2>&1"
            let status = try Shell.run("\(command) > '\(directory / "out")'").status
            // Both streams lead into a pipe whose reader has ended.
            let piped = try Shell.output("(sleep 0.2; \(command)) | true; echo ${PIPESTATUS[0]}").trimmed
            #expect(piped == "\(status)", "\(name) \(arguments)")
        }
    }

    @Test("onto a full disk ends with 74 and says so")
    func fullDisk() throws {
        let directory = try TemporaryDirectory()
        let tool = try Tool(in: directory)
        let result = try Shell.run("'\(tool.path("upgrade-recovery"))' --list-steps 2>&1 > /dev/full")
        #expect(result.status == 74)
        #expect(
            result.output.hasPrefix(
                "upgrade-recovery: could not write the result to standard output: No space left on device\nhint: "
            )
        )
    }
}
