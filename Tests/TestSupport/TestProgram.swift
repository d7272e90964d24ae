import Glibc
public import SystemPackage

/// The program that runs the tests, for tests that have to run somewhere else: in other namespaces, in a machine.
///
/// The test outside starts it there with `--testing-library swift-testing --filter SUITE` and `NODE_RECOVERY_INSIDE`
/// set; the suite inside is enabled by it.
public enum TestProgram {
    /// This program.
    public static var path: FilePath {
        var buffer = [CChar](repeating: 0, count: 4097)
        let count = readlink("/proc/self/exe", &buffer, 4096)
        precondition(count > 0, "there is no /proc/self/exe")
        return FilePath(platformString: buffer)
    }

    /// The folder of Swift's own libraries that this program was started with.
    public static var libraries: FilePath {
        get throws {
            let maps = try Shell.output("cat /proc/\(getpid())/maps")
            let line = maps.split(separator: "\n").first { $0.hasSuffix("/libswiftCore.so") }
            let path = line?.split(separator: " ", omittingEmptySubsequences: true).last
            return FilePath(String(path ?? "/")).removingLastComponent()
        }
    }

    /// Whether the tests run inside, and for this purpose.
    public static func isInside(_ purpose: String) -> Bool {
        getenv("NODE_RECOVERY_INSIDE").map { String(cString: $0) } == purpose
    }
}
