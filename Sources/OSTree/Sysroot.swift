internal import Glibc
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
/// The link to a deployment is read for its last name only, not followed: a deployment is always looked for below
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

    let root: FilePath

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
    /// A booted deployment's folder is `/`, so device and inode tell it. With composefs `/` is an overlay; then the
    /// kernel's command line does.
    func booted(_ running: RunningSystem, among entries: [Entry]) throws(OSTreeError) -> Entry? {
        for entry in entries where !entry.isStaged {
            let folder = path(of: entry)
            var info = stat()
            guard folder.withPlatformString({ lstat($0, &info) }) == 0 else {
                throw .unreadable(folder, Errno(rawValue: errno))
            }
            if info.st_dev == running.device, info.st_ino == running.inode { return entry }
        }
        guard let argument = BootEntry.ostreeArgument(of: BootEntry.split(running.commandLine)) else { return nil }
        let place = try deployment(atArgument: argument, from: "/proc/cmdline")
        return entries.first { !$0.isStaged && $0.osName == place.osName && $0.name == place.name }
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
        if try !exists(tree.appending("usr")) { lines.append("its tree '\(tree)' is not there") }
        let repository = root.appending("ostree/repo")
        let object = "\(name.checksum.prefix(2))/\(name.checksum.dropFirst(2)).commit"
        if try !exists(repository.appending("objects").appending(object)) {
            lines.append("its commit is not in the repository '\(repository)'")
        }
        guard let boot = try bootEntry(of: name, osName: osName) else {
            let entries = root.appending("boot/loader/entries")
            return lines + ["no entry of the boot loader in '\(entries)' starts it"]
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
    private func bootEntry(of name: DeploymentName, osName: String) throws(OSTreeError) -> BootEntry? {
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

    /// What is wrong with a file that the boot loader reads; `nil` when it is there and has content.
    private func fault(ofBootFile path: String) throws(OSTreeError) -> String? {
        let usual = root.appending("boot").appending(path)
        for file in [usual, root.appending(path)] {
            var info = stat()
            if file.withPlatformString({ stat($0, &info) }) == 0 {
                return info.st_size > 0 ? nil : "'\(file)' is empty"
            }
            guard errno == ENOENT || errno == ENOTDIR else { throw .unreadable(file, Errno(rawValue: errno)) }
        }
        return "'\(usual)' is not there"
    }

    // MARK: - Entries

    private func entry(
        osName: String,
        name: DeploymentName,
        arguments: [String],
        isStaged: Bool
    ) throws(OSTreeError) -> Entry {
        let file = folder(of: osName).appending("\(name).origin")
        let origin = OriginFile(try SmallFile.contents(of: file) ?? [])
        return Entry(osName: osName, name: name, origin: origin, kernelArguments: arguments, isStaged: isStaged)
    }

    private func bootEntries() throws(OSTreeError) -> [BootEntry] {
        let directory = root.appending("boot/loader/entries")
        var entries = [BootEntry]()
        for name in try names(in: directory) where name.hasSuffix(".conf") {
            let file = directory.appending(name)
            guard let text = try SmallFile.contents(of: file) else { continue }
            entries.append(BootEntry(text, file: file))
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
            throw .damaged(file, "the deployment '\(place.name)' that it boots is not there")
        }
        return place
    }

    /// Reads the link that the argument names, without a look at where it leads.
    private func place(
        atArgument argument: String,
        from file: FilePath
    ) throws(OSTreeError) -> (osName: String, name: DeploymentName) {
        let parts = argument.split(separator: "/")
        guard parts.count == 5, parts[0] == "ostree", parts[1].hasPrefix("boot."), !parts.contains("..") else {
            throw .damaged(file, "its argument 'ostree=\(argument)' does not name a deployment")
        }
        let link = root.appending(parts.joined(separator: "/"))
        guard let target = try self.target(of: link), let name = DeploymentName(target.lastComponent?.string ?? "")
        else {
            throw .damaged(file, "its argument 'ostree=\(argument)' leads to no deployment")
        }
        return (String(parts[2]), name)
    }

    /// The deployment that waits for the next shutdown.
    ///
    /// Its folder is there already, but no boot entry leads to it. `staged-deployment` is a serialized dictionary
    /// with the name of the folder as a NUL-terminated text.
    private func staged(besides entries: [Entry]) throws(OSTreeError) -> Entry? {
        guard let place = try stagedName(),
            !entries.contains(where: { $0.osName == place.osName && $0.name == place.name })
        else { return nil }
        return try entry(osName: place.osName, name: place.name, arguments: [], isStaged: true)
    }

    /// The name of the deployment that waits for the next shutdown; `nil` when none does.
    func stagedName() throws(OSTreeError) -> (osName: String, name: DeploymentName)? {
        guard let file = try SmallFile.contents(of: root.appending("run/ostree/staged-deployment")) else { return nil }
        let texts = Set(file.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
        var entered = Set<String>()
        for boot in try bootEntries() {
            guard let argument = boot.ostreeArgument else { continue }
            // ignored: what an entry that leads nowhere stands for is not what is staged
            if let place = try? place(atArgument: argument, from: boot.file) {
                entered.insert("\(place.osName)/\(place.name)")
            }
        }
        for osName in try names(in: root.appending("ostree/deploy")).sorted() {
            for folder in try names(in: folder(of: osName)).sorted() where texts.contains(folder) {
                guard let name = DeploymentName(folder), !entered.contains("\(osName)/\(name)") else { continue }
                return (osName, name)
            }
        }
        return nil
    }

    private func folder(of osName: String) -> FilePath {
        root.appending("ostree/deploy").appending(osName).appending("deploy")
    }

    private func path(of entry: Entry) -> FilePath {
        folder(of: entry.osName).appending("\(entry.name)")
    }

    // MARK: - Files

    private func exists(_ name: String) throws(OSTreeError) -> Bool {
        try exists(root.appending(name))
    }

    private func exists(_ path: FilePath) throws(OSTreeError) -> Bool {
        if path.withPlatformString({ access($0, F_OK) }) == 0 { return true }
        guard errno == ENOENT || errno == ENOTDIR else { throw .unreadable(path, Errno(rawValue: errno)) }
        return false
    }

    /// Where a link points; `nil` when there is no link.
    private func target(of link: FilePath) throws(OSTreeError) -> FilePath? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = link.withPlatformString { readlink($0, &buffer, Int(PATH_MAX)) }
        guard count >= 0 else {
            if errno == ENOENT || errno == ENOTDIR || errno == EINVAL { return nil }
            throw .unreadable(link, Errno(rawValue: errno))
        }
        return FilePath(platformString: buffer)
    }

    /// The names in a directory; none when there is no such directory.
    private func names(in directory: FilePath) throws(OSTreeError) -> [String] {
        guard let stream = directory.withPlatformString({ opendir($0) }) else {
            if errno == ENOENT || errno == ENOTDIR { return [] }
            throw .unreadable(directory, Errno(rawValue: errno))
        }
        defer { closedir(stream) }
        var names = [String]()
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw .unreadable(directory, Errno(rawValue: errno)) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }
}
