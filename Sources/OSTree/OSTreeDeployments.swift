public import NodeInterface
internal import Processes
public import Reporting
public import SystemPackage

/// The ostree deployments of a node: read from the sysroot's own files, pinned with the `ostree` program.
///
/// Files are read because `ostree admin status` has no form for machines in older versions (Debian 12 has 2022.7), and
/// because they are also there in a rescue system without ostree. With a root other than `/` the program is run as
/// `ostree admin --sysroot=ROOT`, not below the root: what is mounted there may be unable to run anything. Nothing
/// here undeploys: `ostree admin undeploy` removes pinned deployments without a word.
public struct OSTreeDeployments: DeploymentInterface {
    /// How long one call of the `ostree` program may take.
    static let limit = Duration.seconds(60)

    private let sysroot: Sysroot
    private let running: RunningSystem?
    private let cancellation: Cancellation
    private let program: String

    /// The deployments of the node whose `/` is `root`.
    ///
    /// Only with the root `/` can one of them be booted.
    public init(root: FilePath, cancellation: Cancellation) {
        let running = root == "/" ? RunningSystem.current() : nil
        self.init(root: root, running: running, program: "ostree", cancellation: cancellation)
    }

    /// The same with everything outside the root given: what runs, and which program is `ostree`.
    init(root: FilePath, running: RunningSystem?, program: String, cancellation: Cancellation) {
        sysroot = Sysroot(root: root)
        self.running = running
        self.program = program
        self.cancellation = cancellation
    }

    /// All deployments in ostree's own order: the one that is staged, then the boot loader's default, then the rest.
    ///
    /// `nil` when the root has neither a repository at `ostree/repo` nor `run/ostree-booted`. The version is `nil`
    /// when there is no `ostree` program to ask for it.
    public func deployments() async throws -> [Deployment]? {
        guard try sysroot.isManaged() else { return nil }
        let found = try sysroot.deployments()
        let booted = try running.flatMap { try sysroot.booted($0, among: found) }
        var result = [Deployment]()
        for entry in found {
            result.append(
                Deployment(
                    osName: entry.osName,
                    checksum: entry.name.checksum,
                    serial: entry.name.serial,
                    origin: entry.origin.source,
                    version: try await version(of: entry.name.checksum),
                    kernelArguments: entry.kernelArguments,
                    isBooted: entry == booted,
                    isPinned: entry.origin.isPinned,
                    isStaged: entry.isStaged
                )
            )
        }
        return result
    }

    /// Pins a deployment and reads back that it is pinned, and that no other one's pin has changed.
    ///
    /// `ostree admin pin` takes an index only, and indexes move; it is looked up right before. Nothing is run when
    /// the deployment is pinned already.
    /// - Throws: ``OSTreeError`` when the deployment is not there, is staged (ostree cannot pin those), or is not
    ///   pinned afterwards; `ProcessError` with ostree's own words.
    public func pin(_ deployment: Deployment) async throws {
        guard try sysroot.isManaged() else { throw OSTreeError.notManaged(sysroot.root) }
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        let before = try sysroot.deployments()
        guard let entry = before.first(where: { $0.name == name && $0.osName == deployment.osName }) else {
            throw OSTreeError.notThere(name, sysroot.root)
        }
        if entry.isStaged { throw OSTreeError.staged(name) }
        if entry.origin.isPinned { return }
        let index = try await index(of: entry)
        try await ostree("admin", sysrootArgument, "pin", "\(index)").requireSuccess()
        let after = try sysroot.deployments()
        let changed = after.filter { now in
            before.contains {
                $0.name == now.name && $0.osName == now.osName && $0.origin.isPinned != now.origin.isPinned
            }
        }
        let others = changed.filter { $0.name != name || $0.osName != entry.osName }
        guard others.isEmpty else { throw OSTreeError.otherPinChanged(wanted: name, changed: others.map(\.name)) }
        guard !changed.isEmpty else { throw OSTreeError.notPinned(name) }
    }

    /// See ``DeploymentInterface/obstacles(toBooting:)``.
    public func obstacles(toBooting deployment: Deployment) async throws -> [String] { [] }

    /// See ``DeploymentInterface/makeDefault(_:)``.
    public func makeDefault(_ deployment: Deployment) async throws {}

    /// The place of a deployment in the list of `ostree admin status`, which is the index that its verbs take.
    private func index(of entry: Sysroot.Entry) async throws -> Int {
        let status = try await ostree("admin", sysrootArgument, "status").requireSuccess()
        let listed = StatusText.deployments(in: status.text)
        guard let index = listed.firstIndex(where: { $0.name == entry.name && $0.osName == entry.osName }) else {
            throw OSTreeError.notThere(entry.name, sysroot.root)
        }
        return index
    }

    /// The version in the commit's metadata; `nil` when it has none or cannot be asked for.
    private func version(of checksum: String) async throws -> String? {
        do {
            let repository = sysroot.root.appending("ostree/repo")
            let output = try await ostree("--repo=\(repository)", "show", "--print-metadata-key=version", checksum)
            return output.isSuccess ? VariantText.string(output.text) : nil
        } catch let error as ProcessError where error.reason == .notFound {
            return nil
        }
    }

    /// Names the sysroot; nothing on the node itself, where ostree finds it and what is booted by itself.
    private var sysrootArgument: String? { sysroot.root == "/" ? nil : "--sysroot=\(sysroot.root)" }

    private func ostree(_ arguments: String?...) async throws -> Output {
        try await Command([program] + arguments.compactMap { $0 }).run(limit: Self.limit, cancellation: cancellation)
    }
}
