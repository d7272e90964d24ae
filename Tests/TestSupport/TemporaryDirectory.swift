import Glibc
public import SystemPackage

/// A directory for one test, removed with everything in it when the test lets go of it.
public final class TemporaryDirectory {
    /// Its absolute path.
    public let path: FilePath

    /// Makes a directory below `TMPDIR` (default `/tmp`).
    public init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/node-recovery-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = FilePath(platformString: template)
    }

    deinit {
        // ignored: a leftover of a test is not the test's failure
        _ = try? Shell.run("chattr -R -i \(path) 2>/dev/null; rm -rf \(path)")
    }

    /// The path of `name` in it.
    public static func / (directory: TemporaryDirectory, name: String) -> FilePath {
        directory.path.appending(name)
    }
}
