import Files
import NodeInterface
import SystemPackage

/// `etcd.env`, the variables that the etcd operator's own backup script uses, and the static pod beside it.
enum EtcdEnvironmentFile {
    /// What they say; the pod's own command line wins, its script takes the rest from the same variables.
    static func place(in files: any FileSource, pods: [StaticPod], nodeName: String) throws -> EtcdPlace? {
        let path = WellKnownPaths.etcdEnvironment
        let isThere = try files.exists(path)
        let variables =
            isThere
            ? EtcdLocator.environment(
                from: String(decoding: try files.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
            ) : [:]
        var place: EtcdPlace
        if let (pod, container) = EtcdPlace.server(in: pods) {
            place = try EtcdPlace(pod, container, in: files, variables: variables)
        } else {
            guard isThere else { return nil }
            // The operator mounts the directory where it is.
            place = EtcdPlace(source: path)
            place.data = .onNode(FilePath(variables["ETCD_DATA_DIR"] ?? WellKnownPaths.etcdData.string))
        }
        guard isThere else { return place }
        place.source = path
        place.name = value("ETCD_NAME", of: nodeName, in: variables) ?? place.name
        if let host = value("ETCD_URL_HOST", of: nodeName, in: variables) { place.peerURLs = ["https://\(host):2380"] }
        place.clientURLs = EtcdLocator.endpointURL(from: variables, nodeName: nodeName).map { [$0] } ?? []
        func certificateFile(_ name: String) throws -> FilePath? {
            guard let value = variables[name] else { return nil }
            let path = FilePath(value)
            if try files.exists(path) { return path }
            var moved = path
            guard moved.removePrefix(WellKnownPaths.etcdCertificatesInPod) else { return path }
            return WellKnownPaths.etcdCertificates.appending(moved.components)
        }
        place.authority = try certificateFile("ETCDCTL_CACERT") ?? place.authority
        if let certificate = try certificateFile("ETCDCTL_CERT"), let key = try certificateFile("ETCDCTL_KEY") {
            place.pairs.insert(EtcdPlace.Pair(certificate: certificate, key: key), at: 0)
        }
        return place
    }

    /// `NODE_<name>_KEY` of this node, with every `-` and `.` of the name as `_`; else the only one there is.
    private static func value(_ key: String, of nodeName: String, in variables: [String: String]) -> String? {
        let name = String(nodeName.map { $0 == "-" || $0 == "." ? "_" : $0 })
        if let value = variables["NODE_\(name)_\(key)"] { return value }
        let all = variables.filter { $0.key.hasPrefix("NODE_") && $0.key.hasSuffix("_\(key)") }
        return all.count == 1 ? all.first?.value : nil
    }
}
