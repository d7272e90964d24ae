import Glibc
public import SystemPackage

/// A directory for one test, removed with everything in it when the test lets go of it.
public final class TemporaryDirectory: Sendable {
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
        _ = try? Shell.run(
            """
            awk -v below='\(path)/' 'index($2, below) == 1 { print $2 }' /proc/self/mounts | tac | xargs -r umount -l
            chattr -R -i \(path) 2>/dev/null; rm -rf \(path)
            """
        )
    }

    /// Mounts an empty file system in memory on the directory `name`, which is made when it is not there; it goes with
    /// the temporary directory.
    /// - Parameter options: as mount takes them: `size=100m`.
    public func mount(_ name: String, options: String = "size=1g") throws -> FilePath {
        let target = path.appending(name)
        try Shell.output("mkdir -p \(target) && mount -t tmpfs -o mode=0755,\(options) test \(target)")
        return target
    }

    /// The path of `name` in it.
    public static func / (directory: TemporaryDirectory, name: String) -> FilePath {
        directory.path.appending(name)
    }
}
