import Files
import SystemPackage

/// A directory of etcd whose contents change places, as it cannot be renamed itself: it is a mount point, or a log
/// directory of its own (`--wal-dir`) that can be one.
///
/// All of it is in the directory:
///
/// ```
/// *                                 what etcd runs on
/// .node-recovery-ID                 the restored contents, whole and on the disk
/// .node-recovery-ID.building        the same, while they are made
/// .node-recovery-ID.keeping         the failed contents, while they are moved
/// .node-recovery-ID.made            an empty directory: the directory itself was made for the recovery
/// before-ID                         the failed contents, kept; empty when there were none
/// ```
/// etcd ignores names that it does not know, in its log and in `member`.
struct EtcdContents {
    let place: EtcdDirectory
    private let identity: String

    init(_ directory: FilePath, recovery: String) {
        place = EtcdDirectory(path: directory, recovery: recovery)
        identity = recovery
    }

    private var stagedName: FilePath.Component { place.stagedName }
    private var keepingName: FilePath.Component {
        FilePath.Component(".node-recovery-\(identity).keeping")!  // no slash
    }
    private static func keptName(_ recovery: String) -> FilePath.Component {
        FilePath.Component("before-\(recovery)")!  // hexadecimal digits have no slash
    }
    private var keptName: FilePath.Component { Self.keptName(identity) }

    /// Whether restored contents wait.
    func isStaged() throws(FilesError) -> Bool {
        guard let directory = try place.openIfThere() else { return false }
        return try directory.stat(stagedName) != nil
    }

    /// Whether the failed contents are kept and nothing waits.
    func isSwapped() throws(FilesError) -> Bool {
        guard let directory = try place.openIfThere() else { return false }
        guard try directory.stat(keptName) != nil else { return false }
        return try directory.stat(stagedName) == nil
    }

    /// Puts the restored contents in the place of the failed ones; may be interrupted anywhere and run again.
    func swap() throws {
        let directory = try place.open(making: true)
        try exchange(directory, with: stagedName)
        try directory.removeTree(place.madeName)
    }

    /// Puts what an earlier recovery has kept back in its place.
    /// - Returns: whether it has kept anything.
    func takeBack(keptBy recovery: String) throws -> Bool {
        guard let directory = try place.openIfThere() else { return false }
        let earlier = Self.keptName(recovery)
        guard try directory.stat(earlier) != nil else { return try directory.stat(keptName) != nil }
        try exchange(directory, with: earlier)
        return true
    }

    private func exchange(_ directory: Directory, with name: FilePath.Component) throws {
        if try directory.stat(keptName) == nil {
            if try directory.stat(keepingName) == nil { try directory.makeDirectory(keepingName, mode: 0o700) }
            let keeping = try directory.directory(keepingName)
            for entry in try directory.names() where !Self.isOurs(entry) {
                try directory.rename(entry, to: entry, in: keeping, rule: .refuse)
            }
            try keeping.sync()
            try directory.rename(keepingName, to: keptName, rule: .refuse)
            try directory.sync()
        }
        guard try directory.stat(name) != nil else { return }
        let source = try directory.directory(name)
        for entry in try source.names() {
            // Something has made a new one between two tries: the first one is the failed state.
            try directory.removeTree(entry)
            try source.rename(entry, to: entry, in: directory, rule: .refuse)
        }
        try directory.sync()
        try directory.removeTree(name)
    }

    /// Removes what was staged and not used, and what recoveries other than this one have kept.
    /// - Parameter recoveries: those whose failed etcd is kept nowhere else: it stays.
    func tidy(keeping recoveries: Set<String>) throws(FilesError) {
        guard let directory = try place.openIfThere() else { return }
        try place.removeStaging(in: directory)
        let kept = Set(recoveries.map(Self.keptName) + [keptName])
        for name in try directory.names() where name.string.hasPrefix("before-") && !kept.contains(name) {
            try directory.removeTree(name)
        }
    }

    /// Whether a name is one of those above: every recovery's, so that none keeps what another one has kept.
    private static func isOurs(_ name: FilePath.Component) -> Bool {
        let text = name.string
        return text.hasPrefix(".node-recovery-") || text == "lost+found"
            || (text.hasPrefix("before-") && text.dropFirst(7).count == 16
                && text.dropFirst(7).allSatisfy(\.isHexDigit))
    }
}

/// A directory in which a recovery prepares something for etcd.
struct EtcdDirectory {
    /// A path of this machine without links in it.
    let path: FilePath
    private let identity: String

    init(path: FilePath, recovery: String) {
        self.path = path
        identity = recovery
    }

    var stagedName: FilePath.Component { FilePath.Component(".node-recovery-\(identity)")! }  // no slash
    var buildingName: FilePath.Component { FilePath.Component(".node-recovery-\(identity).building")! }
    var madeName: FilePath.Component { FilePath.Component(".node-recovery-\(identity).made")! }

    /// Removes what was prepared.
    func removeStaging(in directory: Directory) throws(FilesError) {
        try directory.removeTree(stagedName)
        try directory.removeTree(buildingName)
        try directory.removeTree(madeName)
    }

    /// Removes what was prepared, the directory itself when it was made for it, and leaves no trace in times.
    func removeStaged() throws(FilesError) {
        guard let directory = try openIfThere() else { return }
        let wasMade = try directory.stat(madeName) != nil
        try directory.keepingTime { () throws(FilesError) in try removeStaging(in: directory) }
        guard wasMade, let name = path.lastComponent, try directory.names().isEmpty else { return }
        let parent = try Directory(path: path.removingLastComponent())
        try parent.keepingTime { () throws(FilesError) in try parent.removeDirectory(name) }
    }

    func openIfThere() throws(FilesError) -> Directory? {
        do {
            return try Directory(path: path)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            return nil
        }
    }

    func open(making: Bool) throws(FilesError) -> Directory {
        if let directory = try openIfThere() { return directory }
        guard making, let name = path.lastComponent else {
            throw FilesError(operation: "open", path: path.string, errno: .noSuchFileOrDirectory)
        }
        let parent = try Directory(path: path.removingLastComponent())
        try parent.keepingTime { () throws(FilesError) in try parent.makeDirectory(name, mode: 0o700) }
        try parent.sync()
        let directory = try Directory(path: path)
        try directory.makeDirectory(madeName, mode: 0o700)
        return directory
    }
}
