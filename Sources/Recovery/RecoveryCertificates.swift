import Certificates
import Files
import NodeInterface
import SystemPackage

/// The certificates without which the control plane of a recovery point cannot run.
enum RecoveryCertificates {
    /// Paths of the node.
    ///
    /// kubeadm: everything in `pki` that ends in `.crt`; openshift: what the static pods have as `tls.crt` and etcd's
    /// own; both: the kubelet's. Authorities are in files of their own and outlive what they sign.
    static func paths(in root: (any FileSource)?) throws -> [FilePath] {
        var paths = [WellKnownPaths.kubeletCertificate, WellKnownPaths.kubeletServingCertificate]
        guard let root else { return paths }
        for top in [WellKnownPaths.clusterKeys, WellKnownPaths.staticPodResources] where try root.exists(top) {
            try collect(top, in: root, depth: 0, into: &paths)
        }
        return paths
    }

    private static func collect(
        _ directory: FilePath,
        in root: any FileSource,
        depth: Int,
        into paths: inout [FilePath]
    ) throws {
        for name in try root.names(in: directory).sorted(by: { $0.string < $1.string }) {
            let path = directory.appending(name)
            // The kubelet keeps links to the version in force; each file is looked at once, where it lies.
            let kind = try root.kind(of: path)
            if kind == .directory, depth < 8 {
                try collect(path, in: root, depth: depth + 1, into: &paths)
            } else if kind == .regular, name.extension == "crt", !name.string.hasPrefix("ca") {
                paths.append(path)
            }
        }
    }
}

/// A certificate that somebody proves himself by, where it lies on the node.
struct DatedCertificate {
    var path: FilePath
    var commonName: String
    /// Seconds since 1970-01-01 UTC.
    var notAfter: Int64

    /// `'/etc/kubernetes/pki/apiserver.crt' (kube-apiserver) on 2027-01-31 12:00:00 UTC`.
    var text: String { "'\(path)' (\(commonName)) on \(Certificate.text(of: notAfter))" }

    /// The first certificate of each file, those behind it are its authorities'.
    static func all(
        _ paths: [FilePath],
        read: (FilePath) throws(FilesError) -> [UInt8]?
    ) throws(FilesError) -> [DatedCertificate] {
        var found: [DatedCertificate] = []
        for path in paths {
            guard let bytes = try read(path), let first = Certificate.all(inPEM: bytes).first else { continue }
            found.append(DatedCertificate(path: path, commonName: first.commonName, notAfter: first.notAfter))
        }
        return found
    }
}
