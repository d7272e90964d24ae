import Testing

@testable import node_recovery

@Suite("Commands that the program tells to type") struct GivenOptionsTests {
    private func applied(_ arguments: String, to text: String) -> String {
        GivenOptions(["upgrade-recovery"] + arguments.split(separator: " ").map { String($0) }).applied(to: text)
    }

    @Test(
        "have the options that were given once",
        arguments: [
            ("", "run 'upgrade-recovery --resume'", "run 'upgrade-recovery --resume'"),
            ("--dir /mnt/r", "run 'upgrade-recovery --resume'", "run 'upgrade-recovery --resume --dir /mnt/r'"),
            ("--dir=/mnt/r --root /sysroot", "node-backup create", "node-backup create --dir /mnt/r --root /sysroot"),
            (
                "--dir /r --skip-check images --without-undo",
                "'upgrade-recovery --point 3', not 'upgrade-recovery --status'",
                "'upgrade-recovery --point 3 --dir /r --skip-check images --without-undo', "
                    + "not 'upgrade-recovery --status --dir /r'"
            ),
            ("--without-undo", "'upgrade-recovery --restart'", "'upgrade-recovery --restart'"),
            (
                "--dir /r", "look at /var/r/upgrade-recovery-resume.service",
                "look at /var/r/upgrade-recovery-resume.service"
            ),
            ("--dir /r", "the last upgrade-recovery was long ago", "the last upgrade-recovery was long ago"),
            (
                "--dir /r", "systemctl reboot, then upgrade-recovery --resume",
                "systemctl reboot, then upgrade-recovery --resume --dir /r"
            ),
            ("--dir /r", "type 'node-backup verify 3'", "type 'node-backup verify 3 --dir /r'"),
        ]
    )
    func applies(arguments: String, text: String, expected: String) {
        #expect(applied(arguments, to: text) == expected)
    }
}
