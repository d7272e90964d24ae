public import Archives
import Files
import Logging
public import NodeInterface
public import RecoveryPoints
public import SystemPackage

/// Compares a node with a recovery point of it.
public struct PointComparison {
    private let node: Node
    private let directory: FilePath

    /// A comparison with the recovery points in `directory`, which is never compared with itself.
    public init(node: Node, directory: FilePath) {
        self.node = node
        self.directory = directory
    }

    /// Hands every difference to `report`, component by component, in the order of the paths.
    ///
    /// Components without files (`etcd`, `deployment`, `images`) have nothing to compare and are passed over, unless
    /// they were asked for.
    /// - Throws: ``BackupError``, or what `report` throws.
    public func run(
        _ point: RecoveryPoint,
        components: [String]?,
        report: (_ component: String, _ difference: TreeDifference) throws -> Void
    ) throws(BackupError) {
        do {
            for name in components ?? [] {
                guard let component = point.manifest.component(named: name) else {
                    throw BackupError.componentMissing(name, generation: point.generation)
                }
                guard component.file(.index) != nil else {
                    throw BackupError.noFiles(component: name)
                }
            }
            let root = try RootDirectory(path: node.root)
            let request = BackupRequest(directory: directory, jobs: 1, toolVersion: "")
            let planner = BackupPlanner(request: request, node: node, root: root, earlier: [])
            for component in point.manifest.components {
                guard let index = component.file(.index), components?.contains(component.name) ?? true,
                    let name = component.component, let selection = try planner.selection(for: name)
                else { continue }
                let comparison = TreeComparison(
                    selection,
                    index: point.path(of: index),
                    cancellation: node.cancellation
                )
                let found = try comparison.run { difference in
                    try report(component.name, difference)
                    return true
                }
                for file in found.unreadable {
                    node.log.warning("\(file.error.summary), not compared")
                }
            }
        } catch {
            throw .wrapping(error)
        }
    }
}
