internal import Files
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
    /// How long checking out a whole operating system may take.
    static let deployLimit = Duration.seconds(900)

    private let root: FilePath
    private let running: RunningSystem?
    private let cancellation: Cancellation
    private let program: String
    private let log: Logger?

    /// The deployments of the node whose `/` is `root`.
    ///
    /// Only with the root `/` can one of them be booted.
    /// - Parameter log: gets a line when a deployment that is staged has to be discarded.
    public init(root: FilePath, cancellation: Cancellation, log: Logger? = nil) {
        let running = root == "/" ? RunningSystem.current() : nil
        self.init(root: root, running: running, program: "ostree", cancellation: cancellation, log: log)
    }

    /// The same with everything outside the root given: what runs, and which program is `ostree`.
    init(root: FilePath, running: RunningSystem?, program: String, cancellation: Cancellation, log: Logger? = nil) {
        self.root = root
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
        let sysroot = try Sysroot(root: root)
        guard try sysroot.isManaged() else { return nil }
        let found = try sysroot.deployments()
        var booted = try running.flatMap { try sysroot.booted($0, among: found) }
        var all = found
        if let running, booted == nil, let entry = try sysroot.runningWithoutEntry(running) {
            // ostree itself does not know it any more; that it runs, and lacks its entry, is worth saying.
            booted = entry
            all.append(entry)
        }
        var result = [Deployment]()
        for entry in all {
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
    /// - Throws: ``OSTreeError`` when the deployment does not exist, is staged (ostree cannot pin those), or is not
    ///   pinned afterwards; `ProcessError` with ostree's own words.
    public func pin(_ deployment: Deployment) async throws {
        let sysroot = try managed()
        let before = try sysroot.deployments()
        let entry = try entry(of: deployment, in: before)
        if entry.isStaged { throw OSTreeError.staged(entry.name) }
        if !entry.origin.isPinned { try await setPin(of: entry, to: true, before: before) }
    }

    /// Unpins a deployment and reads back that it is not pinned, and that no other one's pin has changed.
    /// - Throws: ``OSTreeError`` when it is still pinned afterwards; `ProcessError` with ostree's own words. A deployment
    ///   that does not exist has no pin, and is no error.
    public func unpin(_ deployment: Deployment) async throws {
        let before = try managed().deployments()
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        let entry = before.first { $0.name == name && $0.osName == deployment.osName }
        guard let entry, entry.origin.isPinned else { return }
        try await setPin(of: entry, to: false, before: before)
    }

    private func setPin(of entry: Sysroot.Entry, to isPinned: Bool, before: [Sysroot.Entry]) async throws {
        let index = try await index(of: entry)
        try await ostree("admin", sysrootArgument, "pin", isPinned ? nil : "--unpin", "\(index)").requireSuccess()
        let sysroot = try managed()
        let after = try sysroot.deployments()
        let changed = after.filter { now in
            before.contains {
                $0.name == now.name && $0.osName == now.osName && $0.origin.isPinned != now.origin.isPinned
            }
        }
        let others = changed.filter { $0.name != entry.name || $0.osName != entry.osName }
        guard others.isEmpty else { throw OSTreeError.otherPinChanged(wanted: entry.name, changed: others.map(\.name)) }
        guard !changed.isEmpty else { throw isPinned ? OSTreeError.notPinned(entry.name) : .notUnpinned(entry.name) }
    }

    /// Where a deployment has its `/etc`, below the node's root.
    public func configuration(of deployment: Deployment) -> FilePath {
        FilePath("/ostree/deploy/\(deployment.osName)/deploy/\(deployment.checksum).\(deployment.serial)/etc")
    }

    /// What keeps a deployment from being booted, each a line for the operator; empty when nothing does.
    ///
    /// Looks for its tree, its commit, its boot loader entry, and the kernel and the initramfs that the entry names.
    /// Runs nothing.
    /// - Throws: ``OSTreeError`` when the sysroot cannot be read; a deployment that does not exist is no error.
    public func obstacles(toBooting deployment: Deployment) async throws -> [String] {
        let sysroot = try managed()
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        // A list that cannot be read because of one damaged entry must not hide what is wrong with this deployment.
        let isStaged = try sysroot.stagedName().map { $0.osName == deployment.osName && $0.name == name } ?? false
        if isStaged { return ["it is staged: ostree writes it at the next shutdown, and only then can it be booted"] }
        return try sysroot.obstacles(toBooting: name, of: deployment.osName)
    }

    /// What a boot of a deployment lacks, and whether its own `/usr/lib/modules` has it; for one that was undeployed,
    /// whether it can be deployed again.
    public func bootRepair(of deployment: Deployment) async throws -> BootRepair {
        let obstacles = try await obstacles(toBooting: deployment)
        guard !obstacles.isEmpty else { return BootRepair(obstacles: []) }
        let sysroot = try managed()
        if try isUndeployed(deployment, in: sysroot) {
            let place = sysroot.folder(of: deployment.osName).appending("\(deployment.checksum).\(deployment.serial)")
            let reason = "it was undeployed; its commit is still in the repository"
            return BootRepair(obstacles: [reason], files: ["/\(place)"])
        }
        switch try BootFiles.find(missingTo: deployment, in: sysroot, running: running) {
        case .success(let files): return BootRepair(obstacles: obstacles, files: files.paths)
        case .failure(let refusal): return BootRepair(obstacles: obstacles, reasons: refusal.reasons)
        }
    }

    /// Puts back the kernel, the initramfs and the boot loader's entry of a deployment, each beside its place and then
    /// renamed, and looks again for what a boot needs.
    ///
    /// The kernel and the initramfs must be those that the deployment was made with, by the checksum that names their
    /// folder. On the node itself it happens in a mount namespace of its own, in which `/boot` is writable.
    /// - Throws: ``OSTreeError`` when it cannot be put back, or something is missing afterwards.
    public func repairBoot(of deployment: Deployment) async throws -> [String] {
        let repair = try await bootRepair(of: deployment)
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        guard !repair.obstacles.isEmpty else { return [] }
        guard repair.reasons.isEmpty else { throw OSTreeError.notRepairable(name, repair.reasons) }
        if try isUndeployed(deployment, in: managed()) {
            let made = try await deployAgain(deployment)
            log?.notice("deployed '\(made.checksum).\(made.serial)' again and pinned it")
            return repair.files
        }
        let (root, running) = (root, running)
        let write: @Sendable () -> Result<[String], any Error> = {
            Result {
                let sysroot = try Sysroot(root: root)
                let files = try BootFiles.find(missingTo: deployment, in: sysroot, running: running).get()
                try files.write(in: sysroot)
                return files.paths
            }
        }
        let written = try (root == "/" ? try OwnMounts.run(write) : write()).get()
        let left = try await obstacles(toBooting: deployment)
        guard left.isEmpty else { throw OSTreeError.notRepairable(name, left) }
        return written
    }

    /// Whether the boot loader has lost a deployment that the repository can give again.
    private func isUndeployed(_ deployment: Deployment, in sysroot: Sysroot) throws -> Bool {
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        guard try sysroot.exists(Sysroot.entries), try sysroot.bootEntry(of: name, osName: deployment.osName) == nil,
            try sysroot.exists(sysroot.folder(of: deployment.osName)), try sysroot.hasCommit(deployment.checksum)
        else { return false }
        let current = try running.flatMap { try sysroot.runningWithoutEntry($0) }
        return current?.name != name || current?.osName != deployment.osName
    }

    /// Whether the repository has the commit, whole as far as ostree has marked it.
    public func isInRepository(_ checksum: String) async throws -> Bool {
        try managed().hasCommit(checksum)
    }

    /// Deploys a commit of the repository again, behind all others, pins it, and proves that nothing else has changed.
    ///
    /// `ostree admin deploy` merges the `/etc` of the booted deployment into it, as at every upgrade.
    /// - Throws: ``OSTreeError`` when the repository has no such commit, or the order, a pin or another deployment is not
    ///   what it was; `ProcessError` with ostree's own words.
    public func deployAgain(_ deployment: Deployment) async throws -> Deployment {
        let sysroot = try managed()
        let isWanted = { (entry: Sysroot.Entry) in
            entry.name.checksum == deployment.checksum && entry.osName == deployment.osName && !entry.isStaged
        }
        let before = try sysroot.deployments()
        if !before.contains(where: isWanted) {
            guard try sysroot.hasCommit(deployment.checksum) else {
                throw OSTreeError.notInRepository(deployment.checksum, sysroot.full("ostree/repo"))
            }
            let arguments = deployment.kernelArguments.filter { !$0.hasPrefix("ostree=") }.map { "--karg-append=\($0)" }
            let origin = try OriginCopy(deployment.origin)
            let options = ["--retain", "--no-prune", "--not-as-default", "--karg-none"] + arguments + origin.options
            let command = ["admin", sysrootArgument, "deploy", "--os=\(deployment.osName)"].compactMap { $0 } + options
            try await Command([program] + command + [deployment.checksum])
                .run(limit: Self.deployLimit, cancellation: cancellation).requireSuccess()
            let after = try sysroot.deployments()
            guard let made = after.first(where: isWanted) else {
                throw OSTreeError.notDeployed(deployment.checksum)
            }
            let (old, rest) = (before.filter { !$0.isStaged }, after.filter { !$0.isStaged && !isWanted($0) })
            let lost = old.filter { entry in !rest.contains { $0.name == entry.name && $0.osName == entry.osName } }
            guard lost.isEmpty else { throw OSTreeError.lost(wanted: made.name, lost: lost.map(\.name)) }
            guard rest.first?.name == old.first?.name, old.isEmpty || after.first(where: { !$0.isStaged }) != made
            else {
                throw OSTreeError.notDefault(old[0].name, first: after.first?.name)
            }
        }
        let all = try await deployments() ?? []
        let found = all.first {
            $0.checksum == deployment.checksum && $0.osName == deployment.osName && !$0.isStaged
        }
        guard var found else { throw OSTreeError.notDeployed(deployment.checksum) }
        try await pin(found)
        found.isPinned = true
        return found
    }

    /// Makes a deployment the one that the boot loader starts next, and proves it by reading everything again.
    ///
    /// `ostree admin set-default` does it where there is this verb (since ostree 2023.6), libostree in a process of
    /// its own elsewhere; both replace the boot loader's entries in one step. A deployment that
    /// is staged would be put in front of every other one at the next shutdown, and push out the rollback deployment
    /// if that is not pinned: it is discarded before, with a line in the log. Deployments that the boot loader has stay.
    /// - Throws: ``OSTreeError`` when the deployment does not exist, is the staged one, is not the first afterwards, or
    ///   another one was lost or has another pin than before; `ProcessError` with ostree's own words.
    public func makeDefault(_ deployment: Deployment) async throws {
        let sysroot = try managed()
        let found = try sysroot.deployments()
        let entry = try entry(of: deployment, in: found)
        let name = entry.name
        if entry.isStaged { throw OSTreeError.stagedDefault(name) }
        let before = found.filter { !$0.isStaged }
        if let staged = found.first(where: \.isStaged) { try await discard(staged, in: sysroot) }
        if before.first != entry {
            if try await hasSetDefault() {
                let index = try await index(of: entry)
                try await ostree("admin", sysrootArgument, "set-default", "\(index)").requireSuccess()
            } else {
                let path = root == "/" ? nil : root
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
    private func discard(_ staged: Sysroot.Entry, in sysroot: Sysroot) async throws {
        let status = try await ostree("admin", sysrootArgument, "status").requireSuccess()
        let listed = StatusText.deployments(in: status.text)
        guard let index = listed.firstIndex(where: { $0.name == staged.name && $0.osName == staged.osName }) else {
            return
        }
        log?.notice("discards the staged deployment '\(staged.name)', which the next shutdown would make the default")
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
            throw OSTreeError.notThere(entry.name, root)
        }
        return index
    }

    /// The version in the commit's metadata; `nil` when it has none or cannot be asked for.
    private func version(of checksum: String) async throws -> String? {
        do {
            let repository = root.appending("ostree/repo")
            let output = try await ostree("--repo=\(repository)", "show", "--print-metadata-key=version", checksum)
            return output.isSuccess ? VariantText.string(output.text) : nil
        } catch let error as ProcessError where error.reason == .notFound {
            return nil
        }
    }

    /// Names the sysroot; nothing on the node itself, where ostree finds it and what is booted by itself.
    private var sysrootArgument: String? { root == "/" ? nil : "--sysroot=\(root)" }

    private func managed() throws -> Sysroot {
        let sysroot = try Sysroot(root: root)
        guard try sysroot.isManaged() else { throw OSTreeError.notManaged(root) }
        return sysroot
    }

    /// A deployment among all, by checksum and serial.
    private func entry(of deployment: Deployment, in all: [Sysroot.Entry]) throws -> Sysroot.Entry {
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        guard let entry = all.first(where: { $0.name == name && $0.osName == deployment.osName }) else {
            throw OSTreeError.notThere(name, root)
        }
        return entry
    }

    private func ostree(_ arguments: String?...) async throws -> Output {
        try await Command([program] + arguments.compactMap { $0 }).run(limit: Self.limit, cancellation: cancellation)
    }
}
