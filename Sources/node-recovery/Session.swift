import CLinux
import ClusterAPI
import Configuration
import ContainerRuntime
import Etcd
import Files
import Glibc
import Logging
import NodeInterface
import OSTree
import Reporting
import SystemPackage
import Systemd

/// What one command works with: the node with its adapters, the log, the wish to stop, and how far it is.
struct Session {
    let node: Node
    let meter = ProgressMeter()
    private let name: String
    private let terminal: Terminal
    private let notifier: ServiceNotifier
    private let showsProgress: Bool
    private let isInJournal: Bool
    /// Whether results may have colours: on a terminal where a bar would be drawn.
    let resultHasColor: Bool

    /// Processors that this process may use.
    static var processors: Int {
        max(1, min(64, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
    }

    /// - Parameter limit: the longest that the command may take; `nil` for no limit.
    init(_ common: CommonOptions, settings: Settings, limit: Duration?, name: String = "node-backup") throws {
        let cancellation = Cancellation()
        try SignalWatch.start(cancellation, limit: limit)
        let environment = Self.environment
        let verbosity: Verbosity = common.quiet ? .quiet : common.verbose ? .verbose : .normal
        let terminal = Terminal(environment: environment)
        self.terminal = terminal
        self.name = name
        let isInJournal = Journal.isConnected(environment: environment)
        self.isInJournal = isInJournal
        let console = isInJournal ? Self.console : nil
        let log = Logger(label: name) { label -> any LogHandler in
            guard isInJournal else { return TerminalLogHandler(label: label, terminal: terminal, verbosity: verbosity) }
            let journal = JournalLogHandler(label: label, logLevel: verbosity.level)
            guard let console else { return journal }
            return MultiplexLogHandler([
                journal, TerminalLogHandler(label: label, terminal: console, verbosity: verbosity),
            ])
        }
        let root = common.rootPath
        let runtime = CRIRuntime(
            sockets: try Self.runtimeSockets(root: root, setting: settings.runtimeSocket),
            root: root,
            cancellation: cancellation
        )
        // Below another root nothing runs: this machine's own units and pods are left alone.
        let isRunningSystem = root == "/"
        node = Node(
            root: root,
            etcd: EtcdService(cancellation: cancellation),
            deployments: OSTreeDeployments(root: root, cancellation: cancellation, log: log),
            containers: runtime,
            pods: isRunningSystem ? runtime : nil,
            units: isRunningSystem ? SystemdUnits(cancellation: cancellation) : nil,
            cluster: isRunningSystem ? KubernetesCluster(root: root, cancellation: cancellation) : nil,
            log: log,
            cancellation: cancellation,
            now: { Session.wallClock() },
            isClockSynchronized: { [0: false, 1: true][CLinux_clock_is_synchronized()] }
        )
        let output = Terminal(descriptor: .standardOutput, environment: environment)
        resultHasColor = output.hasColor && output.progressStyle == .bar
        notifier = ServiceNotifier(environment: environment)
        showsProgress = !common.quiet && !isInJournal
    }

    /// Runs `body` while the terminal and the service manager are told how far it is.
    func showingProgress<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        let display = ProgressDisplay(label: name, terminal: terminal)
        let (meter, notifier, showsProgress) = (meter, notifier, showsProgress)
        notifier.send(.ready)
        let service = ServiceProgress(notifier)
        let ticker = Ticker(every: .milliseconds(100)) {
            let reading = meter.current
            if showsProgress { display.update(reading) }
            guard !reading.title.isEmpty else { return }
            service.tell(reading)
        }
        defer {
            ticker.stop()
            display.clear()
            notifier.send(.stopping)
        }
        return try await body()
    }

    /// Says how a run ended well: to the service manager, to journald with fields, and on standard output.
    /// - Parameter printed: what standard output gets instead of the sentence; `nil` for nothing.
    func finish(_ sentence: String, _ event: JournalEvent, _ fields: Logger.Metadata = [:], printing printed: String?) {
        notifier.send(.status(sentence))
        guard isInJournal else {
            if let printed { Streams.printResult(printed) }
            return
        }
        node.log.notice("\(sentence)", metadata: fields.merging(["message_id": "\(event.rawValue)"]) { $1 })
        // What goes to the journal as well would be there twice.
        let isSeen = Journal.isConnected(STDOUT_FILENO, environment: Self.environment)
        if let printed, printed != sentence || !isSeen { Streams.printResult(printed) }
    }

    /// Where a runtime may listen; the setting counts as it is.
    ///
    /// Below another root no link leads out of it, to a runtime of this machine: there the first one that is there
    /// counts.
    private static func runtimeSockets(root: FilePath, setting: String?) throws -> [FilePath] {
        if let setting { return [FilePath(setting)] }
        if root == "/" { return WellKnownPaths.runtimeSockets }
        let directory = try RootDirectory(path: root)
        let found = try WellKnownPaths.runtimeSockets.first { try directory.exists($0) }
        return [directory.fullPath(of: found ?? WellKnownPaths.runtimeSockets[0])]
    }

    private static func wallClock() -> FileTime {
        var seconds: Int64 = 0
        var nanoseconds: Int32 = 0
        CLinux_wall_clock(&seconds, &nanoseconds)
        return FileTime(seconds: seconds, nanoseconds: nanoseconds)
    }

    /// Where a unit's lines go besides journald, for whoever stands there: `NODE_RECOVERY_CONSOLE`, most often
    /// `/dev/console`; `nil` when it is not set or cannot be written.
    ///
    /// journald itself shows on a console only what comes as lines (`journal+console`), and entries with fields do not.
    /// Nothing waits for a console that is held up: then lines are lost there.
    static var console: Terminal? {
        let environment = environment
        guard let path = environment["NODE_RECOVERY_CONSOLE"] else { return nil }
        let descriptor = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        // Left open on purpose until the process ends.
        return Terminal(descriptor: FileDescriptor(rawValue: descriptor), environment: environment)
    }

    /// The variables of this process; of two with one name the first counts, as for `getenv`.
    static var environment: [String: String] {
        var variables: [String: String] = [:]
        var position = environ
        while let entry = position.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "="), variables[String(text[..<equals])] == nil {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            position += 1
        }
        return variables
    }
}
