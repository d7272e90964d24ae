import Glibc
import SystemPackage
import TestSupport
import Testing

/// The folder of the project.
let project = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()

/// What one of the project's scripts makes of the release program, in a directory of its own.
/// - Parameter script: its name in `scripts`.
/// - Parameter suffix: how the name of the file ends that it makes.
func make(with script: String, suffix: String) throws -> (directory: TemporaryDirectory, file: FilePath) {
    let program = try #require(
        try Tool.release(),
        "there is no release program newer than the sources: scripts/build"
    )
    let directory = try TemporaryDirectory()
    try Shell.output("'\(project)/scripts/\(script)' --program '\(program)' '\(directory.path)'")
    let name = try Shell.output("cd '\(directory.path)' && ls *\(suffix)").trimmed
    return (directory, directory / name)
}

/// The Debian package of the release program, made once for all tests.
///
/// Its tests are a tier that needs scripts/build as well: without a release program that is newer than the sources they
/// are skipped by name, and in CI they fail.
enum Deb {
    static let isWanted: Bool = {
        guard Tier.package.isWanted, getuid() == 0 else { return getenv("CI") != nil }
        return getenv("CI") != nil || ((try? Tool.release()) ?? nil) != nil
    }()

    static let comment: Comment =
        "the package tier needs root, scripts/install-packages test, and a release program that is newer than the sources"

    /// Where it was made and what it is called.
    struct Made: Sendable {
        let directory: TemporaryDirectory
        let path: FilePath
    }

    private static let shared = Result { try make() }

    /// The package that all tests look at.
    static var made: Made { get throws { try shared.get() } }

    /// Makes one.
    static func make() throws -> Made {
        let (directory, file) = try PackageTests.make(with: "make-deb", suffix: ".deb")
        return Made(directory: directory, path: file)
    }

    /// Its files as they would be installed, below a directory.
    static func unpacked(in directory: TemporaryDirectory) throws -> FilePath {
        try Shell.output("dpkg-deb -x '\(try made.path)' '\(directory / "installed")'")
        return directory / "installed"
    }
}
