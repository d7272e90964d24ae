public import Files
internal import Reporting
public import SystemPackage

/// The directory that holds the recovery points, `/var/recovery` on a node.
///
/// `points/N/` is a recovery point, complete by having that name; `points/N.partial/` is being written or was left by
/// an interrupted run; `points/N.removing/` is being removed. Only a run that holds the lock writes here; everybody may
/// read.
public final class RecoveryStore: Sendable {
    /// The directory's path.
    public let path: FilePath
    private let directory: Directory

    private static let pointsName: FilePath.Component = "points"
    /// The ordinals that a recovery point can have; a directory of any other name is not one.
    static let generations = 1...999_999_999
    /// The step journal of the recovery under way.
    public static let journalName: FilePath.Component = "journal"
    /// The file that the one run holds that may write.
    public static let lockName: FilePath.Component = "lock"

    /// The store in an existing directory.
    /// - Throws: `StoreError.noStore` when the directory does not exist.
    public init(path: FilePath) throws(StoreError) {
        self.path = path
        do {
            directory = try Directory(path: path)
        } catch {
            if error.errno == .noSuchFileOrDirectory { throw .noStore(directory: path.string) }
            throw .system(error)
        }
    }

    // MARK: reading

    /// The ordinals of the recovery points that are complete by name, oldest first.
    public func generations() throws(StoreError) -> [Int] {
        try names().compactMap { Self.generation(of: $0) }.sorted()
    }

    /// Reads the manifest of a recovery point.
    /// - Throws: `StoreError.noPoint`, `.damaged`, `.unknownFormat` or `.system`.
    public func point(_ generation: Int) throws(StoreError) -> RecoveryPoint {
        guard try generations().contains(generation) else {
            throw .noPoint(generation: generation, directory: path.string)
        }
        return try read(generation)
    }

    /// Reads a recovery point that is a directory of its own: a link could lead to files that change behind its back.
    private func read(_ generation: Int) throws(StoreError) -> RecoveryPoint {
        let path = pointsPath.appending("\(generation)")
        let kind = try system { () throws(FilesError) in try points().stat(Self.component(generation))?.kind }
        guard kind == .directory else {
            let what = kind == .symbolicLink ? "it is a link" : "it is not a directory"
            throw .damaged(file: path.string, reason: what)
        }
        return try RecoveryPoint(directory: path, generation: generation)
    }

    /// All recovery points, oldest first; one whose manifest cannot be read with the reason.
    public func all() throws(StoreError) -> [(generation: Int, point: Result<RecoveryPoint, StoreError>)] {
        var all: [(generation: Int, point: Result<RecoveryPoint, StoreError>)] = []
        for generation in try generations() {
            do throws(StoreError) {
                all.append((generation, .success(try read(generation))))
            } catch {
                // What this machine lacks says nothing about the recovery point.
                if error.isForWantOfResources { throw error }
                all.append((generation, .failure(error)))
            }
        }
        return all
    }

    /// The newest recovery point whose manifest can be read, failed states aside; `nil` when there is none.
    public func newest() throws(StoreError) -> RecoveryPoint? {
        try newest { $0.manifest.failedState == nil }
    }

    /// The newest whole recovery point: one with every component that its node had; `nil` when there is none.
    public func newestWhole() throws(StoreError) -> RecoveryPoint? {
        try newest { $0.manifest.failedState == nil && $0.manifest.isWhole }
    }

    /// The newest failed state that a recovery has kept; `nil` when there is none.
    public func newestFailedState() throws(StoreError) -> RecoveryPoint? {
        try newest { $0.manifest.failedState != nil }
    }

    private func newest(where isWanted: (RecoveryPoint) -> Bool) throws(StoreError) -> RecoveryPoint? {
        for entry in try all().reversed() {
            if case .success(let point) = entry.point, isWanted(point) { return point }
        }
        return nil
    }

    /// Whether a recovery has started and is not done: then nothing here may change but by that recovery.
    public func hasRecoveryUnderWay() throws(StoreError) -> Bool {
        try system { () throws(FilesError) in try directory.stat(Self.journalName) != nil }
    }

    // MARK: writing

    /// Takes the store's lock for this process; it is dropped when the value goes away or the process ends.
    /// - Parameter command: what we are doing, for whoever finds the lock taken: `node-backup create`.
    public func lock(command: String) throws(StoreError) -> FileLock {
        let attempt = try system { () throws(FilesError) in
            try FileLock.attempt(Self.lockName, in: directory, command: command)
        }
        switch attempt {
        case .held(let lock): return lock
        case .heldBy(let holder): throw .locked(directory: path.string, holder: holder)
        }
    }

    /// Makes the directory's own layout, for a run that holds the lock: mode 0700 and `points/`.
    public func prepare() throws(StoreError) {
        try system { () throws(FilesError) in
            try directory.setMode(0o700)
            if try directory.stat(Self.pointsName) == nil {
                try directory.makeDirectory(Self.pointsName, mode: 0o700)
                try directory.sync()
            }
        }
    }

    /// Removes what interrupted runs have left: recovery points being written or removed.
    /// - Returns: the names that were removed.
    public func removeLeftovers() throws(StoreError) -> [String] {
        let leftovers = try names().filter { $0.hasSuffix(".partial") || $0.hasSuffix(".removing") }
        guard !leftovers.isEmpty else { return [] }
        try system { () throws(FilesError) in
            let points = try points()
            for name in leftovers {
                if let name = FilePath.Component(name) { try points.removeTree(name) }
            }
        }
        return leftovers
    }

    /// Begins a recovery point: an empty directory `N.partial/`, where N follows the highest ordinal that exists.
    ///
    /// - Throws: `StoreError.noNumber` when the highest ordinal is taken.
    public func begin() throws(StoreError) -> PartialPoint {
        let used = try names().compactMap { Int($0.prefix { $0.isNumber }) }.filter(Self.generations.contains)
        let generation = (used.max() ?? 0) + 1
        guard Self.generations.contains(generation) else { throw .noNumber(directory: path.string) }
        let partial = PartialPoint(directory: pointsPath.appending("\(generation).partial"), generation: generation)
        try system { () throws(FilesError) in try points().makeDirectory(partial.name, mode: 0o700) }
        return partial
    }

    /// Makes a recovery point out of a partial one: manifest last, sync, rename.
    ///
    /// Power may fail at every moment: until the rename is on disk the point does not exist, and after it everything
    /// in it is on disk, as the whole file system was synced before.
    /// - Parameter verified: what reading the components back has found, as far as they were.
    public func commit(
        _ partial: PartialPoint,
        manifest: Manifest,
        verified: [String: Verification.Result]
    ) throws(StoreError) -> RecoveryPoint {
        let manifest = manifest.bounded()
        let provisional = try partial.provisional(manifest)
        let bytes = try manifest.encoded()
        try Self.proveReadable(bytes, file: partial.directory.appending(Manifest.fileName))
        if !verified.isEmpty { try provisional.record(verified) }
        try system { () throws(FilesError) in
            let directory = try Directory(path: partial.directory)
            try AtomicFile.write(bytes, to: RecoveryPoint.manifestName, in: directory)
            try directory.syncFileSystem()
            let points = try points()
            try points.rename(partial.name, to: Self.component(partial.generation), rule: .refuse)
            try points.sync()
        }
        return RecoveryPoint(
            directory: pointsPath.appending("\(partial.generation)"),
            generation: partial.generation,
            manifest: manifest,
            manifestBytes: bytes
        )
    }

    /// Proves that what is about to be committed can be read.
    private static func proveReadable(_ bytes: [UInt8], file: FilePath) throws(StoreError) {
        guard bytes.count <= Document.limitBytes else {
            throw .cannotEncode(reason: "'\(file)' would be \(bytes.count) bytes, more than a reader takes")
        }
        do throws(StoreError) {
            _ = try Manifest.decode(bytes, file: file.string)
        } catch {
            throw .cannotEncode(reason: "it would not be readable: \(error.summary)")
        }
    }

    /// Makes the link `latest` lead to a recovery point, for people; the program itself never follows it.
    public func pointLatest(at generation: Int) throws(StoreError) {
        try system { () throws(FilesError) in
            try AtomicFile.link(to: FilePath("points/\(generation)"), as: "latest", in: directory)
        }
    }

    /// Removes a partial recovery point.
    public func abandon(_ partial: PartialPoint) throws(StoreError) {
        try system { () throws(FilesError) in try points().removeTree(partial.name) }
    }

    /// Removes a recovery point: renamed first, so that no half one is ever found under its name.
    public func remove(_ generation: Int) throws(StoreError) {
        try system { () throws(FilesError) in
            let points = try points()
            let removing = FilePath.Component("\(generation).removing")!
            try points.rename(Self.component(generation), to: removing, rule: .refuse)
            try points.sync()
            try points.removeTree(removing)
        }
        if let newest = try newest() { try pointLatest(at: newest.generation) }
    }

    /// Replaces a document of the store, such as `status.json`.
    public func write(_ bytes: [UInt8], as name: FilePath.Component) throws(StoreError) {
        try system { () throws(FilesError) in try AtomicFile.write(bytes, to: name, in: directory) }
    }

    /// Puts a copy of the program beside the recovery points, for a node whose `/usr` has gone back to an old one:
    /// `upgrade-recovery`, and the name that TALM's documents tell people to run, `upgrade-recovery.sh`.
    ///
    /// Nothing is written when there is a copy with the same bytes.
    public func install(_ executable: FilePath) throws(StoreError) {
        try system { () throws(FilesError) in
            let source = try OwnedDescriptor(reading: executable)
            let name: FilePath.Component = "upgrade-recovery"
            if try directory.stat(name) != nil, try directory.stat("upgrade-recovery.sh") != nil {
                let copy = try directory.open(name)
                let isSame = try source.descriptor.hasSameBytes(
                    as: copy.descriptor,
                    path: executable.string,
                    otherPath: path.appending(name).string
                )
                if isSame { return }
            }
            try AtomicFile.copy(source.descriptor, to: name, in: directory, mode: 0o700)
            try AtomicFile.link(to: "upgrade-recovery", as: "upgrade-recovery.sh", in: directory)
        }
    }

    // MARK: helpers

    private var pointsPath: FilePath { path.appending(Self.pointsName) }

    private func points() throws(FilesError) -> Directory {
        try directory.directory(Self.pointsName)
    }

    /// The names in `points/`; none when it does not exist yet.
    private func names() throws(StoreError) -> [String] {
        try system { () throws(FilesError) in
            guard try directory.stat(Self.pointsName) != nil else { return [] }
            return try points().names().map(\.string)
        }
    }

    /// The ordinal that a directory's name stands for; `nil` when it is no recovery point's.
    private static func generation(of name: String) -> Int? {
        guard let number = Int(name), generations.contains(number), "\(number)" == name else { return nil }
        return number
    }

    private static func component(_ generation: Int) -> FilePath.Component {
        FilePath.Component("\(generation)")!  // digits are a component
    }
}

/// Runs operations on files and gives their error as one of the store.
func system<Value>(_ body: () throws(FilesError) -> Value) throws(StoreError) -> Value {
    do {
        return try body()
    } catch {
        throw .system(error)
    }
}

/// A recovery point that is being written.
public struct PartialPoint: Sendable {
    /// The directory to write into, `N.partial/`.
    public let directory: FilePath
    /// The ordinal that it will have.
    public let generation: Int

    /// The recovery point as it will be with this manifest, while it is in the partial directory: to verify it.
    public func provisional(_ manifest: Manifest) throws(StoreError) -> RecoveryPoint {
        RecoveryPoint(
            directory: directory,
            generation: generation,
            manifest: manifest,
            manifestBytes: try manifest.encoded()
        )
    }

    var name: FilePath.Component { FilePath.Component("\(generation).partial")! }  // digits are a component
}
