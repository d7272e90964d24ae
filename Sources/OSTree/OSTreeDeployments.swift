public import Logging
public import NodeInterface
internal import Processes
public import Reporting
public import SystemPackage

/// The ostree deployments of a node: read from the sysroot's own files, changed by ostree alone.
///
/// Files are read because `ostree admin status` has no form for machines in older versions (Debian 12 has 2022.7), and
/// because they are also there in a rescue system without ostree. With a root other than `/` the program is run as
/// `ostree admin --sysroot=ROOT`, not below the root: what is mounted there may be unable to run anything. Nothing
/// here undeploys what was deployed: `ostree admin undeploy` removes pinned deployments without a word.
public struct OSTreeDeployments: DeploymentInterface {
    /// How long one call of the `ostree` program may take.
    static let limit = Duration.seconds(60)

    private let sysroot: Sysroot
    private let running: RunningSystem?
    private let cancellation: Cancellation
    private let program: String
    private let log: Logger?

    /// The deployments of the node whose `/` is `root`.
    ///
    /// Only with the root `/` can one of them be booted.
    /// - Parameter log: gets a line when a deployment that is staged has to be given up.
    public init(root: FilePath, cancellation: Cancellation, log: Logger? = nil) {
        let running = root == "/" ? RunningSystem.current() : nil
        self.init(root: root, running: running, program: "ostree", cancellation: cancellation, log: log)
    }

    /// The same with everything outside the root given: what runs, and which program is `ostree`.
    init(root: FilePath, running: RunningSystem?, program: String, cancellation: Cancellation, log: Logger? = nil) {
        sysroot = Sysroot(root: root)
        self.running = running
        self.program = program
        self.cancellation = cancellation
        self.log = log
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

    /// Where a deployment has its `/etc`, below the node's root.
    public func configuration(of deployment: Deployment) -> FilePath {
        FilePath("/ostree/deploy/\(deployment.osName)/deploy/\(deployment.checksum).\(deployment.serial)/etc")
    }

    /// What keeps a deployment from being booted, each a line for the operator; empty when nothing does.
    ///
    /// Looks for its tree, its commit, its boot loader entry, and the kernel and the initramfs that the entry names.
    /// Runs nothing.
    /// - Throws: ``OSTreeError`` when the sysroot cannot be read; a deployment that is not there is no error.
    public func obstacles(toBooting deployment: Deployment) async throws -> [String] {
        guard try sysroot.isManaged() else { throw OSTreeError.notManaged(sysroot.root) }
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        // A list that cannot be read because of one damaged entry must not hide what is wrong with this deployment.
        let isStaged = try sysroot.stagedName().map { $0.osName == deployment.osName && $0.name == name } ?? false
        if isStaged { return ["it is staged: ostree writes it at the next shutdown, and only then can it be booted"] }
        return try sysroot.obstacles(toBooting: name, of: deployment.osName)
    }

    /// Makes a deployment the one that the boot loader starts next, and proves it by reading everything anew.
    ///
    /// `ostree admin set-default` does it where there is this verb (since ostree 2023.6), libostree in a process of
    /// its own elsewhere; both write the boot loader's entries anew in one step that is there or not. A deployment that
    /// is staged would be put in front of every other one at the next shutdown, and push out the rollback deployment
    /// if that is not pinned: it is given up before, with a line in the log. Its files go; deployments that the boot
    /// loader has stay.
    /// - Throws: ``OSTreeError`` when the deployment is not there, is the staged one, is not the first afterwards, or
    ///   another one was lost or has another pin than before; `ProcessError` with ostree's own words.
    public func makeDefault(_ deployment: Deployment) async throws {
        guard try sysroot.isManaged() else { throw OSTreeError.notManaged(sysroot.root) }
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        let found = try sysroot.deployments()
        guard let entry = found.first(where: { $0.name == name && $0.osName == deployment.osName }) else {
            throw OSTreeError.notThere(name, sysroot.root)
        }
        if entry.isStaged { throw OSTreeError.stagedDefault(name) }
        let before = found.filter { !$0.isStaged }
        if let staged = found.first(where: \.isStaged) { try await giveUp(staged) }
        if before.first != entry {
            if try await hasSetDefault() {
                let index = try await index(of: entry)
                try await ostree("admin", sysrootArgument, "set-default", "\(index)").requireSuccess()
            } else {
                let path = sysroot.root == "/" ? nil : sysroot.root
                try DefaultChange(sysroot: path, osName: entry.osName, name: name)
                    .run(limit: Self.limit, cancellation: cancellation)
            }
        }
        let after = try sysroot.deployments()
        let lost = before.filter { old in !after.contains { $0.name == old.name && $0.osName == old.osName } }
        guard lost.isEmpty else { throw OSTreeError.lost(wanted: name, lost: lost.map(\.name)) }
        let changed = before.filter { old in
            after.contains {
                $0.name == old.name && $0.osName == old.osName && $0.origin.isPinned != old.origin.isPinned
            }
        }
        guard changed.isEmpty else {
            throw OSTreeError.defaultChangedPins(wanted: name, changed: changed.map(\.name))
        }
        guard let first = after.first, first.name == name, first.osName == entry.osName else {
            throw OSTreeError.notDefault(name, first: after.first?.name)
        }
    }

    /// Removes the deployment that waits for the next shutdown, so that the shutdown leaves the order alone.
    ///
    /// ostree knows it only on the node itself; a file about it below another root means nothing to anybody.
    private func giveUp(_ staged: Sysroot.Entry) async throws {
        let status = try await ostree("admin", sysrootArgument, "status").requireSuccess()
        let listed = StatusText.deployments(in: status.text)
        guard let index = listed.firstIndex(where: { $0.name == staged.name && $0.osName == staged.osName }) else {
            return
        }
        log?.notice("gives up the staged deployment '\(staged.name)', which the next shutdown would make the default")
        try await ostree("admin", sysrootArgument, "undeploy", "\(index)").requireSuccess()
        if try sysroot.stagedName() != nil { throw OSTreeError.stillStaged(staged.name) }
    }

    /// Whether the `ostree` program has the verb, by its own list of verbs.
    private func hasSetDefault() async throws -> Bool {
        let help = try await ostree("admin", "--help").requireSuccess()
        return help.text.split(whereSeparator: \.isNewline).contains { $0.split(separator: " ").first == "set-default" }
    }

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
