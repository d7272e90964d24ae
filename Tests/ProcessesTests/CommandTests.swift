import Glibc
import Processes
import Reporting
import SystemPackage
import TestSupport
import Testing

@Suite("A command") struct CommandTests {
    private func run(
        _ arguments: String...,
        environment: [String: String] = [:],
        limit: Duration = .seconds(60),
        cancellation: Cancellation = Cancellation()
    ) async throws -> Output {
        try await Command(arguments, environment: environment).run(limit: limit, cancellation: cancellation)
    }

    @Test("gives both streams and the status apart")
    func streams() async throws {
        let output = try await run("sh", "-c", "echo out; echo first >&2; echo '  last ' >&2; echo >&2; exit 3")
        #expect(output.text == "out\n")
        #expect(output.standardError == Array("first\n  last \n\n".utf8))
        #expect(output.lastErrorLine == "last")
        #expect(output.status == .exited(3))
        #expect(!output.isSuccess)
        let error = #expect(throws: ProcessError.self) { try output.requireSuccess() }
        #expect(error?.summary.hasSuffix("ended with status 3: last") == true)
        #expect(error?.exitStatus == .unavailable)
    }

    @Test("is no shell line: arguments arrive as they are")
    func noShell() async throws {
        let output = try await run("printf", "%s|", "$HOME", "a b", "*", "", "; echo x").requireSuccess()
        #expect(output.text == "$HOME|a b|*||; echo x|")
    }

    @Test("speaks no language but C and has our variables")
    func environment() async throws {
        let output = try await run(
            "sh",
            "-c",
            "echo $LC_ALL $MARK; test -n \"$PATH\"",
            environment: ["MARK": "here"]
        ).requireSuccess()
        #expect(output.text == "C here\n")
    }

    @Test("cannot be asked anything: its input is empty and it has no terminal")
    func notInteractive() async throws {
        let output = try await run(
            "sh",
            "-c",
            "wc -c; if (: < /dev/tty) 2>/dev/null; then echo tty; else echo none; fi"
        )
        #expect(output.text == "0\nnone\n")
    }

    @Test("that does not exist says so", arguments: ["no-such-program-here", "/no/such/program"])
    func notFound(name: String) async throws {
        let error = await #expect(throws: ProcessError.self) { try await run(name, "x") }
        #expect(error?.reason == .notFound)
        #expect(error?.summary == "could not run '\(name) x': there is no program '\(name)' that can be run")
    }

    @Test("that may not be executed is none")
    func notExecutable() async throws {
        let directory = try TemporaryDirectory()
        try Shell.output("echo hello > \(directory / "plain")")
        let error = await #expect(throws: ProcessError.self) { try await run((directory / "plain").string) }
        #expect(error?.reason == .notFound)
    }

    @Test("that outlives its limit is stopped with everything it started")
    func limit() async throws {
        let directory = try TemporaryDirectory()
        let pids = directory / "pids"
        let error = await #expect(throws: ProcessError.self) {
            try await run("sh", "-c", "echo $$ > \(pids); sleep 1000 & echo $! >> \(pids); wait", limit: .seconds(1))
        }
        #expect(error?.reason == .limit(.seconds(1)))
        let left = try Shell.run("for p in $(cat \(pids)); do grep -s State: /proc/$p/status; done | grep -v Z; true")
        #expect(left.output == "")
    }

    @Test("that ignores SIGTERM is killed")
    func killed() async throws {
        let error = await #expect(throws: ProcessError.self) {
            try await run("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done", limit: .milliseconds(300))
        }
        #expect(error?.reason == .limit(.milliseconds(300)))
    }

    @Test("stops when the run is to stop")
    func cancelled() async throws {
        let cancellation = Cancellation()
        let running = Task { try await run("sleep", "1000", cancellation: cancellation) }
        try await Task.sleep(for: .milliseconds(100))
        cancellation.cancel(.signal(15))
        await #expect(throws: Stopped(reason: .signal(15))) { try await running.value }
        await #expect(throws: Stopped(reason: .signal(15))) { try await run("true", cancellation: cancellation) }
    }

    @Test("that prints without end is stopped")
    func tooMuch() async throws {
        let error = await #expect(throws: ProcessError.self) { try await run("yes") }
        #expect(error?.reason == .tooMuchOutput)
        let whole = try await run("head", "-c", "\(Command.outputLimit)", "/dev/zero")
        #expect(whole.standardOutput.count == Command.outputLimit)
    }

    @Test("that a signal ends says which")
    func signal() async throws {
        let output = try await run("sh", "-c", "kill -9 $$")
        #expect(output.status == .signaled(9))
        let error = #expect(throws: ProcessError.self) { try output.requireSuccess() }
        #expect(error?.summary == "'sh -c 'kill -9 $$'' was ended by signal 9")
    }

    @Test("that leaves a child behind with its output open still ends")
    func daemon() async throws {
        let directory = try TemporaryDirectory()
        let output = try await run("sh", "-c", "sleep 1000 & echo $! > \(directory / "pid"); echo done")
        #expect(output.text == "done\n")
        try Shell.output("kill $(cat \(directory / "pid"))")
    }

    @Test("runs below another root", .enabled(if: geteuid() == 0, "chroot needs root"))
    func chroot() async throws {
        let directory = try TemporaryDirectory()
        try Shell.output(
            """
            cd \(directory.path); echo inside > mark
            for f in /bin/cat $(ldd /bin/cat | grep -o '/[^ ]*'); do cp --parents $f .; done
            """
        )
        let command = Command(["cat", "/mark"], chroot: directory.path)
        #expect(try await command.run(limit: .seconds(60), cancellation: Cancellation()).text == "inside\n")
        let missing = Command(["ostree", "admin", "status"], chroot: directory.path)
        let error = await #expect(throws: ProcessError.self) {
            try await missing.run(limit: .seconds(60), cancellation: Cancellation())
        }
        #expect(error?.reason == .notFound)
        #expect(error?.summary.hasPrefix("could not run 'chroot \(directory.path) ostree admin status'") == true)
    }

    @Test("reads as it could be typed")
    func description() {
        #expect(Command(["a", "b c", "", "it's", "--x=/y"]).description == #"a 'b c' '' 'it'\''s' --x=/y"#)
    }
}
