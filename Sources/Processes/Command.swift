internal import Glibc
public import Reporting
internal import Subprocess
public import SystemPackage

/// A program with its arguments, run without a shell, a terminal or a language setting.
///
/// The child gets this process's environment with `LC_ALL=C` and ``environment`` laid over it, `/dev/null` as its
/// standard input, and a session of its own, so that nothing it starts can ask a question at the terminal and the
/// whole session is stopped with it.
public struct Command: Sendable, Hashable {
    /// The program, then its arguments.
    ///
    /// A name without a slash is looked for in `PATH`.
    public var arguments: [String]
    /// Variables that are set for the child beside the inherited ones.
    public var environment: [String: String]
    /// The directory that is `/` for the program; `nil` runs it where we are.
    ///
    /// The program is then looked for below that directory, with `chroot(8)`.
    public var chroot: FilePath?

    /// How many bytes of each output stream are taken before the program is stopped: 1 MiB.
    public static let outputLimit = 1 << 20

    private static let chrootProgram = "/usr/sbin/chroot"

    /// How long a program that is to stop may take after SIGTERM, until it is killed.
    static let stopGrace = Duration.seconds(5)

    /// How often the wish to stop and the limit are looked at while the program runs.
    static let watchInterval = Duration.milliseconds(50)

    /// A command line as a list.
    /// - Precondition: `arguments` is not empty.
    public init(_ arguments: [String], environment: [String: String] = [:], chroot: FilePath? = nil) {
        precondition(!arguments.isEmpty, "a command needs a program")
        self.arguments = arguments
        self.environment = environment
        self.chroot = chroot
    }

    /// Runs the program to its end and collects what it printed.
    ///
    /// A program that outlives `limit`, or that runs when `cancellation` is cancelled, gets SIGTERM and five seconds
    /// later SIGKILL, with everything in its session; this returns when it has ended.
    /// - Returns: the end of the program, whatever its status; see ``Output/requireSuccess()``.
    /// - Throws: ``ProcessError`` when it could not be run to its end, `Stopped` when it was cancelled.
    public func run(limit: Duration, cancellation: Cancellation) async throws -> Output {
        try cancellation.check()
        let output = try await withThrowingTaskGroup(of: Event.self) { group in
            group.addTask { .ended(await collect()) }
            group.addTask { .interrupted(await Self.interruption(limit: limit, cancellation: cancellation)) }
            var interruption: Interruption?
            while let event = await group.nextResult() {
                switch try event.get() {
                case .interrupted(let reason?):
                    interruption = reason
                    group.cancelAll()
                case .interrupted(nil):
                    break
                case .ended(let result):
                    group.cancelAll()
                    switch interruption {
                    case .stopped(let stopped): throw stopped
                    case .limit: throw ProcessError(command: self, reason: .limit(limit))
                    case nil: return try result.get()
                    }
                }
            }
            preconditionFailure("the task that runs the program always reports")
        }
        // chroot(8) itself ends with 125 when it fails, 126 and 127 when it cannot start the program, and says so.
        if chroot != nil, let line = output.lastErrorLine, line.hasPrefix(Self.chrootProgram + ": ") {
            if output.status == .exited(127) { throw ProcessError(command: self, reason: .notFound) }
            throw ProcessError(command: self, reason: .notStarted(line))
        }
        return output
    }

    private enum Event: Sendable {
        case ended(Result<Output, ProcessError>)
        case interrupted(Interruption?)
    }

    private enum Interruption: Sendable {
        case limit
        case stopped(Stopped)
    }

    /// Waits until the run has to stop; `nil` when the task itself is cancelled first.
    private static func interruption(limit: Duration, cancellation: Cancellation) async -> Interruption? {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            do {
                try cancellation.check()
            } catch {
                return .stopped(error)
            }
            do {
                try await Task.sleep(for: watchInterval)
            } catch {
                return nil
            }
        }
        return .limit
    }

    private func collect() async -> Result<Output, ProcessError> {
        var line = arguments
        if let chroot { line = [Self.chrootProgram, chroot.string] + line }
        var variables: [Environment.Key: String?] = ["LC_ALL": "C"]
        for (name, value) in environment {
            // ignored: a name that cannot be one is a fault of ours that the type of the key does not admit
            guard let key = Environment.Key(rawValue: name) else { continue }
            variables[key] = value
        }
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: Self.stopGrace)
        ]
        do {
            let result = try await Subprocess.run(
                line[0].contains("/") ? .path(FilePath(line[0])) : .name(line[0]),
                arguments: Arguments(Array(line.dropFirst())),
                environment: .inherit.updating(variables),
                platformOptions: options,
                input: .none,
                output: .bytes(limit: Self.outputLimit),
                error: .bytes(limit: Self.outputLimit)
            )
            let status: Output.Status =
                switch result.terminationStatus {
                case .exited(let code): .exited(code)
                case .signaled(let number): .signaled(number)
                }
            return .success(
                Output(
                    command: self,
                    status: status,
                    standardOutput: result.standardOutput,
                    standardError: result.standardError
                )
            )
        } catch let error as SubprocessError {
            return .failure(ProcessError(command: self, reason: .init(error)))
        } catch {
            return .failure(ProcessError(command: self, reason: .notStarted("\(error)")))
        }
    }
}

extension Command: CustomStringConvertible {
    /// The command line as an operator could type it: what needs quotes for a shell has them.
    public var description: String {
        let line = chroot.map { ["chroot", $0.string] + arguments } ?? arguments
        return line.map(Self.quoted).joined(separator: " ")
    }

    private static func quoted(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./=:,@%+".utf8.contains(byte)
            }
        }
        if plain, !word.isEmpty { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}

extension ProcessError.Reason {
    fileprivate init(_ error: SubprocessError) {
        switch error.code {
        case .executableNotFound: self = .notFound
        case .outputLimitExceeded: self = .tooMuchOutput
        default:
            let cause = error.underlyingError.map { String(cString: strerror($0.rawValue)) }
            self = .notStarted(cause ?? "\(error)")
        }
    }
}
