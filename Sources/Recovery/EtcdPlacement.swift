import Archives
import Backup
import Files
import Glibc
import NodeInterface
import RecoveryPoints
import SystemPackage

/// Where the restored etcd and the failed one are while they change places.
///
/// All of it is in the data directory:
///
/// ```
/// member                            what etcd runs on
/// .node-recovery-ID                 the restored data directory, whole and on the disk; its `member` is renamed out
/// .node-recovery-ID.building        the same, while it is made
/// .node-recovery-ID.made            an empty directory: the data directory itself was made for the recovery
/// member.before-ID                  the failed one, kept; empty when there was none
/// ```
/// etcd does not look at names that it does not know; a data directory that is a mount point keeps its place. Where
/// `member` is a mount point its contents change places, and those of a log directory of its own (``EtcdContents``).
struct EtcdPlacement {
    /// The data directory as a path of this machine, every link followed inside the node's root.
    let directory: FilePath
    private let place: EtcdDirectory
    private let identity: String
    /// `member`, when something is mounted there.
    private let mountedMember: EtcdContents?
    /// The log directory of its own.
    private let log: EtcdContents?

    /// - Throws: when the kernel cannot tell where a directory is.
    init(_ member: EtcdMember, in root: RootDirectory, recovery: String) throws(FilesError) {
        directory = try root.realPath(of: member.dataDirectory)
        place = EtcdDirectory(path: directory, recovery: recovery)
        identity = recovery
        let inside = directory.appending(Self.member)
        mountedMember = try Self.isMountPoint(inside) ? EtcdContents(inside, recovery: recovery) : nil
        let log = try member.logDirectory.map { path throws(FilesError) in try root.realPath(of: path) }
        self.log = log.flatMap { $0 == inside.appending("wal") ? nil : EtcdContents($0, recovery: recovery) }
    }

    private static let member: FilePath.Component = "member"
    private static let wal: FilePath.Component = "wal"
    private var stagedName: FilePath.Component { place.stagedName }
    private var keptName: FilePath.Component { Self.keptName(identity) }

    private static func keptName(_ recovery: String) -> FilePath.Component {
        FilePath.Component("member.before-\(recovery)")!  // hexadecimal digits have no slash
    }

    /// Where the restored data directory is made before ``stage()``, on the file system where it stays.
    var building: FilePath { workplace.path.appending(workplace.buildingName) }

    /// The directory that has ``building``, for scratch files as well.
    var scratch: FilePath { workplace.path }

    private var workplace: EtcdDirectory { mountedMember?.place ?? place }

    /// Directories in which something is prepared.
    private var places: [EtcdDirectory] { [place] + [mountedMember, log].compactMap { $0?.place } }

    /// Shows, before the first change, that the restored one can take the failed one's place.
    /// - Throws: ``EtcdRefusal``.
    func refuseUnlessReplaceable() throws {
        let inside = directory.appending(Self.member)
        for name in ["snap", "wal"] where try Self.isMountPoint(inside.appending(name)) {
            throw EtcdRefusal.mounted(inside.appending(name))
        }
        guard let log = log?.place.path else { return }
        guard !directory.starts(with: log), !log.starts(with: inside) else {
            throw EtcdRefusal.nested(log: log, data: directory)
        }
    }

    /// Runs `body`, which stages, in directories that exist, and gives them their times back: staging is part of the
    /// proof, which leaves no trace.
    func keepingTime<Value>(_ body: () throws -> Value) throws -> Value {
        try keepingTime(places[...], body)
    }

    private func keepingTime<Value>(_ places: ArraySlice<EtcdDirectory>, _ body: () throws -> Value) throws -> Value {
        guard let first = places.first else { return try body() }
        let directory = try first.open(making: true)
        var result: Result<Value, any Error>?
        try directory.keepingTime { () throws(FilesError) in
            result = Result { try keepingTime(places.dropFirst(), body) }
        }
        return try result!.get()  // set by the line before
    }

    /// Makes room for ``building``: the directories exist, and nothing of an earlier try does.
    func clear() throws(FilesError) {
        for place in places {
            let directory = try place.open(making: true)
            try directory.removeTree(place.buildingName)
            try directory.removeTree(place.stagedName)
        }
    }

    /// Gives what was built the name of a whole one; the log goes to its own directory first.
    func stage() throws {
        let work = try workplace.open(making: false)
        let built = try work.directory(workplace.buildingName)
        if let log {
            let inside = try built.directory(Self.member)
            let target = try log.place.open(making: false)
            try target.makeDirectory(log.place.buildingName, mode: 0o700)
            let copy = try target.directory(log.place.buildingName)
            let source = try inside.directory(Self.wal)
            for name in try source.names() {
                let file = try source.open(name)
                try AtomicFile.copy(file.descriptor, to: name, in: copy)
                withExtendedLifetime(file) {}
            }
            try copy.takeOwner(of: target)
            try target.syncFileSystem()
            try target.rename(log.place.buildingName, to: log.place.stagedName, rule: .refuse)
            try target.sync()
            try inside.removeTree(Self.wal)
        }
        if mountedMember != nil {
            try built.rename(Self.member, to: stagedName, in: work, rule: .refuse)
            try work.removeTree(workplace.buildingName)
        } else {
            try work.rename(workplace.buildingName, to: stagedName, rule: .refuse)
        }
        try work.sync()
    }

    /// The databases in the data directory: the present member's, and those that recoveries have kept.
    func databases() -> [FilePath] {
        ([(place, "member.before-")] + [mountedMember.map { ($0.place, "before-") }].compactMap { $0 }).flatMap {
            place,
            kept in
            // ignored: what is not found says nothing about revisions
            let names = (try? place.openIfThere()?.names()) ?? []
            return names.filter { $0 == Self.member || $0.string.hasPrefix(kept) }
                .map { place.path.appending($0).appending("snap/db") }
        }
    }

    /// What a swap finds.
    enum State: Equatable {
        /// A restored data directory waits.
        case staged
        /// The restored one is in place, the failed one is kept.
        case swapped
        /// Nothing of this recovery exists.
        case nothing
    }

    /// Finds out how far it is.
    func state() throws(FilesError) -> State {
        let state = try memberState()
        guard let log, state != .nothing else { return state }
        if try log.isSwapped() { return state }
        return try log.isStaged() ? .staged : .nothing
    }

    private func memberState() throws(FilesError) -> State {
        if let mountedMember {
            if try mountedMember.isStaged() { return .staged }
            return try mountedMember.isSwapped() ? .swapped : .nothing
        }
        guard let directory = try place.openIfThere() else { return .nothing }
        if try directory.stat(stagedName) != nil, try directory.directory(stagedName).stat(Self.member) != nil {
            return .staged
        }
        guard try directory.stat(keptName) != nil, try directory.stat(Self.member) != nil else { return .nothing }
        return .swapped
    }

    /// Puts the restored data in the place of the failed; may be interrupted anywhere and run again.
    /// - Throws: ``RecoveryError/etcdRuns(_:)`` when a process has the failed one's database open.
    func swap() throws {
        let directory = try place.open(making: false)
        let state = try memberState()
        if state == .staged { try refuseWhileInUse(directory) }
        if let log, try log.isStaged() { try log.swap() }
        guard state == .staged else { return }
        if let mountedMember {
            try mountedMember.swap()
            return try directory.removeTree(place.madeName)
        }
        if try directory.stat(Self.member) != nil {
            try putAside(directory)
        } else if try directory.stat(keptName) == nil {
            // So that a second run knows that this one is over, and an undo that there was none.
            try directory.makeDirectory(keptName, mode: 0o700)
            try directory.sync()
        }
        let staged = try directory.directory(stagedName)
        try staged.rename(Self.member, to: Self.member, in: directory, rule: .refuse)
        try directory.sync()
        try directory.removeTree(stagedName)
        try directory.removeTree(place.madeName)
    }

    /// Puts the one that an earlier recovery has kept back in its place; the present one is kept instead.
    /// - Returns: whether there was one.
    func takeBack(keptBy recovery: String) throws -> Bool {
        guard let directory = try place.openIfThere() else { return false }
        try refuseWhileInUse(directory)
        let hadLog = try log?.takeBack(keptBy: recovery) ?? false
        if let mountedMember { return try mountedMember.takeBack(keptBy: recovery) || hadLog }
        let earlier = Self.keptName(recovery)
        guard try directory.stat(earlier) != nil else { return try directory.stat(keptName) != nil }
        if try directory.stat(Self.member) != nil { try putAside(directory) }
        if try directory.directory(earlier).names().isEmpty {
            // An empty one says that there was none.
            try directory.removeDirectory(earlier)
        } else {
            try directory.rename(earlier, to: Self.member, rule: .refuse)
        }
        try directory.sync()
        return true
    }

    /// Keeps the present member.
    private func putAside(_ directory: Directory) throws {
        if try directory.stat(keptName) == nil {
            try directory.rename(Self.member, to: keptName, rule: .refuse)
        } else {
            // Something has made a new one between two tries: the first one is the failed state.
            try directory.removeTree(Self.member)
        }
        try directory.sync()
    }

    /// Removes what was staged and not used, and what recoveries other than this one have kept.
    /// - Parameter recoveries: those whose failed etcd is kept nowhere else: it stays.
    func tidy(keeping recoveries: Set<String> = []) throws(FilesError) {
        try log?.tidy(keeping: recoveries)
        try mountedMember?.tidy(keeping: recoveries)
        guard let directory = try place.openIfThere() else { return }
        try place.removeStaging(in: directory)
        let kept = Set(recoveries.map(Self.keptName) + [keptName])
        for name in try directory.names() where name.string.hasPrefix("member.before-") && !kept.contains(name) {
            try directory.removeTree(name)
        }
    }

    /// Removes what was staged and not used, and leaves no trace of it.
    func removeStaged() throws(FilesError) {
        for place in places.reversed() { try place.removeStaged() }
    }

    /// bbolt holds `flock(2)` on the database as long as it has it open.
    private func refuseWhileInUse(_ directory: Directory) throws {
        // No link is followed on the way; what is no directory is no member that runs.
        guard try directory.stat(Self.member)?.kind == .directory else { return }
        let member = try directory.directory(Self.member)
        guard try member.stat("snap")?.kind == .directory else { return }
        let snap = try member.directory("snap")
        guard try snap.stat("db")?.kind == .regular else { return }  // no database: nobody has it open
        let file = try snap.open("db")
        let isFree = flock(file.descriptor.rawValue, LOCK_EX | LOCK_NB) == 0
        withExtendedLifetime(file) {}
        guard isFree else {
            throw RecoveryError.etcdRuns(directory.path.appending("member/snap/db").string)
        }
    }

    /// Whether something is mounted on a directory.
    private static func isMountPoint(_ path: FilePath) throws(FilesError) -> Bool {
        do throws(FilesError) {
            guard let name = path.lastComponent else { return false }
            let parent = try Directory(path: path.removingLastComponent())
            guard let stat = try parent.stat(name) else { return false }
            if let isMountRoot = stat.isMountRoot { return isMountRoot }
            let device = try FileStat(of: parent.descriptor, path: parent.path.string).identity.device
            return stat.kind == .directory && stat.identity.device != device
        } catch {
            guard error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory else { throw error }
            return false
        }
    }
}

extension Directory {
    /// Gives this directory and the files in it the owner of another one, so that an etcd that does not run as root can
    /// open them.
    fileprivate func takeOwner(of other: Directory) throws(FilesError) {
        let owner = try FileStat(of: other.descriptor, path: other.path.string)
        var result = fchown(descriptor.rawValue, owner.uid, owner.gid)
        for name in try names() where result == 0 {
            result = name.withPlatformString {
                fchownat(descriptor.rawValue, $0, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW)
            }
        }
        guard result == 0 else {
            throw FilesError(operation: "set the owner of", path: path.string, errno: Errno(rawValue: errno))
        }
    }
}
