public import Archives
import Backup
import Files
import Glibc
public import NodeInterface
import RecoveryPoints
import SystemPackage

/// Makes the files of single components equal to a recovery point, without the rest of a recovery: no unit is stopped, no
/// failed state is kept, etcd is left alone.
public struct ComponentRestore {
    private let request: RecoveryRequest
    private let node: Node

    /// A restore with the directory, the recovery point, the kept paths and the threads of `request`.
    public init(_ request: RecoveryRequest, on node: Node) {
        self.request = request
        self.node = node
    }

    /// The components that have files to restore.
    public static var components: [String] { TreeComponents.names.map(\.rawValue) }

    /// Tells every file that would change; nothing is touched.
    public func plan(
        _ components: [String],
        report: @escaping (_ component: String, TreeDifference) throws -> Void
    ) throws(RecoveryError) {
        do {
            for (component, engine) in try engines(components) {
                _ = try engine.plan { difference in
                    try report(component, difference)
                    return true
                }
            }
        } catch {
            throw .wrapping(error)
        }
    }

    /// Restores one component after the other.
    ///
    /// What a content's digest does not fit is not put in place; an interrupted restore can run again.
    /// - Returns: what was done to each, a line for the operator.
    /// - Throws: ``RecoveryError``; ``RecoveryError/underWay(directory:generation:)`` while a recovery is.
    public func run(_ components: [String]) throws(RecoveryError) -> [(component: String, sentence: String)] {
        do {
            guard geteuid() == 0 else { throw RecoveryError.notRoot }
            let store = try RecoveryStore(path: request.directory)
            let lock = try store.lock(command: "node-backup restore")
            defer { withExtendedLifetime(lock) {} }
            if let journal = try StepJournal.open(in: store.path) {
                throw RecoveryError.underWay(directory: store.path.string, generation: journal.header.generation)
            }
            // All of them are looked at before the first one changes.
            return try engines(components).map { component, engine in
                (component, try engine.run().sentence)
            }
        } catch {
            throw .wrapping(error)
        }
    }

    private func engines(_ components: [String]) throws -> [(String, TreeRestorer)] {
        let proof = try Proof(request, node: node)
        return try components.map { component in
            guard let name = ComponentName(rawValue: component), let engine = try proof.restorer(for: name) else {
                if let entry = proof.point.manifest.component(named: component), entry.component == nil {
                    throw BackupError.newerProgram(component: component, generation: proof.point.generation)
                }
                guard proof.point.manifest.component(named: component) == nil else {
                    throw BackupError.noFiles(component: component)
                }
                throw BackupError.componentMissing(component, generation: proof.point.generation)
            }
            return (component, engine)
        }
    }
}
