import Backup
import Files
import NodeInterface
import RecoveryPoints
import SystemPackage

/// Who the etcd member of a recovery point is: what its restored data directory has to say of itself, so that the
/// normal static pod of etcd takes it for its own.
struct EtcdMember: Equatable {
    /// `--name`.
    var name: String
    /// `--initial-advertise-peer-urls`.
    var peerURLs: [String]
    /// `--data-dir`, a path of the node.
    var dataDirectory: FilePath

    /// Reads it from the static pods of a recovery point.
    ///
    /// kubeadm has it on the command line of etcd's static pod. The pod of openshift is a script; the values are in
    /// `etcd.env`, as `NODE_<name>_ETCD_NAME` and `NODE_<name>_ETCD_URL_HOST`, and the peer port is 2380.
    /// - Throws: ``RecoveryError/memberUnknown(_:)``.
    static func read(from root: (any FileSource)?, profile: NodeProfile, nodeName: String) throws -> EtcdMember {
        guard let root else { throw RecoveryError.memberUnknown("it has no static pods") }
        switch profile {
        case .plain: throw RecoveryError.memberUnknown("its profile is plain")
        case .kubeadm:
            let path = WellKnownPaths.staticPodManifests.appending("etcd.yaml")
            guard try root.exists(path) else { throw RecoveryError.memberUnknown("'\(path)' is not in it") }
            let options = try StaticPod.read(path, in: root).options(ofContainer: "etcd")
            guard let name = options["name"], let urls = options["initial-advertise-peer-urls"] else {
                throw RecoveryError.memberUnknown("'\(path)' has no --name or --initial-advertise-peer-urls")
            }
            return EtcdMember(
                name: name,
                peerURLs: urls.split(separator: ",").map { String($0) },
                dataDirectory: FilePath(options["data-dir"] ?? WellKnownPaths.etcdData.string)
            )
        case .openshift:
            let path = WellKnownPaths.etcdEnvironment
            guard try root.exists(path) else { throw RecoveryError.memberUnknown("'\(path)' is not in it") }
            let text = String(decoding: try root.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
            let variables = EtcdLocator.environment(from: text)
            guard let name = value("ETCD_NAME", of: nodeName, in: variables),
                let host = value("ETCD_URL_HOST", of: nodeName, in: variables)
            else { throw RecoveryError.memberUnknown("'\(path)' does not name the member of '\(nodeName)'") }
            return EtcdMember(
                name: name,
                peerURLs: ["https://\(host):2380"],
                dataDirectory: FilePath(variables["ETCD_DATA_DIR"] ?? WellKnownPaths.etcdData.string)
            )
        }
    }

    /// `NODE_<name>_KEY` of this node, with every `-` and `.` of the name as `_`; else the only one there is.
    private static func value(_ key: String, of nodeName: String, in variables: [String: String]) -> String? {
        let name = String(nodeName.map { $0 == "-" || $0 == "." ? "_" : $0 })
        if let value = variables["NODE_\(name)_\(key)"] { return value }
        let all = variables.filter { $0.key.hasPrefix("NODE_") && $0.key.hasSuffix("_\(key)") }
        return all.count == 1 ? all.first?.value : nil
    }
}
