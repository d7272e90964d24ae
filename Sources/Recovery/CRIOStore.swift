import Files
import SystemPackage

/// How CRI-O tells a clean shutdown from a power cut, after which it removes all of its images.
///
/// It makes `clean_shutdown_file` when it ends and removes it when it starts; `FILE.supported` says that the last run
/// did so. It removes its whole store when it starts, or in `crio wipe`, and finds `FILE.supported` without `FILE`.
/// Source: CRI-O `internal/lib/container_server.go`, `internal/criocli/wipe.go`, `pkg/config/config.go`.
enum CRIOStore {
    /// What a power cut now would mean for the images.
    enum Danger: Equatable {
        /// CRI-O is not installed, or does not look at a file.
        case none
        /// They are removed at the next start: this file does not exist.
        case removedAtNextStart(FilePath)
    }

    private static let directory: FilePath = "/etc/crio"
    private static let defaultFile: FilePath = "/var/lib/crio/clean.shutdown"
    private static let limitBytes = 1 << 20

    /// Looks at CRI-O's configuration and its files.
    static func danger(in root: RootDirectory) throws(FilesError) -> Danger {
        guard let file = try cleanShutdownFile(in: root, ignoring: nil), try root.exists(supported(file)),
            try !root.exists(file)
        else { return .none }
        return .removedAtNextStart(file)
    }

    /// To be called before the mark goes under which CRI-O was started: that run has made no file, and the next start
    /// must not take it for a power cut.
    static func forgetSupport(in root: RootDirectory) throws(FilesError) {
        guard let file = try cleanShutdownFile(in: root, ignoring: NodeMarks.crioName) else { return }
        let path = supported(file)
        guard let name = path.lastComponent,
            let directory = try root.directoryIfPresent(path.removingLastComponent())
        else { return }
        try directory.remove(name)
        try directory.sync()
    }

    private static func supported(_ file: FilePath) -> FilePath { FilePath("\(file).supported") }

    /// The file in force: the last one that says so counts; `nil` when it is switched off.
    /// - Parameter ignored: a file of `crio.conf.d` that does not count.
    static func cleanShutdownFile(
        in root: RootDirectory,
        ignoring ignored: FilePath.Component?
    ) throws(FilesError) -> FilePath? {
        var paths = [directory.appending("crio.conf")]
        let dropIns = directory.appending("crio.conf.d")
        if try root.exists(dropIns) {
            for name in try root.names(in: dropIns) where name != ignored {
                let path = dropIns.appending(name)
                if try root.exists(path), try root.stat(path).kind == .regular { paths.append(path) }
            }
        }
        var file = defaultFile.string
        for path in paths {
            guard let bytes = try root.readFileIfPresent(path, limitBytes: limitBytes) else { continue }
            for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
                let match = line.firstMatch(of: #/^\s*clean_shutdown_file\s*=\s*["']([^"']*)["']/#)
                if let match { file = String(match.output.1) }
            }
        }
        return file.isEmpty ? nil : FilePath(file)
    }
}
