import Glibc
public import SystemPackage

/// The product as an operator runs it: the built program under its names, in a process of its own.
///
/// The program is the one that `NODE_RECOVERY_PROGRAM` names; else the release program of scripts/build, unless a
/// source is newer; else the one that was built with the tests.
public struct Tool: Sendable {
    /// The end of one run.
    public struct Result: Sendable, CustomStringConvertible {
        /// The exit status; 128 and the number for a signal.
        public let status: Int32
        /// Standard output.
        public let output: String
        /// Standard error.
        public let errors: String

        /// Everything, for the message of a test that fails.
        public var description: String { "status \(status)\n\(output)\n\(errors)" }
    }

    /// The program itself.
    public let program: FilePath
    private let directory: FilePath

    /// Makes the names in `bin` of a directory; a `copy` of the program is for runs that may not reach the original.
    public init(in directory: TemporaryDirectory, copy: Bool = false) throws {
        self.directory = directory.path
        var program = try Self.built()
        try Shell.output("mkdir -p '\(directory / "bin")' '\(directory / "runs")'")
        if copy {
            try Shell.output("install -m 755 '\(program)' '\(directory / "bin")/node-recovery'")
            program = (directory / "bin").appending("node-recovery")
        }
        self.program = program
        for name in ["node-backup", "upgrade-recovery", "upgrade-recovery.sh", "etcd-snapshot"] {
            try Shell.output("ln -sfn '\(program)' '\(directory / "bin")/\(name)'")
        }
    }

    /// The path of one of the program's names.
    public func path(_ name: String) -> String { "\(directory)/bin/\(name)" }

    /// Runs the program under `name` to its end.
    /// - Parameters:
    ///   - wrapper: what runs the program, such as `strace`; found in `PATH`.
    ///   - limit: after it the program is killed, which shows as status 137.
    public func run(
        _ name: String,
        _ arguments: [String],
        under wrapper: [String] = [],
        environment: [String: String] = [:],
        limit: Duration = .seconds(120)
    ) throws -> Result {
        try start(name, arguments, under: wrapper, environment: environment).wait(limit: limit)
    }

    /// Starts the program under `name`.
    public func start(
        _ name: String,
        _ arguments: [String],
        under wrapper: [String] = [],
        environment: [String: String] = [:]
    ) throws -> RunningTool {
        try RunningTool(
            wrapper + [path(name)] + arguments,
            environment: environment,
            outputs: "\(directory)/runs/\(UInt64.random(in: 0 ... .max))"
        )
    }

    /// The release program of scripts/build; `nil` when there is none, or a source is newer.
    public static func release() throws -> FilePath? {
        let package = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        let release = package.appending(".build/node-recovery")
        let newer = try Shell.run(
            "find '\(package)/Sources' '\(package)/Package.swift' -newer '\(release)' -print -quit 2>&1"
        )
        return newer.output.isEmpty ? release : nil
    }

    private static func built() throws -> FilePath {
        if let named = getenv("NODE_RECOVERY_PROGRAM") { return FilePath(platformString: named) }
        if let release = try release() { return release }
        return FilePath(try Shell.output("dirname \"$(realpath /proc/\(getpid())/exe)\"").trimmed)
            .appending("node-recovery")
    }
}

/// The program while it runs.
public final class RunningTool {
    /// The process: of the wrapper, when there is one.
    public let pid: Int32
    private let outputs: String
    private var isReaped = false

    fileprivate init(_ words: [String], environment: [String: String], outputs: String) throws {
        self.outputs = outputs
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "\(outputs).out", O_WRONLY | O_CREAT, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, "\(outputs).err", O_WRONLY | O_CREAT, 0o644)
        var arguments = words.map { strdup($0) } + [nil]
        // A service's sockets are not ours.
        let removed = Set(environment.keys).union(["JOURNAL_STREAM", "NOTIFY_SOCKET"])
        var variables: [UnsafeMutablePointer<CChar>?] = []
        var position = environ
        while let entry = position.pointee {
            if !removed.contains(String(cString: entry).prefix { $0 != "=" }.description) {
                variables.append(strdup(entry))
            }
            position += 1
        }
        variables += environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, words[0], &actions, nil, &arguments, &variables)
        guard failure == 0 else { throw Errno(rawValue: failure) }
        self.pid = pid
    }

    deinit {
        guard !isReaped else { return }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    /// Standard error so far.
    public var errors: String { text("err") }

    /// Sends a signal.
    public func signal(_ number: Int32) {
        kill(pid, number)
    }

    /// Waits for the end; after `limit` the program is killed, which shows as status 137.
    public func wait(limit: Duration = .seconds(120)) throws -> Tool.Result {
        let deadline = ContinuousClock.now + limit
        var status: Int32 = 0
        while true {
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid { break }
            guard ended == 0 || errno == EINTR else { throw Errno(rawValue: errno) }
            if ContinuousClock.now > deadline { kill(pid, SIGKILL) }
            usleep(2000)
        }
        isReaped = true
        defer { for name in ["out", "err"] { unlink("\(outputs).\(name)") } }
        return Tool.Result(
            status: status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F),
            output: text("out"),
            errors: text("err")
        )
    }

    private func text(_ name: String) -> String {
        guard let file = fopen("\(outputs).\(name)", "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8]()
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
