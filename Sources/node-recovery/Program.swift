import ArgumentParser
import CLinux
import Glibc
import Reporting

/// The one executable: the name that it is called by, or its first argument, chooses the command.
@main
enum Program {
    /// What `--version` prints and every manifest records.
    static let version = "0.1.0"

    /// The names that the program answers to, and the command behind each.
    static let commands: [(name: String, command: any ParsableCommand.Type)] = [
        ("node-backup", NodeBackup.self),
        ("upgrade-recovery", UpgradeRecovery.self),
        ("upgrade-recovery.sh", UpgradeRecovery.self),
        ("etcd-snapshot", EtcdSnapshot.self),
    ]

    /// As many as a command may have at once: tasks, signals, a ticker, compressors or decompressors of two files.
    private static let threads = 12

    /// The main thread only starts the work and waits.
    ///
    /// An asynchronous `main` would wait in libdispatch, which unblocks
    /// every signal in that thread: SIGTERM would end the program instead of asking it to stop.
    static func main() {
        Streams.prepare()
        // Before anything that makes threads: a process with threads cannot enter the host.
        do {
            try HostEntry.enterIfAsked(CommandLine.arguments)
        } catch {
            Streams.report(error, as: "upgrade-recovery")
            exit(error.exitStatus.rawValue)
        }
        SignalWatch.block()
        do {
            try WorkerThread.requireRoom(for: threads)
        } catch {
            Streams.report(error, as: choose(CommandLine.arguments).0)
            exit(error.exitStatus.rawValue)
        }
        // Large buffers go back to the system when they are freed: glibc would keep them for the next ones, whose sizes
        // they do not fit, and the memory of all components would add up.
        _ = CLinux_unmap_buffers_from(512 << 10)  // ignored: it only takes more memory
        Task.detached { await run() }
        while true { pause() }
    }

    private static func run() async -> Never {
        let (name, command, arguments) = choose(CommandLine.arguments)
        guard let command else { finishWithoutCommand(arguments, name: name) }
        var failure: JournalEvent?
        do {
            var parsed = try command.parseAsRoot(arguments)
            failure = JournalEvent.failure(of: parsed)
            if var parsed = parsed as? any AsyncParsableCommand {
                try await parsed.run()
            } else {
                try parsed.run()
            }
            if let error = Streams.outputError { throw error }
            exit(ExitStatus.done.rawValue)
        } catch {
            finish(error, command: command, name: name, event: error is Paused ? .recoveryPaused : failure)
        }
    }

    /// The name to show, the command (`nil`: none was named) and the arguments that are left for it.
    static func choose(_ arguments: [String]) -> (String, (any ParsableCommand.Type)?, [String]) {
        let called = arguments.first.map { String($0.split(separator: "/").last ?? "") } ?? ""
        if let entry = commands.first(where: { $0.name == called }) {
            return (called, entry.command, Array(arguments.dropFirst()))
        }
        if arguments.count > 1, let entry = commands.first(where: { $0.name == arguments[1] }) {
            return (arguments[1], entry.command, Array(arguments.dropFirst(2)))
        }
        return ("node-recovery", nil, Array(arguments.dropFirst()))
    }

    /// The program under its own name, and no command after it: its version, its commands, or what is missing.
    private static func finishWithoutCommand(_ arguments: [String], name: String) -> Never {
        let names = commands.map(\.name).filter { !$0.hasSuffix(".sh") }.joined(separator: ", ")
        let hint = "'node-recovery node-backup --help' tells what a command does"
        switch arguments.first {
        case "--version":
            Streams.printResult("\(name) \(version)")
        case "--help", "-h", "help":
            Streams.printResult("The commands are \(names).\n\(hint)")
        default:
            Streams.printError("\(name): say which command is wanted: \(names)\nhint: \(hint)")
            exit(ExitStatus.usage.rawValue)
        }
        if let error = Streams.outputError {
            Streams.report(error, as: name)
            exit(error.exitStatus.rawValue)
        }
        exit(ExitStatus.done.rawValue)
    }

    /// Prints an error the way the house prints them and ends with its status.
    private static func finish(
        _ error: any Error,
        command: any ParsableCommand.Type,
        name: String,
        event: JournalEvent?
    ) -> Never {
        if let error = error as? any OperatorError {
            LastWord.tell(error, as: name, event: event)
            exit(error.exitStatus.rawValue)
        }
        if let code = error as? ExitCode { exit(code.rawValue) }
        // Help, --version and what the command line's own reader says; it ends with 0 or 64.
        command.exit(withError: error)
    }
}
