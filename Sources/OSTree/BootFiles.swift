internal import Files
internal import Glibc
internal import NodeInterface
internal import SystemPackage

/// The files that a boot of a deployment lacks, and where their content is: kernel and initramfs in the deployment's own
/// `usr/lib/modules`, the boot loader's entry in what the machine was booted with.
///
/// ostree copies both files from there into `boot/ostree/OS-BOOTCHECKSUM`; the checksum is the SHA-256 of the kernel, the
/// initramfs and the device trees one after the other. Source: ostree `src/libostree/ostree-sysroot-deploy.c`,
/// `get_kernel_from_tree_usrlib_modules`, `install_deployment_kernel`.
struct BootFiles {
    /// Why they cannot be put back.
    struct Refusal: Error, Equatable {
        let reasons: [String]
    }

    private struct Copy {
        let source: FilePath
        let target: FilePath
    }

    private struct NewEntry {
        let file: FilePath
        let text: String
    }

    private let copies: [Copy]
    private let entry: NewEntry?

    /// The paths of the files, as the node has them.
    var paths: [String] { (copies.map(\.target) + [entry?.file].compactMap { $0 }).map { "/\($0)" } }

    /// Looks for what is missing, and for its content.
    /// - Parameter running: the running system; the entry of the deployment that it was booted from can be made again.
    static func find(
        missingTo deployment: Deployment,
        in sysroot: Sysroot,
        running: RunningSystem?
    ) throws -> Result<BootFiles, Refusal> {
        do {
            return .success(try BootFiles(missingTo: deployment, in: sysroot, running: running))
        } catch let refusal as Refusal {
            return .failure(refusal)
        }
    }

    private init(missingTo deployment: Deployment, in sysroot: Sysroot, running: RunningSystem?) throws {
        let name = DeploymentName(checksum: deployment.checksum, serial: deployment.serial)
        let tree = sysroot.folder(of: deployment.osName).appending("\(name)")
        guard try sysroot.exists(tree.appending("usr")) else {
            throw Refusal(reasons: ["its tree '\(sysroot.full(tree))' does not exist"])
        }
        guard try sysroot.exists(Sysroot.entries) else {
            // Without its file system mounted, everything would land below the mount point.
            throw Refusal(reasons: ["'\(sysroot.full(Sysroot.entries))' does not exist: is the boot partition mounted?"]
            )
        }
        guard try sysroot.hasCommit(name.checksum) else {
            throw Refusal(reasons: ["its commit is not in the repository '\(sysroot.full("ostree/repo"))'"])
        }
        let (release, modules) = try Self.kernel(of: tree, in: sysroot)
        let old = try sysroot.bootEntry(of: name, osName: deployment.osName)
        guard let argument = old?.ostreeArgument ?? running?.argument(of: name, deployment.osName, in: sysroot) else {
            let missing = "no entry of the boot loader starts it, and it is not the one that is running"
            throw Refusal(reasons: [missing + ", whose kernel arguments are known"])
        }
        let checksum = String(argument.split(separator: "/")[3])
        let initramfs = modules.appending("initramfs.img")
        let hasInitramfs = try sysroot.exists(initramfs)
        let kernel = modules.appending("vmlinuz")
        let found = try Self.checksum(of: hasInitramfs ? [kernel, initramfs] : [kernel], in: sysroot)
        guard found == checksum else {
            throw Refusal(
                reasons: [
                    "the kernel and the initramfs in '\(sysroot.full(modules))' are not those that it was deployed with"
                ]
            )
        }
        let folder = "\(try Self.prefix(in: sysroot))/ostree/\(deployment.osName)-\(checksum)"
        let boot =
            old
            ?? BootEntry(
                Array("linux \(folder)/vmlinuz-\(release)\n".utf8)
                    + Array((hasInitramfs ? "initrd \(folder)/initramfs-\(release).img\n" : "").utf8),
                file: ""
            )
        guard let image = boot.kernel else { throw Refusal(reasons: ["its entry '\(boot.file)' names no kernel"]) }
        var copies: [Copy] = []
        for (source, path) in [(kernel, image)] + boot.initramfs.map({ (initramfs, $0) }) {
            guard try sysroot.fault(ofBootFile: path) != nil else { continue }
            guard path.contains("/\(deployment.osName)-\(checksum)/"), source == kernel || hasInitramfs else {
                throw Refusal(reasons: [
                    "'\(path)', which its entry '\(boot.file)' names, is not part of the deployment"
                ])
            }
            copies.append(Copy(source: source, target: Self.place(of: path)))
        }
        self.copies = copies
        entry = try old == nil ? Self.entry(of: deployment, boot, running?.commandLine ?? "", tree, in: sysroot) : nil
    }

    /// Writes all of them; what exists under another name stays.
    func write(in sysroot: Sysroot) throws {
        for copy in copies {
            guard let name = copy.target.lastComponent else { continue }
            let directory = try sysroot.files.makeDirectory(copy.target.removingLastComponent())
            let source = try sysroot.files.open(copy.source)
            try AtomicFile.copy(source.descriptor, to: name, in: directory, mode: 0o644)
        }
        if let entry { try sysroot.files.writeFile(entry.file, Array(entry.text.utf8)) }
    }

    /// The one kernel of a deployment: its release, and its folder below the root.
    private static func kernel(of tree: FilePath, in sysroot: Sysroot) throws -> (String, FilePath) {
        let modules = tree.appending("usr/lib/modules")
        let releases = try sysroot.names(in: modules).filter {
            try sysroot.exists(modules.appending($0).appending("vmlinuz"))
        }
        guard releases.count == 1, let release = releases.first else {
            throw Refusal(reasons: ["'\(sysroot.full(modules))' has \(releases.count) kernels, not one"])
        }
        return (release, modules.appending(release))
    }

    /// The SHA-256 of files one after the other.
    private static func checksum(of paths: [FilePath], in sysroot: Sysroot) throws -> String {
        var hasher = SHA256Hasher()
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        for path in paths {
            let file = try sysroot.files.open(path)
            while true {
                let count = try buffer.withUnsafeMutableBytes { try file.descriptor.read(into: $0) }
                if count == 0 { break }
                buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            }
        }
        return hasher.finish().hex
    }

    /// What ostree writes in front of its paths: nothing, or `/boot` with `sysroot.bootprefix`.
    private static func prefix(in sysroot: Sysroot) throws -> String {
        try sysroot.bootEntries().contains { $0.kernel?.hasPrefix("/boot/") == true } ? "/boot" : ""
    }

    /// Where a path of an entry is below the root.
    private static func place(of path: String) -> FilePath {
        FilePath(path.hasPrefix("/boot/") ? "" : "boot").appending(path).lexicallyNormalized()
    }

    /// The entry of the running deployment, in front of all others, as it was booted.
    private static func entry(
        of deployment: Deployment,
        _ boot: BootEntry,
        _ commandLine: String,
        _ tree: FilePath,
        in sysroot: Sysroot
    ) throws -> NewEntry {
        let entries = try sysroot.bootEntries()
        var version = (entries.map(\.version).max() ?? 0) + 1
        let taken = try sysroot.names(in: Sysroot.entries)
        while taken.contains("ostree-\(version)-\(deployment.osName).conf") { version += 1 }
        let release = try sysroot.contents(of: tree.appending("usr/lib/os-release")) ?? []
        let title = String(decoding: release, as: UTF8.self).split(whereSeparator: \.isNewline)
            .first { $0.hasPrefix("PRETTY_NAME=") }?.dropFirst(12).filter { $0 != "\"" }
        let options = BootEntry.split(commandLine).filter { !$0.hasPrefix("BOOT_IMAGE=") && !$0.hasPrefix("initrd=") }
        var lines = [
            "title \(title ?? deployment.osName) (ostree)", "version \(version)",
            "options \(options.joined(separator: " "))", "linux \(boot.kernel ?? "")",
        ]
        lines += boot.initramfs.map { "initrd \($0)" }
        return NewEntry(
            file: Sysroot.entries.appending("ostree-\(version)-\(deployment.osName).conf"),
            text: lines.joined(separator: "\n") + "\n"
        )
    }
}

extension RunningSystem {
    /// The kernel argument `ostree=` that it was booted with, when that names this deployment.
    fileprivate func argument(of name: DeploymentName, _ osName: String, in sysroot: Sysroot) -> String? {
        guard let argument = BootEntry.ostreeArgument(of: BootEntry.split(commandLine)),
            // ignored: an argument that leads nowhere names no deployment
            let place = try? sysroot.place(atArgument: argument, from: "/proc/cmdline"),
            place.name == name, place.osName == osName
        else { return nil }
        return argument
    }
}
