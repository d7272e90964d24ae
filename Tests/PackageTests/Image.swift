import SystemPackage
import TestSupport
import Testing

/// The container image of the release program, made once for all tests.
///
/// They are of the same tier as the package's (``Deb``).
enum Image {
    /// Where it was made, and what is in it.
    struct Made: Sendable {
        let directory: TemporaryDirectory
        let archive: FilePath
        /// The image's configuration, as the OCI image specification has it.
        let configuration: JSON

        /// The root of a container of it.
        var root: FilePath { directory / "root" }
        /// The variables of its process, as `NAME=VALUE`.
        var environment: [String] { configuration["config"]["Env"].items.compactMap(\.text) }
        /// The words of its process without the job's arguments.
        var entrypoint: [String] { configuration["config"]["Entrypoint"].items.compactMap(\.text) }
    }

    private static let shared = Result { try make() }

    /// The image that all tests look at.
    static var made: Made { get throws { try shared.get() } }

    /// Makes one, and unpacks it without the tools that have made it.
    static func make() throws -> Made {
        let (directory, archive) = try PackageTests.make(with: "make-image", suffix: ".oci.tar")
        let configuration = try Shell.output(
            """
            set -e
            cd '\(directory.path)'
            mkdir layout root
            tar -xf *.oci.tar -C layout
            blob() { echo "layout/blobs/${1/://}"; }
            manifest=$(blob "$(jq -r '.manifests[0].digest' layout/index.json)")
            for layer in $(jq -r '.layers[].digest' "$manifest"); do tar -xpzf "$(blob "$layer")" -C root; done
            cat "$(blob "$(jq -r .config.digest "$manifest")")"
            """
        )
        return Made(directory: directory, archive: archive, configuration: try JSON(parsing: configuration))
    }
}
