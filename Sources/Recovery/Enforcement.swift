import Backup
import Files
import Glibc
import Logging
import NodeInterface
import RecoveryPoints
import SystemPackage

/// SELinux's mode while files are restored.
///
/// It stays as it is. Only when the policy refuses to let a label or an owner be written is it made permissive for
/// that one step, and put back on every way out: at the end of the step, and, when the program was killed meanwhile,
/// at the beginning of the next run, for which the journal remembers it.
enum Enforcement {
    private static let file: FilePath = "/sys/fs/selinux/enforce"
    private static let valueName = "selinux"

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
            try remember("enforcing", in: context)
            try write("0", in: context.root)
            defer {
                do {
                    try write("1", in: context.root)
                    try remember("as it was", in: context)
                } catch {
                    node.log.error("could not put SELinux's enforcing mode back: \(error); do so with 'setenforce 1'")
                }
            }
            return try body()
        }
    }

    /// Puts back what a run that was killed has left suspended.
    static func putBack(in context: RecoveryContext) throws {
        guard context.journal.value(valueName) == "enforcing" else { return }
        if try !isEnforcing(in: context.root), try context.root.exists(file) { try write("1", in: context.root) }
        try remember("as it was", in: context)
    }

    private static func remember(_ mode: String, in context: RecoveryContext) throws {
        try context.note([valueName: mode], of: context.journal.records.last?.step ?? "verify")
    }

    private static func write(_ text: String, in root: RootDirectory) throws(FilesError) {
        let path = root.fullPath(of: file)
        let descriptor = path.withPlatformString { open($0, O_WRONLY | O_CLOEXEC | O_NOFOLLOW) }
        guard descriptor >= 0 else {
            throw FilesError(operation: "open", path: path.string, errno: Errno(rawValue: errno))
        }
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        try file.descriptor.writeAll(Array(text.utf8)[...], path: path.string)
    }
}
