import Archives
import Files
import Glibc
import NodeInterface
import RecoveryPoints
import SystemPackage

/// Where the restored etcd and the failed one lie while they change places.
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
/// etcd does not look at names that it does not know; a data directory that is a mount point keeps its place.
struct EtcdPlacement {
    /// The data directory as a path of this machine.
    let directory: FilePath
    private let identity: String

    init(_ member: EtcdMember, in root: RootDirectory, recovery: String) {
        directory = root.fullPath(of: member.dataDirectory)
        identity = recovery
    }

    private static let member: FilePath.Component = "member"
    private var stagedName: FilePath.Component { FilePath.Component(".node-recovery-\(identity)")! }  // no slash
    private var buildingName: FilePath.Component { FilePath.Component(".node-recovery-\(identity).building")! }
    private var madeName: FilePath.Component { FilePath.Component(".node-recovery-\(identity).made")! }
    private var keptName: FilePath.Component { Self.keptName(identity) }

    private static func keptName(_ recovery: String) -> FilePath.Component {
        FilePath.Component("member.before-\(recovery)")!  // hexadecimal digits have no slash
    }

    /// Where a data directory is made before ``stage()``.
    var building: FilePath { directory.appending(buildingName) }

    /// Runs `body`, which stages, in a data directory that is there, and gives the directory its time back: staging
    /// is part of the proof, which leaves no trace.
    func keepingTime<Value>(_ body: () throws -> Value) throws -> Value {
        let place = try open(making: true)
        var result: Result<Value, any Error>?
        try place.keepingTime { () throws(FilesError) in result = Result { try body() } }
        return try result!.get()  // set by the line before
    }

    /// Makes room for ``building``: the data directory is there, and nothing of an earlier try is.
    func clear() throws(FilesError) {
        let place = try open(making: true)
        try place.removeTree(buildingName)
        try place.removeTree(stagedName)
    }

    /// Gives what was built the name of a whole one.
    func stage() throws(FilesError) {
        let place = try open(making: false)
        try place.rename(buildingName, to: stagedName, rule: .refuse)
        try place.sync()
    }

    /// The databases in the data directory: the present member's, and those that recoveries have kept.
    func databases() -> [FilePath] {
        // ignored: what is not found says nothing about revisions
        guard let place = try? openIfThere(), let names = try? place.names() else { return [] }
        return names.filter { $0 == Self.member || $0.string.hasPrefix("member.before-") }
            .map { place.path.appending($0).appending("snap/db") }
    }

    /// What a swap finds.
    enum State: Equatable {
        /// A restored data directory waits.
        case staged
        /// The restored one is in place, the failed one is kept.
        case swapped
        /// Nothing of this recovery is here.
        case nothing
    }

    /// Looks what is there.
    func state() throws(FilesError) -> State {
        guard let place = try openIfThere() else { return .nothing }
        if try place.stat(stagedName) != nil, try place.directory(stagedName).stat(Self.member) != nil {
            return .staged
        }
        guard try place.stat(keptName) != nil, try place.stat(Self.member) != nil else { return .nothing }
        return .swapped
    }

    /// Lets the restored data directory and the failed one change places; may be cut anywhere and run again.
    /// - Throws: ``RecoveryError/etcdRuns(_:)`` when a process has the failed one's database open.
    func swap() throws {
        let place = try open(making: false)
        if try place.stat(Self.member) != nil {
            try refuseWhileInUse(place)
            if try place.stat(keptName) == nil {
                try place.rename(Self.member, to: keptName, rule: .refuse)
            } else {
                // Something has made a new one between two tries: the first one is the failed state.
                try place.removeTree(Self.member)
            }
            try place.sync()
        } else if try place.stat(keptName) == nil {
            // So that a second run knows that this one is over, and the way back that there was none.
            try place.makeDirectory(keptName, mode: 0o700)
            try place.sync()
        }
        let staged = try place.directory(stagedName)
        try staged.rename(Self.member, to: Self.member, in: place, rule: .refuse)
        try place.sync()
        try place.removeTree(stagedName)
        try place.removeTree(madeName)
    }

    /// Lets the one that an earlier recovery has kept be in place again; the present one is kept in its stead.
    /// - Returns: whether there was one.
    func takeBack(keptBy recovery: String) throws -> Bool {
        guard let place = try openIfThere() else { return false }
        let earlier = Self.keptName(recovery)
        guard try place.stat(earlier) != nil else { return try place.stat(keptName) != nil }
        if try place.stat(Self.member) != nil {
            try refuseWhileInUse(place)
            if try place.stat(keptName) == nil {
                try place.rename(Self.member, to: keptName, rule: .refuse)
            } else {
                // Something has made a new one between two tries: the first one is to be kept.
                try place.removeTree(Self.member)
            }
            try place.sync()
        }
        if try place.directory(earlier).names().isEmpty {
            // An empty one says that there was none.
            try place.removeDirectory(earlier)
        } else {
            try place.rename(earlier, to: Self.member, rule: .refuse)
        }
        try place.sync()
        return true
    }

    /// Removes what was staged and not used, and what recoveries other than this one have kept.
    func tidy() throws(FilesError) {
        guard let place = try openIfThere() else { return }
        try place.removeTree(stagedName)
        try place.removeTree(buildingName)
        try place.removeTree(madeName)
        for name in try place.names() where name.string.hasPrefix("member.before-") && name != keptName {
            try place.removeTree(name)
        }
    }

    /// Removes what was staged and not used, and leaves no trace of it.
    func removeStaged() throws(FilesError) {
        guard let place = try openIfThere() else { return }
        let wasMade = try place.stat(madeName) != nil
        try place.keepingTime { () throws(FilesError) in
            try place.removeTree(stagedName)
            try place.removeTree(buildingName)
            try place.removeTree(madeName)
        }
        guard wasMade, let name = directory.lastComponent, try place.names().isEmpty else { return }
        let parent = try Directory(path: directory.removingLastComponent())
        try parent.keepingTime { () throws(FilesError) in try parent.removeDirectory(name) }
    }

    /// bbolt holds `flock(2)` on the database as long as it has it open.
    private func refuseWhileInUse(_ place: Directory) throws {
        let path = place.path.appending("member/snap/db")
        let descriptor = path.withPlatformString { Glibc.open($0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) }
        guard descriptor >= 0 else { return }  // no database: nobody has it open
        let file = OwnedDescriptor(owning: FileDescriptor(rawValue: descriptor))
        guard flock(file.descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            throw RecoveryError.etcdRuns(path.string)
        }
    }

    private func openIfThere() throws(FilesError) -> Directory? {
        do {
            return try Directory(path: directory)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            return nil
        }
    }

    private func open(making: Bool) throws(FilesError) -> Directory {
        if let place = try openIfThere() { return place }
        guard making, let name = directory.lastComponent else {
            throw FilesError(operation: "open", path: directory.string, errno: .noSuchFileOrDirectory)
        }
        let parent = try Directory(path: directory.removingLastComponent())
        try parent.keepingTime { () throws(FilesError) in try parent.makeDirectory(name, mode: 0o700) }
        try parent.sync()
        let place = try Directory(path: directory)
        try place.makeDirectory(madeName, mode: 0o700)
        return place
    }
}
