import Logging
import Testing

@testable import Systemd

@Suite("A journald entry") struct JournalLogHandlerTests {
    private func fields(
        _ level: Logger.Level,
        _ message: Logger.Message,
        metadata: Logger.Metadata? = nil,
        of handler: JournalLogHandler = JournalLogHandler(label: "node-backup", logLevel: .info)
    ) -> [String] {
        handler.fields(
            for: LogEvent(
                level: level,
                message: message,
                metadata: metadata,
                source: nil,
                file: "",
                function: "",
                line: 0
            )
        ).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("has the message, its priority and who says it")
    func fixed() {
        #expect(fields(.notice, "two\nlines") == ["MESSAGE=two\nlines", "PRIORITY=5", "SYSLOG_IDENTIFIER=node-backup"])
        #expect(Logger.Level.allCases.map(JournalLogHandler.priority) == [7, 7, 6, 5, 4, 3, 2])
    }

    @Test("has the metadata as fields, the line's own before the logger's")
    func metadata() {
        var handler = JournalLogHandler(label: "x", logLevel: .info)
        handler[metadataKey: "recovery-point"] = "7"
        handler[metadataKey: "step"] = "none"
        let entry = fields(.info, "m", metadata: ["step": "restore-etc", "message_id": "0123abcd"], of: handler)
        #expect(entry.dropFirst(3) == ["MESSAGE_ID=0123abcd", "RECOVERY_POINT=7", "STEP=restore-etc"])
    }

    @Test("never has metadata in the place of a fixed field")
    func noDoubles() {
        let entry = fields(.info, "m", metadata: ["message": "forged", "Priority": "0", "a b": "1", "a.b": "2"])
        #expect(entry.count { $0.hasPrefix("MESSAGE=") } == 1)
        #expect(entry.count { $0.hasPrefix("PRIORITY=") } == 1)
        #expect(entry.count { $0.hasPrefix("A_B=") } == 1)
    }

    @Test("has only names that journald takes")
    func names() {
        #expect(JournalLogHandler.fieldName("recovery_point") == "RECOVERY_POINT")
        #expect(JournalLogHandler.fieldName("__UID") == "UID")
        #expect(JournalLogHandler.fieldName("9lives") == "LIVES")
        #expect(JournalLogHandler.fieldName("größe") == "GR____E")
        #expect(JournalLogHandler.fieldName("") == nil)
        #expect(JournalLogHandler.fieldName("--1") == nil)
        #expect(JournalLogHandler.fieldName(String(repeating: "k", count: 100))?.count == 64)
    }

    @Test("is written when our standard error is journald's stream")
    func connected() {
        #expect(Journal.names("8:1234", device: 8, inode: 1234))
        for stream in ["8:1235", "9:1234", "8:1234:", "8", "", ":", "8:x"] {
            #expect(!Journal.names(stream, device: 8, inode: 1234))
        }
        #expect(!Journal.isConnected(environment: [:]))
        #expect(!Journal.isConnected(environment: ["JOURNAL_STREAM": "0:0"]))
    }
}
