package import Files
import Glibc
import NodeInterface
package import RecoveryPoints
import SystemPackage

extension NodeIdentity {
    /// Reads a node's name and machine id.
    ///
    /// The name is `/etc/hostname`; a running system that has none there is asked for its host name.
    package static func read(from root: RootDirectory, isRunningSystem: Bool) throws(FilesError) -> NodeIdentity {
        func firstLine(_ path: FilePath) throws(FilesError) -> String? {
            guard try root.exists(path) else { return nil }
            let text = String(decoding: try root.readFile(path, limitBytes: 4096), as: UTF8.self)
            let line = text.split(separator: "\n").first { !$0.hasPrefix("#") }
            let word = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).first.map { String($0) }
            return word?.isEmpty == false ? word : nil
        }
        var name = try firstLine(WellKnownPaths.hostName)
        if name == nil, isRunningSystem {
            var buffer = [CChar](repeating: 0, count: 256)
            if gethostname(&buffer, buffer.count - 1) == 0 {
                name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }
        return NodeIdentity(name: name ?? "localhost", machineID: try firstLine(WellKnownPaths.machineID))
    }
}
