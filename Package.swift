// swift-tools-version: 6.2
import PackageDescription

// The floors are described in docs/architecture.md and held by scripts/check-layers: a module depends on lower
// floors only, never on its own.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let toml = Target.Dependency.product(name: "TOMLKit", package: "TOMLKit")

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

// No pkg-config: it would put the system's library directory in front of the one with static libraries that
// scripts/build names. Headers and libraries are in the compiler's default places; the module maps name the libraries.
func library(_ name: String, apt: String) -> Target {
    .systemLibrary(name: name, providers: [.apt([apt])])
}

func tests(_ name: String, _ dependencies: [Target.Dependency], fixtures: Bool = false) -> Target {
    .testTarget(
        name: name,
        dependencies: dependencies,
        resources: fixtures ? [.copy("Fixtures")] : [],
        swiftSettings: strict
    )
}

let package = Package(
    name: "node-recovery",
    products: [.executable(name: "node-recovery", targets: ["node-recovery"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    ],
    targets: [
        // Floor 0: C.
        .target(name: "CLinux"),
        .target(name: "COSTree"),
        library("CArchive", apt: "libarchive-dev"),
        library("CZstd", apt: "libzstd-dev"),
        library("CSystemd", apt: "libsystemd-dev"),
        library("CHTTP2", apt: "libnghttp2-dev"),
        library("CTLS", apt: "libssl-dev"),
        library("CYAML", apt: "libyaml-dev"),

        // Floor 1: say.
        module("Reporting", ["CLinux", logging, system]),

        // Floor 2: hold.
        module("Files", ["Reporting", "CLinux", "CTLS", system]),
        module("Processes", ["Reporting", subprocess, system]),
        module("YAML", ["Reporting", "CYAML"]),
        module("Certificates", ["CTLS"]),

        // Floor 3: know.
        module("Archives", ["Files", "Reporting", "CArchive", "CZstd", "CLinux", system]),
        module("Bolt", ["Files", "Reporting", system]),
        module("RPC", ["Files", "Reporting", "CHTTP2", "CTLS", system]),
        module("NodeInterface", ["Files", "Reporting", logging, system]),
        module("RecoveryPoints", ["Files", "Reporting", system]),
        module("Configuration", ["Files", "Reporting", toml, system]),

        // Floor 4: act.
        module(
            "Backup",
            [
                "Archives", "Certificates", "NodeInterface", "RecoveryPoints", "Files", "Reporting", "YAML",
                "CLinux", logging, system,
            ]
        ),
        module("Etcd", ["Bolt", "RPC", "NodeInterface", "Files", "Reporting", protobuf, system]),
        module("Systemd", ["NodeInterface", "Reporting", "CSystemd", logging, system]),
        module("OSTree", ["NodeInterface", "Files", "Processes", "Reporting", "COSTree", logging, system]),
        module("ContainerRuntime", ["RPC", "NodeInterface", "Files", "Reporting", protobuf, system]),
        module(
            "ClusterAPI",
            ["RPC", "YAML", "NodeInterface", "Files", "Reporting", "CTLS", system]
        ),

        // Floor 5: recover.
        module(
            "Recovery",
            [
                "Backup", "Archives", "Certificates", "NodeInterface", "RecoveryPoints", "Files", "Reporting", "YAML",
                logging, system,
            ]
        ),

        // Floor 6: compose.
        .executableTarget(
            name: "node-recovery",
            dependencies: [
                "Recovery", "Backup", "Configuration", "Etcd", "Systemd", "OSTree", "ContainerRuntime", "ClusterAPI",
                "Archives", "NodeInterface", "RecoveryPoints", "Files", "Reporting", "CLinux", argumentParser, logging,
                system,
            ],
            swiftSettings: strict
        ),

        // Tests.
        .target(
            name: "TestSupport",
            dependencies: ["NodeInterface", "Files", "Reporting", "CHTTP2", "CTLS", logging, system],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        tests("ReportingTests", ["Reporting", "TestSupport", logging, system]),
        tests("FilesTests", ["Files", "Reporting", "TestSupport", system]),
        tests("ProcessesTests", ["Processes", "Reporting", "TestSupport", system]),
        tests("YAMLTests", ["YAML", "TestSupport"]),
        tests("ArchivesTests", ["Archives", "Files", "Reporting", "TestSupport", system]),
        tests("BoltTests", ["Bolt", "Reporting", "TestSupport", system], fixtures: true),
        tests("RPCTests", ["RPC", "Reporting", "TestSupport", system]),
        tests("RecoveryPointsTests", ["RecoveryPoints", "Files", "Reporting", "TestSupport", system]),
        tests("ConfigurationTests", ["Configuration", "Files", "Reporting", "TestSupport", system]),
        tests(
            "BackupTests",
            ["Backup", "NodeInterface", "RecoveryPoints", "Files", "Reporting", "TestSupport", system]
        ),
        tests(
            "EtcdTests",
            ["Etcd", "Bolt", "RPC", "NodeInterface", "Files", "Reporting", "TestSupport", protobuf, system],
            fixtures: true
        ),
        tests("CertificatesTests", ["Certificates", "TestSupport", system]),
        tests(
            "RecoveryTests",
            [
                "Recovery", "Backup", "Archives", "NodeInterface", "RecoveryPoints", "Files", "Reporting",
                "TestSupport", logging, system,
            ]
        ),
        tests("SystemdTests", ["Systemd", "NodeInterface", "Reporting", "TestSupport", logging, system]),
        tests(
            "OSTreeTests",
            ["OSTree", "NodeInterface", "Files", "Reporting", "TestSupport", system],
            fixtures: true
        ),
        tests(
            "ContainerRuntimeTests",
            ["ContainerRuntime", "NodeInterface", "Reporting", "TestSupport", protobuf, system]
        ),
        tests(
            "ClusterAPITests",
            ["ClusterAPI", "NodeInterface", "Reporting", "TestSupport", system],
            fixtures: true
        ),
        tests("MachineTests", ["TestSupport", system]),
        tests(
            "ToolTests",
            [
                "node-recovery", "Recovery", "Backup", "Configuration", "NodeInterface", "Reporting", "Files",
                "TestSupport",
                argumentParser, system,
            ],
            fixtures: true
        ),
        tests(
            "PackageTests",
            [
                "node-recovery", "Backup", "Configuration", "Reporting", "Systemd", "YAML", "TestSupport",
                argumentParser, system,
            ]
        ),
        tests(
            "LiveTests",
            [
                "Backup", "Etcd", "OSTree", "ContainerRuntime", "Systemd", "NodeInterface", "RecoveryPoints",
                "Files", "Reporting", "TestSupport", system,
            ]
        ),
    ]
)

// NODE_RECOVERY_TESTS=FilesTests,ArchivesTests keeps only those test targets and what they need: the quick loop of
// CONTRIBUTING.md. CI and scripts/test never set it.
if let wanted = Context.environment["NODE_RECOVERY_TESTS"] {
    var needed = Set(wanted.split(separator: ",").map { String($0) })
    func isNeeded(_ target: Target) -> Bool { needed.contains(target.name) }
    // Targets are declared floor by floor, so what is needed stands before what needs it.
    for target in package.targets.reversed() where isNeeded(target) {
        for case .byNameItem(let name, _) in target.dependencies { needed.insert(name) }
    }
    // TestSupport stands among the tests and needs modules that stand before it.
    package.targets = package.targets.filter(isNeeded)
    package.products = needed.contains("node-recovery") ? package.products : []
}
