import Glibc
import SystemPackage

/// Runs shell lines for tests: to make files in ways that the product has no business to, and to ask other tools.
public enum Shell {
    /// The end of a shell line.
    public struct Result: Sendable {
        /// The exit status; 128 and the number for a signal.
        public let status: Int32
        /// Standard output and standard error together.
        public let output: String
    }

    /// Runs `line` with bash and waits for its end.
    public static func run(_ line: String, environment: [String: String] = [:]) throws -> Result {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Errno(rawValue: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/bash"), strdup("-c"), strdup(line), nil]
        var variables: [UnsafeMutablePointer<CChar>?] = []
        var position = environ
        while let entry = position.pointee {
            if !environment.keys.contains(where: { String(cString: entry).hasPrefix($0 + "=") }) {
                variables.append(strdup(entry))
            }
            position += 1
        }
        for (name, value) in environment { variables.append(strdup("\(name)=\(value)")) }
        variables.append(nil)
        defer { (arguments + variables).forEach { free($0) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, "/bin/bash", &actions, nil, &arguments, &variables)
        close(ends[1])
        guard failure == 0 else { throw Errno(rawValue: failure) }
        var bytes = [UInt8]()
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(ends[0], &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += buffer[..<count]
        }
        close(ends[0])
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return Result(status: code, output: String(decoding: bytes, as: UTF8.self))
    }

    /// Runs `line` and gives its output; throws when it does not end with 0.
    @discardableResult
    public static func output(_ line: String, environment: [String: String] = [:]) throws -> String {
        let result = try run(line, environment: environment)
        guard result.status == 0 else { throw Failure(line: line, result: result) }
        return result.output
    }

    /// A shell line that failed.
    public struct Failure: Error, CustomStringConvertible {
        let line: String
        let result: Result

        /// The line, its status and what it printed.
        public var description: String { "'\(line)' ended with \(result.status): \(result.output)" }
    }
}
