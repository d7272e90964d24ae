internal import Files
internal import SystemPackage

/// The files in which ostree keeps its deployments, below a root.
///
/// ```
/// ostree/deploy/OS/deploy/CHECKSUM.SERIAL          the deployment: a directory tree
/// ostree/deploy/OS/deploy/CHECKSUM.SERIAL.origin   what it follows, and its pin
/// ostree/boot.N/OS/BOOTCHECKSUM/INDEX              a link to the deployment; the kernel argument `ostree=` names it
/// boot/loader/entries/*.conf                       the boot loader's entries, one a deployment
/// run/ostree/staged-deployment                     names the deployment that is written at the next shutdown
/// ```
/// All of it is looked up inside the root: no link leads out of it, to this machine's own files. The link to a deployment is read for its last name only, not followed: a deployment is always looked for below
/// `ostree/deploy`. Source: ostree `src/libostree/ostree-sysroot.c`, `parse_deployment` and
/// `_ostree_sysroot_reload_staged`.
struct Sysroot {
    /// One deployment as the files tell it.
    struct Entry: Equatable {
        let osName: String
        let name: DeploymentName
        let origin: OriginFile
        let kernelArguments: [String]
        let isStaged: Bool
    }

    /// What ostree's own small files stay far below.
    static let fileLimit = 1 << 20

    /// The root's path, for messages and for ostree's own program.
    let root: FilePath
    let files: RootDirectory

    /// The sysroot below a root, which exists.
    init(root: FilePath) throws(OSTreeError) {
        self.root = root
        do throws(FilesError) { files = try RootDirectory(path: root) } catch { throw .files(error) }
    }

    /// Whether the node is managed by ostree.
    func isManaged() throws(OSTreeError) -> Bool {
        if try exists("ostree/repo") { return true }
        return try exists("run/ostree-booted")
    }

    /// All deployments in ostree's order: the staged one, then the boot loader's entries from the highest version on.
    func deployments() throws(OSTreeError) -> [Entry] {
        var entries = [Entry]()
        for boot in try bootEntries() {
            guard let argument = boot.ostreeArgument else { continue }
            let place = try deployment(atArgument: argument, from: boot.file)
            entries.append(try entry(osName: place.osName, name: place.name, arguments: boot.options, isStaged: false))
        }
        if let staged = try staged(besides: entries) { entries.insert(staged, at: 0) }
        return entries
    }

    /// The entry of the deployment that runs; `nil` when none of them does.
    ///
    /// A booted deployment's folder is `/`, so device and inode identify it. With composefs `/` is an overlay; then the
    /// kernel's command line does.
    func booted(_ running: RunningSystem, among entries: [Entry]) throws(OSTreeError) -> Entry? {
        for entry in entries where !entry.isStaged {
            let stat = try look { root throws(FilesError) in try root.stat(path(of: entry), followsLink: false) }
            if stat.identity == running.identity { return entry }
        }
        guard let argument = BootEntry.ostreeArgument(of: BootEntry.split(running.commandLine)) else { return nil }
        let place = try deployment(atArgument: argument, from: "/proc/cmdline")
        return entries.first { !$0.isStaged && $0.osName == place.osName && $0.name == place.name }
    }

    /// The deployment that runs, when the boot loader has no entry of it; `nil` when its tree does not exist either.
    func runningWithoutEntry(_ running: RunningSystem) throws(OSTreeError) -> Entry? {
        let arguments = BootEntry.split(running.commandLine)
        guard let argument = BootEntry.ostreeArgument(of: arguments) else { return nil }
        let place = try self.place(atArgument: argument, from: "/proc/cmdline")
        guard try exists(folder(of: place.osName).appending("\(place.name)")) else { return nil }
        return try entry(osName: place.osName, name: place.name, arguments: arguments, isStaged: false)
    }

    // MARK: - What a boot needs

    /// What is missing for a boot of a deployment, each a line for the operator.
    ///
    /// Its tree, its commit in the repository, an entry of the boot loader, and the kernel and the initramfs that the
    /// entry names. Such a path is relative to the boot partition, which is `boot` below the root whether it is
    /// mounted there or not; with `sysroot.bootprefix` ostree writes it relative to the root.
    func obstacles(toBooting name: DeploymentName, of osName: String) throws(OSTreeError) -> [String] {
        var lines = [String]()
        let tree = folder(of: osName).appending("\(name)")
        if try !exists(tree.appending("usr")) { lines.append("its tree '\(full(tree))' does not exist") }
        if try !hasCommit(name.checksum) {
            lines.append("its commit is not in the repository '\(full("ostree/repo"))'")
        }
        guard let boot = try bootEntry(of: name, osName: osName) else {
            return lines + ["no entry of the boot loader in '\(full(Self.entries))' starts it"]
        }
        guard let kernel = boot.kernel else {
            return lines + ["the boot loader's entry '\(boot.file)' names no kernel"]
        }
        if let fault = try fault(ofBootFile: kernel) { lines.append("its kernel \(fault)") }
        for path in boot.initramfs {
            if let fault = try fault(ofBootFile: path) { lines.append("its initramfs \(fault)") }
        }
        return lines
    }

    /// The entry that starts a deployment; entries that lead nowhere are passed over.
    func bootEntry(of name: DeploymentName, osName: String) throws(OSTreeError) -> BootEntry? {
        for boot in try bootEntries() {
            guard let argument = boot.ostreeArgument else { continue }
            do {
                let place = try place(atArgument: argument, from: boot.file)
                if place.osName == osName, place.name == name { return boot }
            } catch {
                guard case .damaged = error.reason else { throw error }
            }
        }
        return nil
    }

    /// What is wrong with a file that the boot loader reads; `nil` when it exists and has content.
    func fault(ofBootFile path: String) throws(OSTreeError) -> String? {
        let usual = FilePath("boot").appending(path)
        for file in [usual, FilePath(path)] where try exists(file) {
            let stat = try look { root throws(FilesError) in try root.stat(file) }
            return stat.size > 0 ? nil : "'\(full(file))' is empty"
        }
        return "'\(full(usual))' does not exist"
    }

    /// Whether the repository has a commit, as far as the commit itself tells.
    func hasCommit(_ checksum: String) throws(OSTreeError) -> Bool {
        let object = "ostree/repo/objects/\(checksum.prefix(2))/\(checksum.dropFirst(2)).commit"
        // A pull that was interrupted leaves the commit, and this mark.
        if try exists(FilePath("ostree/repo/state/\(checksum).commitpartial")) { return false }
        return try exists(FilePath(object))
    }

    // MARK: - Entries

    private func entry(
        osName: String,
        name: DeploymentName,
        arguments: [String],
        isStaged: Bool
    ) throws(OSTreeError) -> Entry {
        let origin = OriginFile(try contents(of: folder(of: osName).appending("\(name).origin")) ?? [])
        return Entry(osName: osName, name: name, origin: origin, kernelArguments: arguments, isStaged: isStaged)
    }

    static let entries: FilePath = "boot/loader/entries"

    func bootEntries() throws(OSTreeError) -> [BootEntry] {
        var entries = [BootEntry]()
        for name in try names(in: Self.entries) where name.hasSuffix(".conf") {
            let file = Self.entries.appending(name)
            guard let text = try contents(of: file) else { continue }
            entries.append(BootEntry(text, file: full(file)))
        }
        return entries.sorted(by: >)
    }

    /// The deployment that `ostree=/ostree/boot.N/OS/BOOTCHECKSUM/INDEX` names.
    private func deployment(
        atArgument argument: String,
        from file: FilePath
    ) throws(OSTreeError) -> (osName: String, name: DeploymentName) {
        let place = try self.place(atArgument: argument, from: file)
        guard try exists(folder(of: place.osName).appending("\(place.name)")) else {
            throw .damaged(file, "the deployment '\(place.name)' that it boots does not exist")
        }
        return place
    }

    /// Reads the link that the argument names, without a look at where it leads.
    func place(
        atArgument argument: String,
        from file: FilePath
    ) throws(OSTreeError) -> (osName: String, name: DeploymentName) {
        let parts = argument.split(separator: "/")
        guard parts.count == 5, parts[0] == "ostree", parts[1].hasPrefix("boot."), !parts.contains("..") else {
            throw .damaged(file, "its argument 'ostree=\(argument)' does not name a deployment")
        }
        let link = FilePath(parts.joined(separator: "/"))
        let target = try look { root throws(FilesError) in try root.target(ofLink: link) }
        guard let target, let name = DeploymentName(target.lastComponent?.string ?? "")
        else {
            throw .damaged(file, "its argument 'ostree=\(argument)' leads to no deployment")
        }
        return (String(parts[2]), name)
    }

    /// The deployment that waits for the next shutdown.
    ///
    /// Its folder exists already, but no boot entry leads to it. `staged-deployment` is a serialized dictionary
    /// with the name of the folder as a NUL-terminated text.
    private func staged(besides entries: [Entry]) throws(OSTreeError) -> Entry? {
        guard let place = try stagedName(),
            !entries.contains(where: { $0.osName == place.osName && $0.name == place.name })
        else { return nil }
        return try entry(osName: place.osName, name: place.name, arguments: [], isStaged: true)
    }

    /// The name of the deployment that waits for the next shutdown; `nil` when none does.
    func stagedName() throws(OSTreeError) -> (osName: String, name: DeploymentName)? {
        guard let file = try contents(of: "run/ostree/staged-deployment") else { return nil }
        let texts = Set(file.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
        var entered = Set<String>()
        for boot in try bootEntries() {
            guard let argument = boot.ostreeArgument else { continue }
            // ignored: what an entry that leads nowhere stands for is not what is staged
            if let place = try? place(atArgument: argument, from: boot.file) {
                entered.insert("\(place.osName)/\(place.name)")
            }
        }
        for osName in try names(in: "ostree/deploy") {
            for folder in try names(in: folder(of: osName)) where texts.contains(folder) {
                guard let name = DeploymentName(folder), !entered.contains("\(osName)/\(name)") else { continue }
                return (osName, name)
            }
        }
        return nil
    }

    /// Where the deployments of an operating system are, below the root.
    func folder(of osName: String) -> FilePath {
        FilePath("ostree/deploy").appending(osName).appending("deploy")
    }

    private func path(of entry: Entry) -> FilePath {
        folder(of: entry.osName).appending("\(entry.name)")
    }

    /// A path for messages, with the root.
    func full(_ path: FilePath) -> FilePath { files.fullPath(of: path) }

    // MARK: - Files

    func exists(_ path: FilePath) throws(OSTreeError) -> Bool {
        try look { root throws(FilesError) in try root.exists(path) }
    }

    /// The content of a small file; `nil` when it does not exist.
    func contents(of path: FilePath) throws(OSTreeError) -> [UInt8]? {
        do throws(FilesError) {
            return try files.readFileIfPresent(path, limitBytes: Self.fileLimit)
        } catch {
            guard error.errno == .fileTooLarge else { throw .files(error) }
            throw .damaged(full(path), "it is longer than \(Self.fileLimit) bytes")
        }
    }

    /// The names in a directory, sorted; none when there is no such directory.
    func names(in directory: FilePath) throws(OSTreeError) -> [String] {
        try look { root throws(FilesError) in try root.directoryIfPresent(directory)?.names().map(\.string) } ?? []
    }

    /// Looks at files of the root.
    func look<Value>(_ body: (RootDirectory) throws(FilesError) -> Value) throws(OSTreeError) -> Value {
        do throws(FilesError) { return try body(files) } catch { throw .files(error) }
    }
}
