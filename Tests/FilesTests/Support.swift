import Files
import Glibc
import SystemPackage
import TestSupport
import Testing

/// All events of a walk, with the details of each file read.
func walk(
    _ root: FilePath,
    _ subtrees: [TreePath] = [.root],
    exclusions: [PathPattern] = [],
    leaveOut: [FileIdentity: String] = [:],
    oneFileSystem: Bool = true
) throws -> [TreeWalk.Event] {
    var walk = TreeWalk(
        root: try RootDirectory(path: root),
        subtrees: subtrees,
        exclusions: exclusions,
        leaveOut: leaveOut,
        oneFileSystem: oneFileSystem
    )
    var events = [TreeWalk.Event]()
    while let event = try walk.next() {
        guard case .file(var record) = event else {
            events.append(event)
            continue
        }
        try walk.readDetails(&record)
        events.append(.file(record))
    }
    return events
}

extension [TreeWalk.Event] {
    /// The records alone.
    var records: [FileRecord] { compactMap { if case .file(let record) = $0 { record } else { nil } } }
    /// What was left out alone.
    var leftOut: [LeftOut] { compactMap { if case .leftOut(let leftOut) = $0 { leftOut } else { nil } } }
    /// The paths of the records as text.
    var paths: [String] { records.map(\.path.description) }
}

/// Whether the tests may make devices, mounts and labels.
let isRoot = geteuid() == 0

/// Does something with the rights that nobody (65534) has on files; what is open stays open.
///
/// `setfsuid(2)` holds for this thread alone. It is looked up, as Swift's Glibc module leaves it out.
func asNobody<Result>(_ body: () throws -> Result) throws -> Result {
    typealias SetID = @convention(c) (UInt32) -> Int32
    let setUser = unsafeBitCast(try #require(dlsym(nil, "setfsuid")), to: SetID.self)
    let old = setUser(65534)
    defer { _ = setUser(UInt32(bitPattern: old)) }
    return try body()
}
