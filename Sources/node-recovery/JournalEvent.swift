import ArgumentParser

/// Ends of runs that journald knows by a `MESSAGE_ID` of their own: `journalctl MESSAGE_ID=…` finds them on every node.
///
/// The ids are a promise (docs/service.md): never changed, never reused.
enum JournalEvent: String, CaseIterable {
    /// A recovery point is there and counts.
    case backupDone = "3cda6eb4d9094730b56e0e47d70530ab"
    /// There is no new recovery point.
    case backupFailed = "2b02a07fde8f4eed8a69b9b0457e4703"
    /// The node is recovered.
    case recoveryDone = "a5a5c18e39984145976c7de1a58132b5"
    /// The recovery goes on after a reboot, or when the operator has looked.
    case recoveryPaused = "892fbc9e5283453aa378f52a64e00a73"
    /// A step failed, or the recovery was refused.
    case recoveryFailed = "8844ebaf974a4bd6bf8c35b95513b734"
}

extension JournalEvent {
    /// What journald knows the end of a command in an error by; `nil` for a command whose ends have no ids.
    static func failure(of command: any ParsableCommand) -> JournalEvent? {
        switch command {
        case is NodeBackup.Create: .backupFailed
        case let command as UpgradeRecovery: command.takesBackup ? .backupFailed : .recoveryFailed
        default: nil
        }
    }
}
