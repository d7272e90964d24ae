import Backup
import Files
import Logging
import NodeInterface
import RecoveryPoints
import SystemPackage

/// SELinux's mode while files are restored.
///
/// It stays as it is. Only when the policy refuses to let a label or an owner be written is it made permissive for
/// that one step, and put back on every way out: at the end of the step, and, when the program was killed meanwhile,
/// at the start of the next run, for which the journal remembers it.
enum SELinuxMode {
    /// What the journal remembers of it.
    enum Note: String, JournalValue {
        /// It was enforcing, and is suspended.
        case suspended = "enforcing"
        /// It is as it was.
        case putBack = "as it was"

        init?(journalText: String) { self.init(rawValue: journalText) }
        var journalText: String { rawValue }
    }

    private static let file: FilePath = "/sys/fs/selinux/enforce"

    /// Whether SELinux enforces its policy on the node.
    static func isEnforcing(in root: RootDirectory) throws(FilesError) -> Bool {
        guard try root.exists(file) else { return false }
        return try root.readFile(file, limitBytes: 16).first == UInt8(ascii: "1")
    }

    /// Runs `body`, once more with the policy suspended when it was refused by it.
    static func keeping<Value>(in context: RecoveryContext, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            let errno = (error as? FilesError)?.errno
            guard errno == .permissionDenied || errno == .notPermitted, try isEnforcing(in: context.root) else {
                throw error
            }
            let node = context.node
            node.log.warning("SELinux refused: \(error); its policy is suspended for this step, continuing")
            try remember(.suspended, in: context)
            try write("0", in: context.root)
            defer {
                do {
                    try write("1", in: context.root)
                    try remember(.putBack, in: context)
                } catch {
                    node.log.error("could not put SELinux's enforcing mode back: \(error); do so with 'setenforce 1'")
                }
            }
            return try body()
        }
    }

    /// Puts back what a run that was killed has left suspended.
    static func putBack(in context: RecoveryContext) throws {
        guard context.journal.value(JournalKeys.selinux) == .suspended else { return }
        if try !isEnforcing(in: context.root), try context.root.exists(file) { try write("1", in: context.root) }
        try remember(.putBack, in: context)
    }

    private static func remember(_ note: Note, in context: RecoveryContext) throws {
        let step = context.journal.records.last?.step ?? context.sequence.steps[0].name
        try context.note(JournalValues(JournalKeys.selinux, note), of: step)
    }

    private static func write(_ text: String, in root: RootDirectory) throws(FilesError) {
        try root.overwrite(file, with: Array(text.utf8))
    }
}
